"""Write the documents that are made from the events, or say how they differ.

write: after a change of the events. check: whether what is written is up to date, and breaks nothing released.
release: keep the schemas as those of the version in pyproject.toml, which later ones are compared with.
"""

from __future__ import annotations

import argparse
import sys
import warnings

from contracts.documents.files import FOLDER, check, release, write


def main() -> int:
    """Run one command. Returns 1 when it told of anything."""
    parser = argparse.ArgumentParser(prog="python -m contracts.documents", description=__doc__)
    commands = {"write": write, "check": check, "release": release}
    parser.add_argument("command", choices=commands)
    problems = list(commands[parser.parse_args().command](FOLDER))
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    # eventlet says at every import that it is only kept alive; ARCHITECTURE.md says why we use it all the same.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    sys.exit(main())

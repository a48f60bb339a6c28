"""Runs a service of ours as production does: `python -m bench.ours MODULE:CLASS`."""

from __future__ import annotations

import sys

from eventkit.green import patch

# The patch must come before anything imports sockets or threads.
patch()

if __name__ == "__main__":
    import importlib

    from eventkit.runner import run

    module, _, attribute = sys.argv[1].partition(":")
    sys.exit(run(getattr(importlib.import_module(module), attribute)))

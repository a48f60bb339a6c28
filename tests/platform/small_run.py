"""`make run` with one server and one tiny service: `python -m tests.platform.small_run HOME`."""

import sys
from pathlib import Path
from unittest.mock import patch

from deploy.local import smtp
from deploy.local.parts import SERVERS
from deploy.local.run import ServiceProcess, run
from liaison.installation import Installation

TINY = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"


def tiny_service(installation: Installation) -> list[ServiceProcess]:
    """Return a service that does nothing, and knows a secret."""
    return [
        ServiceProcess("tiny", [sys.executable, "-c", TINY], {"DATABASE_URI": installation.database_uri("tickets")})
    ]


def main(home: Path) -> None:
    """Run until Ctrl-C; on ports of its own, since others may run the whole on the usual ones."""
    Installation.open_or_make(home, free_ports=True)
    with patch.dict(SERVERS, {"smtp": smtp}, clear=True):
        run(tiny_service, prepare=lambda installation: None, main_job=lambda installation: None, home=home)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

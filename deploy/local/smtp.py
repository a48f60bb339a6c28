"""The mail server of this machine as a part: takes every mail, delivers none, shows them on a page.

`python -m deploy.local.smtp FOLDER SMTP_PORT PAGE_PORT` runs it; `python -m deploy.local.smtp list [FOLDER]` shows
what it keeps.
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.account import UnixAccount
from deploy.local.mailbox import MailFolder
from deploy.local.mailserver import serve
from deploy.local.pages import unanswered_because
from deploy.local.program import Program
from liaison.installation import Installation, default_home

PORTS = ("smtp", "smtp_page")


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Make the mail folder."""
    for part in ("", "tmp", "new", "cur"):
        account.for_our_code().folder(installation.home / "smtp" / part)


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the server."""
    folder, ports = installation.home / "smtp", installation.ports
    command = (sys.executable, "-m", "deploy.local.smtp", str(folder), str(ports["smtp"]), str(ports["smtp_page"]))
    return (Program("smtp", command, folder, {"PYTHONUNBUFFERED": "1"}, ours=True),)


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when page and mail port, which open and close together, answer."""
    return unanswered_because(f"{installation.smtp_page_url}/ready")


def main(arguments: list[str]) -> None:
    """Run the server, or list what it keeps."""
    if arguments[:1] == ["list"]:
        _list(Path(arguments[1]) if arguments[1:] else default_home() / "smtp")
    else:
        folder, smtp_port, page_port = arguments
        serve(MailFolder(Path(folder)), int(smtp_port), int(page_port))


def _list(folder: Path) -> None:
    table = Table("kept at", "to", "subject")
    for mail in MailFolder(folder).newest(100):
        table.add_row(f"{mail.kept_at:%Y-%m-%d %H:%M:%S}", ", ".join(mail.to), mail.subject)
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])

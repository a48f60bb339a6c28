"""Write the dashboards as files, or check that the files are what the code says.

python -m deploy.grafana write|check
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from deploy.grafana.dashboards import platform, service_desk

FOLDER = Path(__file__).parent / "boards"


def documents() -> dict[str, str]:
    """Return every dashboard by the name of its file."""
    return {"service-desk.json": service_desk.BOARD.document(), "platform.json": platform.BOARD.document()}


@click.group(help=__doc__)
def main() -> None:
    """Take a command."""


@main.command()
def write() -> None:
    """Write the files."""
    for name, content in documents().items():
        (FOLDER / name).write_text(content, "utf-8")


@main.command()
def check() -> None:
    """End with 1 when a file is not what the code says."""
    wrong = [name for name, content in documents().items() if _read(name) != content]
    wrong += sorted(file.name for file in FOLDER.glob("*.json") if file.name not in documents())
    for name in wrong:
        click.echo(f"{FOLDER / name} is not what the code says; run: python -m deploy.grafana write", err=True)
    sys.exit(1 if wrong else 0)


def _read(name: str) -> str | None:
    file = FOLDER / name
    return file.read_text("utf-8") if file.exists() else None


if __name__ == "__main__":
    main()

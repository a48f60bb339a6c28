"""The `liaison` command on the installation that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from deploy.local.accounts import provision_databases
from eventkit.database import open_engine
from liaison import services
from liaison.administration import migrate_all
from liaison.cli import main
from liaison.installation import Installation


@pytest.fixture
def liaison(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `liaison …` as an operator of this installation would: `liaison("dead", "list")`."""
    monkeypatch.setenv("LIAISON_HOME", str(installation.home))

    def run(*words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, words, input=answer)

    return run


@pytest.fixture(scope="module")
def databases(installation: Installation) -> Installation:
    """The databases of all services, at this release's schema; what other tests left in them stays."""
    provision_databases(installation, services.ALL)
    migrate_all(installation)
    return installation


@pytest.fixture
def training(databases: Installation) -> Iterator[Engine]:
    """The database of a service, without held and dead events."""
    engine = open_engine(databases.database_uri("training"), name="test liaison")
    _forget_what_waits(engine)
    yield engine
    _forget_what_waits(engine)
    engine.dispose()


def _forget_what_waits(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("truncate eventkit.held_event, eventkit.held_subject, eventkit.inbox"))

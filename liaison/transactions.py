"""A service's database as a command of the operator sees and changes it: one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from eventkit.database import open_engine
from eventkit.work import Work
from liaison.installation import Installation


@contextmanager
def transaction(installation: Installation, service: str) -> Iterator[Work]:
    """Give one transaction of a service; what was collected in it is written and committed at the end.

    The running service sees timers armed here at its next look, which is at once.
    """
    engine = open_engine(installation.database_uri(service), name=f"liaison {service}")
    try:
        with engine.begin() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source=f"/liaison/{service}", now=now)
            yield work
            work.flush()
    finally:
        engine.dispose()

"""Engines and transactions on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

# A statement that runs for longer than this holds 200 events' locks; it is cut off and the batch is tried again.
STATEMENT_TIMEOUT_S = 20
# A frozen process must not keep its locks: its open transaction ends, which fences it from its successor.
IDLE_TRANSACTION_TIMEOUT_S = 30
_SERIALIZATION_STATES = ("40001", "40P01")
_INTERNAL_ERRORS = "XX"
_UNIQUE_VIOLATION = "23505"
_WRONG_STATEMENTS = "42"


def open_glance(uri: str, *, name: str) -> Engine:
    """Return an engine for statements that each stand for themselves: one message to the database instead of three.

    Most look for something to do: they read the head of an index, in order. Reading it as a bitmap would visit every
    row that was there since the last vacuum, again each time.
    """
    return open_engine(uri, name=name, pool_size=8, planner="-c enable_bitmapscan=off", isolation_level="AUTOCOMMIT")


def open_engine(uri: str, *, name: str, pool_size: int = 10, planner: str = "", **options: Any) -> Engine:
    """Return an engine for one process.

    uri: `postgresql://…`. name: shown in pg_stat_activity. pool_size: connections kept, at most twice as many used.
    planner: further settings of the session, as `-c name=value`.
    """
    settings = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s"
    settings += f" -c idle_in_transaction_session_timeout={IDLE_TRANSACTION_TIMEOUT_S}s -c timezone=UTC {planner}"
    arguments: Mapping[str, Any] = {
        "application_name": name,
        "options": settings,
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }
    return create_engine(
        uri.replace("postgresql://", "postgresql+psycopg2://", 1),
        connect_args=dict(arguments),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=False,
        pool_recycle=1800,
        # What an error's text would show are people's names and words; it ends up in logs.
        hide_parameters=True,
        **options,
    )


def what_failed(error: DBAPIError) -> str:
    """Return what kind of error it was and where in the schema, without the values that PostgreSQL puts into it."""
    told = getattr(error.orig, "diag", None)
    places = [
        f"{kind} {name}" for kind in ("table", "column", "constraint") if (name := getattr(told, f"{kind}_name", None))
    ]
    # What is wrong with a statement itself (class 42) is told in names of the schema.
    message = [str(told.message_primary)] if told and (told.sqlstate or "").startswith(_WRONG_STATEMENTS) else []
    return ", ".join((type(error.orig).__name__, *places, *message))


def reason_of(error: BaseException) -> str:
    """Return why something could not be done, as it is kept and logged; see `what_failed`."""
    return what_failed(error) if isinstance(error, DBAPIError) else f"{type(error).__name__}: {error}".strip()[:2000]


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the database went away or cannot go on, so that the same work may be done again once it is well.

    What PostgreSQL calls an internal error (class XX) is a file that it cannot write, past a quota for example; no
    event is to blame for that.
    """
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, DBAPIError) and (getattr(error.orig, "pgcode", None) or "").startswith(_INTERNAL_ERRORS):
        return True
    return isinstance(error, OperationalError) and not is_serialization_failure(error)


def is_serialization_failure(error: BaseException) -> bool:
    """Tell whether the transaction lost against another one, so that the same work may be done again at once."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) in _SERIALIZATION_STATES


def is_overtaken(error: BaseException) -> bool:
    """Tell whether another transaction wrote a row first that this one was to write: done again, it finds the row.

    An error of its own looks the same, so that this is worth one more try and no second.
    """
    return isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) == _UNIQUE_VIOLATION

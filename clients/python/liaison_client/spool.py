"""The spool: events that `publish` has returned for and the broker has not confirmed, in one SQLite file.

Write-ahead log with full synchronisation: what a method has returned for outlives a crash of process and machine.
Any number of processes may share a spool on a local disk; positions give the order of all of them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liaison_client.errors import BadSettings, CannotSpool, SpoolFull
from liaison_client.event import Packed
from liaison_client.settings import Settings

KEPT_REFUSALS = 10_000
_BUSY_S = 10.0
_FREE_PAGES = 1000
_SCHEMA = 1
_TABLES = """
create table event (position integer primary key autoincrement, id text not null, type text not null,
    headers text not null, body blob not null, size integer not null, spooled_at real not null);
create table aside (position integer primary key, id text not null, type text not null,
    headers text not null, body blob not null, size integer not null, spooled_at real not null, reason text not null);
create table total (events integer not null, bytes integer not null);
insert into total values (0, 0);
create trigger event_in after insert on event begin
    update total set events = events + 1, bytes = bytes + new.size; end;
create trigger event_out after delete on event begin
    update total set events = events - 1, bytes = bytes - old.size; end;
create trigger aside_in after insert on aside begin
    update total set events = events + 1, bytes = bytes + new.size; end;
create trigger aside_out after delete on aside begin
    update total set events = events - 1, bytes = bytes - old.size; end;
create table refusal (position integer primary key autoincrement, message_id text not null unique, id text not null,
    type text not null, field text not null, reason text not null, received_at real not null);
create table fact (name text primary key, value text not null);
"""
_MOVE = "id, type, headers, body, size, spooled_at"


@dataclass(frozen=True)
class Spooled:
    """An event in the spool. position: rises in the order of publishing. reason: why the broker refused it, if so."""

    position: int
    packed: Packed
    reason: str = ""


@dataclass(frozen=True)
class Refusal:
    """The door's answer to an event that it did not take: which, and why. received_at: seconds since 1970."""

    id: str
    type: str
    field: str
    reason: str
    received_at: float


@dataclass(frozen=True)
class SpoolStatus:
    """How full the spool is, and why it does not empty.

    events, size_bytes: all that it holds, with what was set aside. aside: events that the broker refuses for good.
    oldest_age_s: how long the oldest waiting event has been there; 0 when none waits.
    problem: why the last try to send failed; None when nothing is known to be wrong. problem_age_s: since when.
    verdicts_problem: why the reply queue cannot be read. refusals: how many answers of the door are kept.
    """

    path: str
    events: int
    size_bytes: int
    limit_events: int
    limit_bytes: int
    oldest_age_s: float
    aside: int
    refusals: int
    problem: str | None
    problem_age_s: float
    verdicts_problem: str | None


class Spool:
    """One process's way to a spool. Safe for threads; after a fork, the child opens the file anew.

    limit_events, limit_bytes: what the spool may hold. account: whose events these are; a spool has one account.
    """

    def __init__(self, path: Path, *, account: str, limit_events: int, limit_bytes: int) -> None:
        self.path = path
        self.limit_events = limit_events
        self.limit_bytes = limit_bytes
        self._account = account
        self._connection: sqlite3.Connection | None = None
        _OPENED.add(self)

    @classmethod
    def of(cls, settings: Settings) -> Spool:
        """Return the spool of an account's settings; the file is opened at the first use."""
        return cls(
            settings.spool,
            account=settings.account,
            limit_events=settings.limit_events,
            limit_bytes=settings.limit_bytes,
        )

    def append(self, events: Sequence[Packed]) -> int:
        """Keep events, all or none, and return the position of the last one: they are durable now.

        Raises: SpoolFull naming the limit, CannotSpool.
        """
        size_bytes = sum(one.size_bytes for one in events)
        with self._transaction() as database:
            held_events, held_bytes = database.execute("select events, bytes from total").fetchone()
            if held_events + len(events) > self.limit_events:
                raise SpoolFull(f"{self.path} holds {held_events} events; its limit is {self.limit_events} events")
            if held_bytes + size_bytes > self.limit_bytes:
                raise SpoolFull(f"{self.path} holds {held_bytes} bytes; its limit is {self.limit_bytes} bytes")
            database.executemany(
                f"insert into event ({_MOVE}) values (?, ?, ?, ?, ?, ?)", [_row(one, time.time()) for one in events]
            )
            return int(database.execute("select max(position) from event").fetchone()[0])

    def waiting(self, *, after: int, limit: int) -> list[Spooled]:
        """Return the next events behind a position, oldest first. Raises: CannotSpool."""
        with self._transaction(writes=False) as database:
            rows = database.execute(
                "select position, id, type, headers, body from event where position > ? order by position limit ?",
                (after, limit),
            ).fetchall()
        return [_spooled(row) for row in rows]

    def is_sent(self, position: int) -> bool:
        """Tell whether nothing waits at a position or before it. Raises: CannotSpool."""
        with self._transaction(writes=False) as database:
            found = database.execute("select 1 from event where position <= ? limit 1", (position,)).fetchone()
        return found is None

    def remove(self, positions: Sequence[int]) -> None:
        """Forget events that the broker has confirmed. Raises: CannotSpool."""
        with self._transaction() as database:
            database.executemany("delete from event where position = ?", [(one,) for one in positions])
            is_empty = database.execute("select 1 from event limit 1").fetchone() is None
            free_pages = database.execute("pragma freelist_count").fetchone()[0]
        if is_empty and free_pages > _FREE_PAGES:
            self._shrink()

    def set_aside(self, position: int, reason: str) -> None:
        """Take an event out of the line, because the broker refuses it, so that the others can go on."""
        with self._transaction() as database:
            database.execute(
                f"insert into aside (position, {_MOVE}, reason) select position, {_MOVE}, ? from event"
                " where position = ?",
                (reason, position),
            )
            database.execute("delete from event where position = ?", (position,))

    def aside(self) -> list[Spooled]:
        """Return the events that were set aside, with the reason."""
        with self._transaction(writes=False) as database:
            rows = database.execute(
                "select position, id, type, headers, body, reason from aside order by position"
            ).fetchall()
        return [_spooled(row) for row in rows]

    def retry_aside(self) -> int:
        """Put the events that were set aside at the end of the line; return how many."""
        with self._transaction() as database:
            moved = database.execute(
                f"insert into event ({_MOVE}) select {_MOVE} from aside order by position"
            ).rowcount
            database.execute("delete from aside")
        return moved

    def discard_aside(self, event_id: str) -> bool:
        """Forget an event that was set aside; False when there is none with this id."""
        with self._transaction() as database:
            return database.execute("delete from aside where id = ?", (event_id,)).rowcount > 0

    def add_refusal(self, message_id: str, refusal: Refusal) -> bool:
        """Keep an answer of the door; False when it is known. The oldest beyond KEPT_REFUSALS are forgotten."""
        row = (message_id, refusal.id, refusal.type, refusal.field, refusal.reason, refusal.received_at)
        with self._transaction() as database:
            added = database.execute(
                "insert or ignore into refusal (message_id, id, type, field, reason, received_at)"
                " values (?, ?, ?, ?, ?, ?)",
                row,
            ).rowcount
            database.execute(
                "delete from refusal where position <= (select max(position) from refusal) - ?", (KEPT_REFUSALS,)
            )
        return added > 0

    def refusals(self, *, limit: int = 100) -> list[Refusal]:
        """Return the newest answers of the door, newest first."""
        with self._transaction(writes=False) as database:
            rows = database.execute(
                "select id, type, field, reason, received_at from refusal order by position desc limit ?", (limit,)
            ).fetchall()
        return [Refusal(*row) for row in rows]

    def note(self, name: str, problem: str | None) -> None:
        """Keep what is wrong with sending (`problem`) or with the reply queue (`verdicts`), for every process."""
        with self._transaction() as database:
            if problem is None:
                database.execute("delete from fact where name in (?, ?)", (name, f"{name}_at"))
                return
            database.execute("insert or replace into fact values (?, ?)", (name, problem))
            database.execute("insert or ignore into fact values (?, ?)", (f"{name}_at", str(time.time())))

    def status(self) -> SpoolStatus:
        """Return how full the spool is. Raises: CannotSpool."""
        with self._transaction(writes=False) as database:
            events, size_bytes = database.execute("select events, bytes from total").fetchone()
            oldest = database.execute("select spooled_at from event order by position limit 1").fetchone()
            aside = database.execute("select count(*) from aside").fetchone()[0]
            refusals = database.execute("select count(*) from refusal").fetchone()[0]
            facts = dict(database.execute("select name, value from fact").fetchall())
        now = time.time()
        return SpoolStatus(
            path=str(self.path),
            events=events,
            size_bytes=size_bytes,
            limit_events=self.limit_events,
            limit_bytes=self.limit_bytes,
            oldest_age_s=max(now - oldest[0], 0.0) if oldest else 0.0,
            aside=aside,
            refusals=refusals,
            problem=facts.get("problem"),
            problem_age_s=max(now - float(facts["problem_at"]), 0.0) if "problem_at" in facts else 0.0,
            verdicts_problem=facts.get("verdicts"),
        )

    def _shrink(self) -> None:
        """Give the pages back that a long outage has taken."""
        with _PROCESS.lock:
            try:
                if self._connection is not None:
                    # As a script, since a single statement would be left after its first page.
                    self._connection.executescript("pragma incremental_vacuum")
            except sqlite3.Error as error:
                raise CannotSpool(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with _PROCESS.lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __del__(self) -> None:
        # Whichever thread collects it: not while another one forks, and never for long when the interpreter ends.
        if _PROCESS.lock.acquire(timeout=1):
            try:
                self.close()
            finally:
                _PROCESS.lock.release()

    @contextmanager
    def _transaction(self, *, writes: bool = True) -> Iterator[sqlite3.Connection]:
        with _PROCESS.lock:
            try:
                database = self._connection = self._connection or self._open()
                database.execute("begin immediate" if writes else "begin")
                try:
                    yield database
                    database.execute("commit")
                except BaseException:
                    database.execute("rollback") if database.in_transaction else None
                    raise
            except (sqlite3.Error, OSError) as error:
                raise CannotSpool(f"{self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its content may be about people; SQLite gives its other files the rights of this one.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            database.execute("pragma auto_vacuum = incremental")
            database.execute("pragma journal_mode = wal").fetchone()
            database.execute("pragma synchronous = full")
            database.execute("pragma journal_size_limit = 16777216").fetchone()
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Make the tables once, whoever is first, and see that the spool is ours."""
        database.execute("begin immediate")
        version = database.execute("pragma user_version").fetchone()[0]
        if version == 0:
            for statement in _statements(_TABLES):
                database.execute(statement)
            database.execute("insert into fact values ('account', ?)", (self._account,))
            database.execute(f"pragma user_version = {_SCHEMA}")
        [owner] = database.execute("select value from fact where name = 'account'").fetchone()
        database.execute("commit")
        _sync_folder(self.path.parent)
        if version not in (0, _SCHEMA):
            raise CannotSpool(f"{self.path} was made by another release of liaison-client (form {version})")
        if owner != self._account:
            raise BadSettings(f"{self.path} holds events of the account {owner!r}, not {self._account!r}")


class _Process:
    """This process's use of SQLite, whose own locks must be free when it forks: one thread at a time.

    SQLite must not be carried over a fork either: every file is closed before, and opened again at its next use.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def hold(self) -> None:
        self.lock.acquire()
        for spool in list(_OPENED):
            spool.close()

    def go_on(self) -> None:
        self.lock.release()

    def begin(self) -> None:
        self.lock = threading.RLock()


_OPENED: weakref.WeakSet[Spool] = weakref.WeakSet()
_PROCESS = _Process()
os.register_at_fork(before=_PROCESS.hold, after_in_parent=_PROCESS.go_on, after_in_child=_PROCESS.begin)


def _statements(script: str) -> list[str]:
    found: list[str] = []
    for line in script.strip().splitlines():
        if found and not sqlite3.complete_statement(found[-1]):
            found[-1] += line
        else:
            found.append(line)
    return found


def _row(packed: Packed, now: float) -> tuple[Any, ...]:
    headers = json.dumps(dict(packed.headers), ensure_ascii=False)
    return packed.id, packed.type, headers, packed.body, packed.size_bytes, now


def _spooled(row: Sequence[Any]) -> Spooled:
    position, event_id, event_type, headers, body = row[:5]
    return Spooled(position, Packed(event_id, event_type, json.loads(headers), body), *row[5:])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

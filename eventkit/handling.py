"""Handling events: many in one transaction, each as if it were alone.

Promises 1 to 4 are kept here. A batch is admitted to the inbox, handled in order, written and committed; only then
may its deliveries be acknowledged. An event whose handler fails is put aside in that same commit, and the subject's
later events behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from time import perf_counter

import msgspec
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from eventkit import held, inbox
from eventkit.consumer import Incoming, Outgoing
from eventkit.database import is_lost_connection, is_overtaken, is_serialization_failure, reason_of
from eventkit.definition import Handler, ServiceDefinition
from eventkit.errors import TryLater
from eventkit.held import Hold
from eventkit.inbox import EventKey, Received
from eventkit.telemetry import ServiceMetrics, log
from eventkit.work import Work

# An event that was tried alone this often and never came to an end kills the process that tries it.
MAX_TRIES_ALONE = 3
SERIALIZATION_RETRIES = 20
DRAIN_LIMIT = 200
_KILLED = "tried several times alone from the held events, and the process died each time"


class _Culprit(Exception):
    """One event broke the transaction; the batch is run again without it."""

    def __init__(self, received: Received, reason: str) -> None:
        super().__init__(reason)
        self.received = received
        self.reason = reason


class EventHandling:
    """Runs a service's handlers over deliveries.

    on_commit: called after a commit with the work that was written, to wake the relay and the timers.
    """

    def __init__(
        self,
        definition: ServiceDefinition,
        engine: Engine,
        metrics: ServiceMetrics,
        on_commit: Callable[[Work], None] = lambda work: None,
    ) -> None:
        self.definition = definition
        self.engine = engine
        self.metrics = metrics
        self.on_commit = on_commit
        self._marked: dict[tuple[EventKey, bool], int] = {}

    def handle_messages(self, messages: Sequence[Incoming], redelivered: bool) -> Sequence[Outgoing]:
        """Handle messages from the service's queue; see `handle`. Nothing is published in return."""
        self.handle([inbox.receive(one.headers, one.body) for one in messages], redelivered=redelivered)
        return ()

    def handle(self, batch: Sequence[Received], *, redelivered: bool = False) -> None:
        """Handle deliveries in order; when this returns, they may be acknowledged.

        redelivered: some of them were out before, so that one of them may have killed a process.
        Raises the database's error when it is away; nothing was done then, and the batch may be handed in again.
        """
        known = [one for one in batch if one.type in self.definition.handlers or not one.type]
        self.metrics.unhandled.inc(len(batch) - len(known))
        if not known:
            return
        if not redelivered:
            self._together(known)
            return
        if max(self._mark(_keys(known), alone=False).values()) < 2:
            self._together(known, marked=True)
        else:
            self._one_by_one(known)

    def _mark(self, keys: Sequence[EventKey], *, alone: bool) -> dict[EventKey, int]:
        """Return how many tries of each event were begun, this one included, as counted before it begins.

        A try that fails while this process lives has killed nobody: trying again does not count again.
        """
        new = [key for key in keys if (key, alone) not in self._marked]
        if new:
            with self.engine.begin() as connection:
                tries = inbox.mark_attempts(connection, new, alone=alone)
            self._marked |= {(key, alone): count for key, count in tries.items()}
        return {key: self._marked[key, alone] for key in keys}

    def _forget_tries(self, keys: Sequence[EventKey]) -> None:
        """Forget tries once their end is committed: until then, beginning again is the same try."""
        for key in keys:
            self._marked.pop((key, False), None)
            self._marked.pop((key, True), None)

    def _together(self, batch: Sequence[Received], *, marked: bool = False) -> None:
        bad: dict[EventKey, str] = {}
        conflicts, was_overtaken = 0, False
        while True:
            try:
                self._transaction(batch, bad, marked=marked)
                return
            except _Culprit as culprit:
                bad[culprit.received.key] = culprit.reason
            except DBAPIError as error:
                if is_serialization_failure(error) and conflicts < SERIALIZATION_RETRIES:
                    conflicts += 1
                elif is_overtaken(error) and not was_overtaken:
                    was_overtaken = True
                elif is_lost_connection(error) or is_serialization_failure(error):
                    raise
                elif self._blamed_others(batch, bad, error):
                    return
            except Exception as error:  # Whatever cannot be written belongs to one event; the others must go on.
                if self._blamed_others(batch, bad, error):
                    return

    def _blamed_others(self, batch: Sequence[Received], bad: dict[EventKey, str], error: Exception) -> bool:
        """Find out which event breaks the transaction; True when all of them have been settled one by one."""
        if len(batch) > 1:
            self._one_by_one(batch)
            return True
        if batch[0].key in bad:
            raise error
        bad[batch[0].key] = reason_of(error)
        return False

    def _one_by_one(self, batch: Sequence[Received]) -> None:
        for one in batch:
            tries = self._mark([one.key], alone=True)[one.key]
            if tries > MAX_TRIES_ALONE:
                reason = f"tried {tries - 1} times alone, and the process died each time"
                with self.engine.begin() as connection:
                    if inbox.admit(connection, [one]):
                        # Locks the subject, if it is held: a drain must not free it while this event joins the wait.
                        inbox.begin(connection, [one.partitionkey])
                        held.hold(connection, [self._hold(one, "dead", reason)])
                    inbox.clear_attempts(connection, [one.key])
                self._forget_tries([one.key])
                self.metrics.dead.inc()
            else:
                self._together([one], marked=True)

    def _transaction(self, batch: Sequence[Received], bad: dict[EventKey, str], *, marked: bool) -> None:
        started = perf_counter()
        first_of_key = {one.key: one for one in reversed(batch)}
        unique = [one for one in batch if first_of_key[one.key] is one]
        with self.engine.begin() as connection:
            fresh_keys = inbox.admit(connection, unique)
            # Only after the admission: it waits for a replica that was frozen with the same events in its hands, and
            # what that one has put aside must hold the subject here.
            now, blocked = inbox.begin(connection, {one.partitionkey for one in unique})
            fresh = [one for one in unique if one.key in fresh_keys]
            work = Work(connection, source=self.definition.source, now=now)
            holds = self.run(work, fresh, blocked, bad)
            work.flush()
            if holds:
                held.hold(connection, holds)
            if marked:
                inbox.clear_attempts(connection, _keys(unique))
        self.metrics.repeated.inc(len(batch) - len(fresh))
        self._forget_tries(_keys(unique))
        self._count(fresh, holds, work, perf_counter() - started)
        self.on_commit(work)

    def run(self, work: Work, batch: Sequence[Received], blocked: set[str], bad: dict[EventKey, str]) -> list[Hold]:
        """Run the handlers over fresh events and return those to put aside.

        blocked: held subjects; those of events put aside here are added. bad: events known to break the transaction.
        """
        for handler in self._preloads(batch):
            events = [one.event for one in batch if one.type == handler.fact.TYPE and one.event is not None]
            if handler.preload is not None:
                handler.preload(work, events)
        work.take_late_locks()
        holds: list[Hold] = []
        for one in batch:
            if one.partitionkey in blocked and self._is_ordered(one):
                holds.append(self._hold(one, "held", "waits behind an earlier event of its subject"))
                continue
            reason = one.problem or bad.get(one.key)
            problem = self._hold(one, "dead", reason) if reason else self._try(work, one)
            if problem is not None:
                holds.append(problem)
                if problem.blocks_subject:
                    blocked.add(one.partitionkey)
        work.cause, work.may_emit = None, None
        return holds

    def _preloads(self, batch: Sequence[Received]) -> list[Handler]:
        types = dict.fromkeys(one.type for one in batch)
        return [self.definition.handlers[name] for name in types if name in self.definition.handlers]

    def _try(self, work: Work, one: Received) -> Hold | None:
        handler = self.definition.handlers[one.type]
        event = one.event
        if event is None:
            return self._hold(one, "dead", one.problem or "unreadable")
        mark = work.mark()
        work.cause, work.received, work.may_emit = event, one, handler.emits
        started = perf_counter()
        try:
            handler.handle(work, event)
            return None
        except DBAPIError as error:
            if is_lost_connection(error) or is_serialization_failure(error):
                raise
            raise _Culprit(one, reason_of(error)) from error
        except TryLater as later:
            work.undo(mark)
            wait = msgspec.structs.replace(
                self._hold(one, "held", str(later)), due_at=work.now + timedelta(seconds=later.delay_s)
            )
            return wait
        except Exception as error:  # Whatever a handler raises belongs to its event, and must not stop the others.
            work.undo(mark)
            log.warning("event put aside", extra={"type": one.type, "event": one.id, "error": type(error).__name__})
            return self._hold(one, "dead", reason_of(error))
        finally:
            self.metrics.handler_call(one.type, perf_counter() - started)

    def _is_ordered(self, one: Received) -> bool:
        handler = self.definition.handlers.get(one.type)
        return bool(one.partitionkey) and (handler is None or handler.ordered)

    def _hold(self, one: Received, state: str, reason: str) -> Hold:
        return Hold(one, state, reason, None, blocks_subject=self._is_ordered(one))

    def _count(self, fresh: Sequence[Received], holds: Sequence[Hold], work: Work, took_s: float) -> None:
        self.metrics.batch(len(fresh), took_s)
        put_aside = {one.received.key for one in holds}
        committed_at = work.now + timedelta(seconds=took_s)
        for one in fresh:
            if one.key not in put_aside and one.event is not None:
                self.metrics.handled_event(one.event, committed_at)
        self.metrics.dead.inc(sum(one.state == "dead" for one in holds))
        self.metrics.held.inc(sum(one.state == "held" for one in holds))

    def drain(self) -> bool:
        """Try the events of one held subject that is due. Returns False when none is."""
        with self.engine.begin() as connection:
            subject = _next_subject(connection)
            if subject is None:
                return False
            waiting = _waiting_events(connection, subject, limit=DRAIN_LIMIT)
            suspected = bool(waiting) and inbox.were_tried(connection, _keys(waiting))
            # Moving the subject on keeps a drain that dies here from being the first thing that is tried again.
            connection.execute(
                text("update eventkit.held_subject set due_at = now() + interval '5 s' where partitionkey = :key"),
                {"key": subject},
            )
        tries = self._mark(_keys(waiting[:1]) if suspected else _keys(waiting), alone=suspected)
        bad = {key: _KILLED for key, count in tries.items() if suspected and count > MAX_TRIES_ALONE}
        self._drain_marked(subject, limit=1 if suspected else DRAIN_LIMIT, bad=bad)
        return True

    def _drain_marked(self, subject: str, *, limit: int, bad: dict[EventKey, str]) -> None:
        try:
            self._drain_subject(subject, limit=limit, bad=bad)
        except _Culprit as culprit:
            self._drain_subject(subject, limit=limit, bad=bad | {culprit.received.key: culprit.reason})
        except Exception as error:  # Whatever cannot be written belongs to one event; tried alone, it is found.
            if limit == 1 or is_lost_connection(error) or is_serialization_failure(error):
                raise
            self._drain_marked(subject, limit=1, bad=bad)

    def _drain_subject(self, subject: str, *, limit: int, bad: dict[EventKey, str]) -> None:
        started = perf_counter()
        with self.engine.begin() as connection:
            now, blocked = inbox.begin(connection, [subject])
            if subject not in blocked:
                return
            waiting = _waiting_events(connection, subject, limit=limit)
            work = Work(connection, source=self.definition.source, now=now)
            stopped_by = self._run_until_blocked(work, waiting, bad)
            handled = waiting if stopped_by is None else waiting[: waiting.index(stopped_by.received)]
            _flush_or_blame(work, waiting, limit)
            _settle_drained(connection, handled, stopped_by)
            inbox.clear_attempts(connection, _keys(waiting))
            _move_subject(connection, subject, stopped_by, more=len(waiting) == limit)
        self._forget_tries(_keys(waiting))
        committed_at = now + timedelta(seconds=perf_counter() - started)
        for one in handled:
            if one.event is not None:
                self.metrics.handled_event(one.event, committed_at)
        self.metrics.dead.inc(stopped_by is not None and stopped_by.state == "dead")
        self.on_commit(work)

    def _run_until_blocked(self, work: Work, waiting: Sequence[Received], bad: dict[EventKey, str]) -> Hold | None:
        for one in waiting:
            reason = bad.get(one.key) or one.problem
            if one.type not in self.definition.handlers and reason is None:
                continue
            problem = self._hold(one, "dead", reason) if reason else self._try(work, one)
            if problem is not None:
                work.cause, work.may_emit = None, None
                return problem
        work.cause, work.may_emit = None, None
        return None


def _keys(batch: Sequence[Received]) -> list[EventKey]:
    return list(dict.fromkeys(one.key for one in batch))


def _next_subject(connection: Connection) -> str | None:
    return connection.execute(
        text(
            "select partitionkey from eventkit.held_subject where due_at <= now()"
            " order by due_at limit 1 for update skip locked"
        )
    ).scalar()


def _waiting_events(connection: Connection, subject: str, *, limit: int) -> list[Received]:
    rows = connection.execute(
        text(
            "select state, headers, body from eventkit.held_event where partitionkey = :key order by position limit :n"
        ),
        {"key": subject, "n": limit},
    ).all()
    waiting = []
    for row in rows:
        if row.state == "dead":
            break
        waiting.append(inbox.receive(row.headers, bytes(row.body)))
    return waiting


def _flush_or_blame(work: Work, waiting: Sequence[Received], limit: int) -> None:
    try:
        work.flush()
    except Exception as error:
        if limit == 1 and waiting and not (is_lost_connection(error) or is_serialization_failure(error)):
            raise _Culprit(waiting[0], reason_of(error)) from error
        raise


def _settle_drained(connection: Connection, handled: Sequence[Received], stopped_by: Hold | None) -> None:
    done = _keys(handled)
    if done:
        inbox.set_state(connection, done, "handled")
        connection.execute(
            text(
                "delete from eventkit.held_event h using unnest(cast(:sources as text[]), cast(:ids as text[]))"
                " as e (s, i) where h.source = e.s and h.id = e.i"
            ),
            {"sources": [source for source, _ in done], "ids": [one for _, one in done]},
        )
    if stopped_by is not None:
        inbox.set_state(connection, [stopped_by.received.key], stopped_by.state)
        connection.execute(
            text(
                "update eventkit.held_event set state = :state, reason = :reason, attempts = attempts + 1"
                " where source = :source and id = :id"
            ),
            {
                "state": stopped_by.state,
                "reason": stopped_by.reason,
                "source": stopped_by.received.source,
                "id": stopped_by.received.id,
            },
        )


def _move_subject(connection: Connection, subject: str, stopped_by: Hold | None, *, more: bool) -> None:
    """Free the subject when nothing waits any more; else say when, if ever, the drain comes back by itself."""
    if stopped_by is None and not more:
        left = connection.execute(
            text("select state, reason from eventkit.held_event where partitionkey = :key order by position limit 1"),
            {"key": subject},
        ).one_or_none()
        if left is None:
            connection.execute(text("delete from eventkit.held_subject where partitionkey = :key"), {"key": subject})
            return
        dead = left.state == "dead"
        values = {"key": subject, "due": None if dead else 0.0, "reason": left.reason}
    elif stopped_by is None:
        values = {"key": subject, "due": 0.0, "reason": "more events wait"}
    else:
        due_at = stopped_by.due_at
        values = {"key": subject, "due": None, "reason": stopped_by.reason, "at": due_at}
    moment = "cast(:at as timestamptz)" if "at" in values else "now() + make_interval(secs => :due)"
    connection.execute(
        text(f"update eventkit.held_subject set due_at = {moment}, reason = :reason where partitionkey = :key"),
        values,
    )

"""Every service up, each a process of its own with its own account, as `make run` has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

import httpx

from bench.lab import Ended, Lab
from bench.load import Publisher, people
from bench.tickets import POLICY
from contracts.gateway import CourseCompletionReported, TicketRequested
from eventkit import broker, topology
from liaison import local, services
from liaison.publishers import CannotAdd, PublisherAccount, add_publisher, rotate_publisher

PARTS = ("rabbitmq", "postgresql", "elasticsearch", "smtp", "prometheus", "alertmanager")
_READY_S = 60.0
_SETTLED_S = 300.0


def _environment(lab: Lab, name: str) -> dict[str, str]:
    policy = {"LIAISON_TICKETS_POLICY": str(POLICY)} if name == "tickets" else {}
    return {**local.environment(lab.installation, name), **policy}


@contextmanager
def all_services(lab: Lab) -> Iterator[dict[str, Any]]:
    """Prepare databases and broker, start every service, and give its process by name once all are ready."""
    with redirect_stdout(StringIO()):
        local.prepare(lab.installation)
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(lab.process(name, "liaison", "serve", name, **_environment(lab, name)))
            for name in services.ALL
        }
        for name, process in running.items():
            lab.until(partial(_is_ready, lab, name), within_s=_READY_S, what=f"{name} ready", process=process)
        yield running


def _is_ready(lab: Lab, name: str) -> bool:
    try:
        return httpx.get(lab.installation.ready_url(name), timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def introduce_people(lab: Lab) -> None:
    """Tell the services who asks and who is asked, unless a row before has, and wait until they know."""
    known = people()
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(lab.reading(lab.installation.database_uri(name)))
            for name in ("tickets", "notify")
        }
        if not all(_knows(rows, len(known)) for rows in readers.values()):
            publisher = Publisher(lab.uri)
            publisher.publish_all(known, broker.EVENTS)
            publisher.close()
        for name, rows in readers.items():
            lab.until(partial(_knows, rows, len(known)), within_s=_READY_S, what=f"{name} knows everybody")


def _knows(rows: Callable[[str], list[Any]], count: int) -> bool:
    return int(rows("select count(*) from person")[0][0]) >= count


def publisher(lab: Lab) -> PublisherAccount:
    """Return the account of the system that asks for tickets and reports completions, with a fresh password."""
    try:
        return add_publisher(lab.installation, "bench", [TicketRequested.TYPE, CourseCompletionReported.TYPE])
    except CannotAdd:
        return rotate_publisher(lab.installation, "bench")


@contextmanager
def cores_used(lab: Lab, running: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """Give a dictionary that holds, after the block, how many cores each process and each server used during it."""
    used: dict[str, float] = {}
    before, begun = lab.spent_by(running), time.monotonic()
    yield used
    seconds = time.monotonic() - begun
    used |= {name: (spent - before[name]) / seconds for name, spent in lab.spent_by(running).items()}


def settle(lab: Lab) -> None:
    """Return when every service has handled every event that any of them has emitted. Raises Ended when it never is."""
    with ExitStack() as stack:
        readers = {name: stack.enter_context(lab.reading(lab.installation.database_uri(name))) for name in services.ALL}
        handled = {name: topology.handled_types(services.definition(name)) for name in services.HOSTED}
        seen: list[int | None] = [None]

        def done() -> bool:
            # Handling emits more: only twice the same total with nothing left is the end.
            before, seen[0] = seen[0], _emitted_if_all_handled(readers, handled)
            return seen[0] is not None and seen[0] == before

        lab.until(done, within_s=_SETTLED_S, what="everything is handled")


def _emitted_if_all_handled(readers: dict[str, Any], handled: dict[str, list[str]]) -> int | None:
    emitted: dict[str, int] = {}
    for rows in readers.values():
        for kind, count in rows("select type, count(*) from eventkit.outbox group by type"):
            emitted[kind] = emitted.get(kind, 0) + count
    for name, types in handled.items():
        own = sum(count for kind, count in emitted.items() if kind in types or types == ["#"])
        [(seen, stuck)] = readers[name](
            "select count(*), count(*) filter (where state <> 'handled') from eventkit.inbox"
        )
        if stuck:
            raise Ended(f"{name} holds {stuck} events")
        if seen < own:
            return None
    return sum(emitted.values())

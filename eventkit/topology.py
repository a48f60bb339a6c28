"""What lies on the broker, as code: wanted, found, and how to get from one to the other.

Exchanges, queues and bindings are declared by an administrator's account; services have no right to. Definitions
files only ever add, so removing is done here too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from contracts.register import FACTS
from eventkit import broker
from eventkit.definition import ServiceDefinition
from eventkit.errors import BrokenTopology

VHOST = "liaison"
INTAKE_QUEUE = "gateway.intake"
VERDICTS = "liaison.verdicts"
_QUORUM: dict[str, Any] = {"x-queue-type": "quorum", "x-single-active-consumer": True}


class Exchange(msgspec.Struct, frozen=True, order=True):
    """A durable exchange. hash_header: for consistent-hash exchanges, the header that decides the queue."""

    name: str
    kind: str
    hash_header: str = ""


class Queue(msgspec.Struct, frozen=True, order=True):
    """A durable queue; quorum queues have a single active consumer, so that order survives a change of replicas."""

    name: str
    quorum: bool = True


class Binding(msgspec.Struct, frozen=True, order=True):
    """A route from an exchange to a queue or another exchange."""

    source: str
    target: str
    target_is_queue: bool
    key: str


class Topology(msgspec.Struct, frozen=True):
    """Everything that the broker should hold, or holds."""

    exchanges: frozenset[Exchange]
    queues: frozenset[Queue]
    bindings: frozenset[Binding]


class Rights(msgspec.Struct, frozen=True):
    """What an account may do: regular expressions over names, and over routing keys of topic exchanges."""

    name: str
    configure: str
    write: str
    read: str
    topic_writes: dict[str, str]


def partition_parts(
    service: str, types: Iterable[str], generation: int, partitions: int
) -> tuple[list[Exchange], list[Queue], list[Binding]]:
    """Return one generation of a service's queues: a hash exchange on the partition key, and a queue a partition."""
    front = broker.partition_exchange(service, generation)
    queues = [Queue(broker.queue_name(service, generation, number)) for number in range(partitions)]
    bindings = [Binding(broker.EVENTS, front, False, key) for key in types]
    bindings += [Binding(front, queue.name, True, "1") for queue in queues]
    return [Exchange(front, "x-consistent-hash", "ce-partitionkey")], queues, bindings


def handled_types(definition: ServiceDefinition) -> list[str]:
    """Return the routing keys that a service binds."""
    return ["#"] if definition.takes_everything else sorted(definition.handlers)


def wanted(definitions: Sequence[ServiceDefinition], found: Topology) -> Topology:
    """Return what should be there. Each service's generation and number of partitions are kept as found."""
    exchanges = [
        Exchange(broker.EVENTS, "topic"),
        Exchange(broker.INTAKE, "topic"),
        Exchange(VERDICTS, "direct"),
        Exchange(broker.RPC, "direct"),
        Exchange(broker.REPLIES, "direct"),
    ]
    queues, bindings = [Queue(INTAKE_QUEUE)], [Binding(broker.INTAKE, INTAKE_QUEUE, True, "#")]
    for definition in definitions:
        if types := handled_types(definition):
            parts = _consumed(definition.name, types, found)
            exchanges += parts[0]
            queues += parts[1]
            bindings += parts[2]
        if definition.handlers or definition.methods:
            queues.append(Queue(broker.rpc_queue(definition.name), quorum=False))
            bindings.append(Binding(broker.RPC, broker.rpc_queue(definition.name), True, definition.name))
    return Topology(frozenset(exchanges), frozenset(queues), frozenset(bindings))


def _consumed(service: str, types: Iterable[str], found: Topology) -> tuple[list[Exchange], list[Queue], list[Binding]]:
    """Return what lies in front of a service, in the generation that is there.

    Two generations lie there while `liaison partitions set` runs, or after it was cut off. Their order depends on what
    is bound to which, so everything stays as it is until running that command again ends it.
    """
    generations = generations_of(service, found)
    if len(generations) < 2:
        generation, partitions = next(iter(generations.items()), (1, 1))
        return partition_parts(service, types, generation, partitions)
    ours = re.compile(rf"{re.escape(service)}\.\d+(\.\d+)?")
    return (
        [one for one in found.exchanges if ours.fullmatch(one.name)],
        [one for one in found.queues if ours.fullmatch(one.name)],
        [one for one in found.bindings if ours.fullmatch(one.target)],
    )


def generations_of(service: str, found: Topology) -> dict[int, int]:
    """Return the generations of a service's queues on the broker, each with its number of queues."""
    pattern = re.compile(rf"{re.escape(service)}\.(\d+)\.\d+")
    numbers = (int(match[1]) for queue in found.queues if (match := pattern.fullmatch(queue.name)))
    return dict(sorted(Counter(numbers).items()))


def rights_of(definition: ServiceDefinition) -> Rights:
    """Return the least rights of a service: its own queues, and only the types that it emits."""
    name = re.escape(definition.name)
    types = [re.escape(key) for key, fact in FACTS.items() if fact.emitter() == definition.name]
    writes = [re.escape(broker.EVENTS), re.escape(broker.REPLIES)]
    reads = [rf"{name}\..*"]
    if definition.name == "gateway":
        writes += [re.escape(broker.RPC), re.escape(VERDICTS), r"gateway\.reply\..*"]
        reads += [re.escape(broker.REPLIES)]
    return Rights(
        definition.name,
        configure=rf"^{name}\.(relay|reply\..*)$",
        write=f"^({'|'.join(writes)})$",
        read=f"^({'|'.join(reads)})$",
        topic_writes={broker.EVENTS: f"^({'|'.join(types)})$" if types else "^$"},
    )


class Administration:
    """The broker's management API, with an administrator's account."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api", auth=(user, password), timeout=10, trust_env=False)

    def close(self) -> None:
        """Close the connections to the management API."""
        self._http.close()

    def _call(self, method: str, path: str, body: Any = None, ok: Collection[int] = (200, 201, 204)) -> Any:
        answer = self._http.request(method, path, json=body)
        if answer.status_code not in ok:
            raise BrokenTopology(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content and answer.status_code == 200 else None

    def found(self) -> Topology:
        """Return what is there now, without the broker's own parts and what belongs to single connections."""
        exchanges = frozenset(
            Exchange(one["name"], one["type"], str(one["arguments"].get("hash-header", "")))
            for one in self._call("GET", f"/exchanges/{VHOST}")
            if one["name"] and not one["name"].startswith("amq.")
        )
        queues = frozenset(
            Queue(one["name"], all(one["arguments"].get(name) == value for name, value in _QUORUM.items()))
            for one in self._call("GET", f"/queues/{VHOST}?columns=name,arguments,exclusive")
            if not one.get("exclusive")
        )
        names = {queue.name for queue in queues} | {exchange.name for exchange in exchanges}
        bindings = frozenset(
            Binding(one["source"], one["destination"], one["destination_type"] == "queue", one["routing_key"])
            for one in self._call("GET", f"/bindings/{VHOST}")
            if one["source"] and one["destination"] in names
        )
        return Topology(exchanges, queues, bindings)

    def waiting(self, queue: str) -> int:
        """Return how many messages a queue holds, delivered ones included; 0 for a queue that is not there."""
        answer = self._http.get(f"/queues/{VHOST}/{quote(queue, safe='')}")
        if answer.status_code == 404:
            return 0
        return int(answer.json().get("messages", 1))

    def declare(self, part: Exchange | Queue | Binding) -> None:
        """Create a part; one that is there already stays."""
        if isinstance(part, Exchange):
            arguments: dict[str, Any] = {"hash-header": part.hash_header} if part.hash_header else {}
            body = {"type": part.kind, "durable": True, "arguments": arguments}
            self._call("PUT", f"/exchanges/{VHOST}/{quote(part.name, safe='')}", body)
        elif isinstance(part, Queue):
            arguments = _QUORUM if part.quorum else {}
            self._call("PUT", f"/queues/{VHOST}/{quote(part.name, safe='')}", {"durable": True, "arguments": arguments})
        else:
            self._call("POST", self._route(part), {"routing_key": part.key})

    def limit(self, name: str, queues: str, *, most: int) -> None:
        """Let queues keep their newest `most` messages. name: of the policy. queues: a regular expression over names.

        A policy, since an argument of a queue cannot be changed once the queue is there.
        """
        definition = {"max-length": most, "overflow": "drop-head"}
        body = {"pattern": queues, "definition": definition, "apply-to": "queues"}
        self._call("PUT", f"/policies/{VHOST}/{quote(name, safe='')}", body)

    def remove(self, part: Exchange | Queue | Binding, *, even_full: bool = False) -> None:
        """Delete a part. Raises BrokenTopology for a queue that still holds messages, unless those may go with it."""
        if isinstance(part, Exchange):
            self._call("DELETE", f"/exchanges/{VHOST}/{quote(part.name, safe='')}", ok=(204, 404))
        elif isinstance(part, Queue):
            # The broker refuses `if-empty` for quorum queues, so we look first.
            if not even_full and (waiting := self.waiting(part.name)):
                raise BrokenTopology(f"queue {part.name} still holds {waiting} messages; let its service handle them")
            self._call("DELETE", f"/queues/{VHOST}/{quote(part.name, safe='')}", ok=(204, 404))
        else:
            self._call("DELETE", f"{self._route(part)}/{quote(part.key, safe='') or '~'}", ok=(204, 404))

    @staticmethod
    def _route(part: Binding) -> str:
        kind = "q" if part.target_is_queue else "e"
        return f"/bindings/{VHOST}/e/{quote(part.source, safe='')}/{kind}/{quote(part.target, safe='')}"

    def cut_off(self, account: str) -> None:
        """Close every connection that an account has open."""
        self._call("DELETE", f"/connections/username/{quote(account, safe='')}", ok=(204, 404))

    def revoke(self, account: str) -> None:
        """Remove an account with its rights, and close its connections; does nothing if there is none."""
        self._call("DELETE", f"/users/{quote(account, safe='')}", ok=(204, 404))
        self.cut_off(account)

    def grant(self, rights: Rights, password: str) -> None:
        """Create or change an account."""
        user = quote(rights.name, safe="")
        self._call("PUT", f"/users/{user}", {"password": password, "tags": ""})
        body = {"configure": rights.configure, "write": rights.write, "read": rights.read}
        self._call("PUT", f"/permissions/{VHOST}/{user}", body)
        for exchange, pattern in rights.topic_writes.items():
            topic = {"exchange": exchange, "write": pattern, "read": ".*"}
            self._call("PUT", f"/topic-permissions/{VHOST}/{user}", topic)


def difference(want: Topology, have: Topology) -> tuple[list[Any], list[Any]]:
    """Return what to create and what to remove, each in an order that works."""
    ours = (*(f"{part.name.partition('.')[0]}." for part in want.queues), "liaison.")
    create: list[Any] = sorted(want.exchanges - have.exchanges)
    create += sorted(want.queues - have.queues)
    create += sorted(want.bindings - have.bindings)
    gone_bindings = [one for one in have.bindings - want.bindings if one.target.startswith(ours)]
    remove: list[Any] = sorted(gone_bindings)
    remove += sorted(one for one in have.queues - want.queues if one.name.startswith(ours))
    remove += sorted(one for one in have.exchanges - want.exchanges if one.name.startswith(ours))
    return create, remove


def apply(admin: Administration, definitions: Sequence[ServiceDefinition]) -> tuple[list[Any], list[Any]]:
    """Make the broker hold what is wanted and return what was created and removed."""
    have = admin.found()
    create, remove = difference(wanted(definitions, have), have)
    for part in create:
        admin.declare(part)
    for part in remove:
        admin.remove(part)
    return create, remove

"""Questions and commands that wait for an answer, over the broker.

A call carries its deadline: past it, nobody executes it any more. A command carries a key: its answer is stored in
its own transaction, so that the same command sent again gets the same answer and changes nothing. Errors of ours
cross as themselves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from time import monotonic, perf_counter, time
from typing import Any

import amqp
import msgspec
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from contracts.markings import advice_on, marked_field
from eventkit import broker, errors
from eventkit.database import is_lost_connection, is_overtaken, is_serialization_failure
from eventkit.definition import Method, ServiceDefinition
from eventkit.envelope import new_id
from eventkit.errors import DeadlinePassed, LiaisonError, NotFound, RuleBroken, TryLater, Unavailable
from eventkit.telemetry import ServiceMetrics, log
from eventkit.work import Work

WORKERS = 8
# How long calls that were taken are waited for when the service stops.
_FINISH_S = 10.0
_CROSSING: tuple[type[RuleBroken | DeadlinePassed | Unavailable], ...] = (
    RuleBroken,
    NotFound,
    DeadlinePassed,
    Unavailable,
)


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call on the wire. deadline: seconds since the epoch. key: the caller's idempotency key, for commands.

    traceparent: the trace that what the call emits will belong to.
    """

    method: str
    arguments: dict[str, Any]
    deadline: float
    key: str | None = None
    actor: str | None = None
    traceparent: str | None = None


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer on the wire: the value, or the error's class name with its reason and field."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    reason: str = ""
    field: str = ""


def event_state(work: Work, arguments: Mapping[str, Any]) -> Any:
    """Answer what this service made of an event: handled, held, dead, discarded, or None when it never came.

    Every service answers it, so that the door can tell publishers by whom their event was handled.
    """
    row = work.connection.execute(
        text(
            "select i.state, h.reason from eventkit.inbox i left join eventkit.held_event h using (source, id)"
            " where i.source = :source and i.id = :id"
        ),
        {"source": str(arguments["source"]), "id": str(arguments["id"])},
    ).one_or_none()
    return None if row is None else {"state": row.state, "reason": row.reason}


BUILT_IN = {"event_state": Method("event_state", event_state, is_command=False)}


def _reply_error(error: LiaisonError) -> Reply:
    return Reply(error=type(error).__name__, reason=str(error), field=getattr(error, "field", ""))


def _raise_reply(reply: Reply) -> None:
    for kind in _CROSSING:
        if kind.__name__ == reply.error:
            raise kind(reply.reason, field=reply.field)
    raise Unavailable(f"{reply.error}: {reply.reason}")


class MethodCalling:
    """Answers calls, each in a transaction of its own."""

    def __init__(self, definition: ServiceDefinition, engine: Engine, on_commit: Callable[[Work], None]) -> None:
        self._definition = definition
        self._engine = engine
        self._on_commit = on_commit

    def answer(self, call: Call) -> Reply:
        """Execute a call unless its deadline has passed or its answer is stored already. Raises nothing of ours."""
        try:
            method = self._definition.methods.get(call.method) or BUILT_IN.get(call.method)
            if method is None:
                raise NotFound(f"{self._definition.name} answers no {call.method!r}")
            was_overtaken = False
            while True:
                if time() >= call.deadline:
                    raise DeadlinePassed(f"{call.method} was not begun before its deadline")
                try:
                    return self._execute(method, call)
                except DBAPIError as error:
                    if not is_serialization_failure(error) and (was_overtaken or not is_overtaken(error)):
                        raise
                    was_overtaken = was_overtaken or is_overtaken(error)
        except (RuleBroken, DeadlinePassed, Unavailable) as error:
            return _reply_error(error)
        except TryLater as error:
            return _reply_error(Unavailable(str(error)))
        except DBAPIError as error:
            log.exception("call failed", extra={"method": call.method})
            lost = is_lost_connection(error)
            return _reply_error(Unavailable("the database is away" if lost else "the call broke its transaction"))
        except Exception as error:  # A fault of ours is logged here and crosses as Unavailable, without its details.
            log.exception("call failed", extra={"method": call.method})
            return _reply_error(Unavailable(f"internal error: {type(error).__name__}"))

    def _execute(self, method: Method, call: Call) -> Reply:
        if method.is_command:
            _refuse_marked(call.arguments)
        keyed = method.is_command and call.key is not None
        with self._engine.begin() as connection:
            if keyed and (stored := _stored_answer(connection, call)) is not None:
                return stored
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source=self._definition.source, now=now)
            work.actor, work.traceparent, work.may_emit = call.actor, call.traceparent, method.emits
            reply = Reply(value=msgspec.Raw(msgspec.json.encode(method.call(work, call.arguments))))
            work.flush()
            if keyed:
                connection.execute(
                    text(
                        "insert into eventkit.answer (key, method, answer, digest)"
                        " values (:key, :method, :answer, :digest)"
                    ),
                    {
                        "key": call.key,
                        "method": call.method,
                        "answer": bytes(reply.value),
                        "digest": _digest(call.arguments),
                    },
                )
        self._on_commit(work)
        return reply


def _refuse_marked(arguments: Mapping[str, Any]) -> None:
    """Keep state secrets out of every service (S6). Raises RuleBroken with advice.

    A question may ask for anything: it changes nothing, and what is noted of one for later is searched where it is
    noted (knowledge, `miss_of`).
    """
    if marked := marked_field(arguments):
        raise RuleBroken(advice_on(marked[1]), field=marked[0])


def _stored_answer(connection: Any, call: Call) -> Reply | None:
    # The same command twice at once: the second waits here for the first, and then finds its answer.
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": call.key})
    row = connection.execute(
        text("select method, answer, digest from eventkit.answer where key = :key"), {"key": call.key}
    ).one_or_none()
    if row is None:
        return None
    if row.method != call.method:
        raise RuleBroken(f"the key was used for {row.method} before", field="idempotency-key")
    if row.digest is not None and bytes(row.digest) != _digest(call.arguments):
        raise RuleBroken("the key was used for something else before", field="idempotency-key")
    return Reply(value=msgspec.Raw(bytes(row.answer)))


def _digest(arguments: Mapping[str, Any]) -> bytes:
    """Return what tells two questions apart. The caller's scope may change between two tries of one command."""
    asked = {name: value for name, value in arguments.items() if name != "scope"}
    return sha256(msgspec.json.encode(asked, order="deterministic")).digest()


class RpcServer:
    """Takes calls from the service's queue and answers them in a few threads."""

    def __init__(self, uri: str, service: str, calling: MethodCalling, metrics: ServiceMetrics) -> None:
        self._uri = uri
        self._service = service
        self._calling = calling
        self._metrics = metrics
        self._stopping = threading.Event()
        self._todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._workers = [threading.Thread(target=self._work, name=f"rpc {n}", daemon=True) for n in range(WORKERS)]
        self._writing = threading.Lock()
        self._connection: Any = None
        self.problem: str | None = "starting"
        self.last_seen = monotonic()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    def run(self) -> None:
        """Answer calls until stopped, through any outage of the broker."""
        for worker in self._workers:
            worker.start()
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            try:
                self._serve()
            except broker.LOST as error:
                self.problem = f"broker: {type(error).__name__}: {error}"
                log.warning("rpc lost the broker", extra={"problem": self.problem})
            finally:
                broker.close_quietly(self._connection)
            if not self._stopping.is_set():
                self._stopping.wait(1.0)
        self._finish()

    def _serve(self) -> None:
        self._connection = broker.connect(self._uri, name=f"rpc {self._service}")
        channel = self._connection.channel()
        channel.basic_qos(0, WORKERS * 4, False)
        tag = channel.basic_consume(broker.rpc_queue(self._service), callback=lambda m: self._todo.put((channel, m)))
        self.problem = None
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            broker.drain(self._connection, broker.LOOK_S)
            with self._writing:
                self._connection.heartbeat_tick()
        with self._writing:
            channel.basic_cancel(tag)
        self._finish()

    def _finish(self) -> None:
        """Have what was taken answered, as long as the connection is there, and end the workers."""
        workers, self._workers = self._workers, []
        for _ in workers:
            self._todo.put(None)
        deadline = monotonic() + _FINISH_S
        for worker in workers:
            worker.join(max(deadline - monotonic(), 0.0))

    def _work(self) -> None:
        while (item := self._todo.get()) is not None:
            channel, message = item
            started = perf_counter()
            reply = self._answer(message)
            self._metrics.rpc_duration.observe(perf_counter() - started)
            try:
                with self._writing:
                    self._send(channel, message, reply)
                    channel.basic_ack(message.delivery_tag)
            except (*broker.LOST, AttributeError):
                # The caller will send the call again; a command's answer is stored.
                log.warning("an answer was lost with the connection")

    def _answer(self, message: Any) -> Reply:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        try:
            call = msgspec.json.decode(body, type=Call)
        except msgspec.DecodeError as error:
            return _reply_error(RuleBroken(f"not a call: {error}"))
        return self._calling.answer(call)

    def _send(self, channel: Any, message: Any, reply: Reply) -> None:
        properties = message.properties
        channel.basic_publish(
            amqp.Message(msgspec.json.encode(reply), correlation_id=properties.get("correlation_id", "")),
            exchange=broker.REPLIES,
            routing_key=properties.get("reply_to", ""),
        )


class RpcClient:
    """Calls services from plain threads; one connection, any number of calls at once.

    account: the caller's service name, in whose namespace the reply queue lies.
    """

    def __init__(self, uri: str, account: str) -> None:
        self._uri = uri
        self._account = account
        self._reply_queue = f"{account}.reply.{new_id()}"
        self._writing = threading.Lock()
        self._waiting: dict[str, queue.SimpleQueue[Reply]] = {}
        self._stopping = threading.Event()
        self._channel: Any = None
        self._thread = threading.Thread(target=self._run, name="rpc client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the connection; calls under way end with Unavailable."""
        self._stopping.set()
        self._thread.join(timeout=3)

    @property
    def connected(self) -> bool:
        """Whether calls can be sent now."""
        return self._channel is not None

    def call(
        self,
        service: str,
        method: str,
        arguments: Mapping[str, Any],
        *,
        deadline_s: float = 5.0,
        key: str | None = None,
        actor: str | None = None,
        traceparent: str | None = None,
    ) -> Any:
        """Return the answer's value, decoded from JSON.

        deadline_s: how long to wait. key: makes a command safe to send again. traceparent: the trace it belongs to.
        Raises what the method raised (RuleBroken, NotFound), DeadlinePassed, or Unavailable.
        """
        call = Call(method, dict(arguments), time() + deadline_s, key, actor, traceparent)
        correlation, answers = new_id(), queue.SimpleQueue[Reply]()
        self._waiting[correlation] = answers
        try:
            self._publish(service, call, correlation, deadline_s)
            reply = answers.get(timeout=deadline_s)
        except queue.Empty:
            raise DeadlinePassed(f"{service} did not answer {method} within {deadline_s:g} s") from None
        finally:
            del self._waiting[correlation]
        if reply.error is not None:
            _raise_reply(reply)
        return msgspec.json.decode(reply.value)

    def _publish(self, service: str, call: Call, correlation: str, deadline_s: float) -> None:
        message = amqp.Message(
            msgspec.json.encode(call),
            correlation_id=correlation,
            reply_to=self._reply_queue,
            expiration=str(int(deadline_s * 1000)),
        )
        channel = self._channel
        if channel is None:
            raise Unavailable("the broker is away")
        try:
            with self._writing:
                channel.basic_publish(message, exchange=broker.RPC, routing_key=service, mandatory=True)
        except (*broker.LOST, AttributeError) as error:
            raise Unavailable(f"the broker is away: {type(error).__name__}") from error

    def _run(self) -> None:
        connection = None
        while not self._stopping.is_set():
            try:
                connection = broker.connect(self._uri, name=f"rpc client {self._account}")
                channel = connection.channel()
                channel.queue_declare(self._reply_queue, exclusive=True, auto_delete=True)
                channel.queue_bind(self._reply_queue, broker.REPLIES, self._reply_queue)
                channel.basic_consume(self._reply_queue, no_ack=True, callback=self._on_reply)
                channel.events["basic_return"].add(self._on_return)
                self._channel = channel
                while not self._stopping.is_set():
                    broker.drain(connection, broker.LOOK_S)
                    with self._writing:
                        connection.heartbeat_tick()
            except broker.LOST as error:
                log.warning("rpc client lost the broker", extra={"problem": type(error).__name__})
                self._fail_all()
                self._stopping.wait(0.5)
            finally:
                self._channel = None
                broker.close_quietly(connection)
                connection = None
        self._fail_all()

    def _on_return(self, exception: Any, exchange: str, routing_key: str, message: Any) -> None:
        answers = self._waiting.get(message.properties.get("correlation_id", ""))
        if answers is not None:
            answers.put(Reply(error=errors.Unavailable.__name__, reason=f"nobody answers calls to {routing_key}"))

    def _on_reply(self, message: Any) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        answers = self._waiting.get(message.properties.get("correlation_id", ""))
        if answers is not None:
            answers.put(msgspec.json.decode(body, type=Reply))

    def _fail_all(self) -> None:
        for answers in list(self._waiting.values()):
            answers.put(Reply(error=errors.Unavailable.__name__, reason="the broker went away during the call"))

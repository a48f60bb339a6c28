"""What a service class is written with: entrypoints and dependencies, on nameko.

    class NotifyService:
        name = "notify"
        store = Stored(NotifyStore)

        @handles(TicketOpened)
        def on_ticket_opened(self, event):
            usecases.tell_assignee(self.store, event)

One instance of the class serves one transaction: a batch of events, a batch of timers, a call.
"""

from __future__ import annotations

import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from nameko.containers import ServiceContainer, WorkerContext
from nameko.extensions import DependencyProvider, Entrypoint, SharedExtension
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from contracts.fact import Fact
from eventkit.definition import Done, Effect, Failed, Handler, Job, Method, ServiceDefinition, Unknown
from eventkit.errors import BadSettings
from eventkit.process import ProcessSettings, ServiceProcess
from eventkit.timers import Timer
from eventkit.work import Work

M = TypeVar("M", bound=Callable[..., Any])


class _Hosting(SharedExtension):  # type: ignore[misc]
    """Runs the service's loops for as long as the container runs."""

    process: ServiceProcess | None = None

    def setup(self) -> None:
        definition = definition_from(self.container)
        settings = ProcessSettings.from_env(self.container.config)
        self.process = ServiceProcess(definition, settings, service_folder(self.container.service_cls))
        for provider in self.container.dependencies:
            if isinstance(provider, Attached):
                provider.attach(self.process)

    def start(self) -> None:
        if self.process is not None:
            self.process.start()

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()


class _LiaisonEntrypoint(Entrypoint):  # type: ignore[misc]
    hosting = _Hosting()


class Handles(_LiaisonEntrypoint):
    """The method handles one event type; see `Handler` for what the options mean. preload: a method's name."""

    def __init__(
        self,
        fact: type[Fact],
        *,
        preload: str | None = None,
        emits: Iterable[type[Fact]] = (),
        ordered: bool = True,
    ) -> None:
        super().__init__()
        self.fact, self.preload, self.emits, self.ordered = fact, preload, frozenset(emits), ordered


class Fires(_LiaisonEntrypoint):
    """The method is what timers of this kind do; see `Effect`. preload: a method's name."""

    def __init__(self, kind: str, *, preload: str | None = None, emits: Iterable[type[Fact]] = ()) -> None:
        super().__init__()
        self.kind, self.preload, self.emits = kind, preload, frozenset(emits)


class Records(_LiaisonEntrypoint):
    """The method records what came of a job of this kind; see `Job`. call: the method that makes the call."""

    def __init__(
        self,
        kind: str,
        *,
        call: str,
        repeat_after_crash: bool,
        preload: str | None = None,
        lease_s: float = 60.0,
        emits: Iterable[type[Fact]] = (),
    ) -> None:
        super().__init__()
        self.kind, self.call, self.preload, self.lease_s = kind, call, preload, lease_s
        self.repeat_after_crash, self.emits = repeat_after_crash, frozenset(emits)


class Answers(_LiaisonEntrypoint):
    """The method answers calls of its own name. command: it changes something, and its answer is kept by key."""

    def __init__(self, *, command: bool = False, emits: Iterable[type[Fact]] = ()) -> None:
        super().__init__()
        self.command, self.emits = command, frozenset(emits)


def handles(
    fact: type[Fact], *, preload: str | None = None, emits: Iterable[type[Fact]] = (), ordered: bool = True
) -> Callable[[M], M]:
    """Have a method handle one event type; see `Handler`. preload: the name of a method that takes the batch."""
    return cast(Callable[[M], M], Handles.decorator(fact, preload=preload, emits=emits, ordered=ordered))


def fires(kind: str, *, preload: str | None = None, emits: Iterable[type[Fact]] = ()) -> Callable[[M], M]:
    """Have a method be what timers of a kind do; see `Effect`. preload: the name of a method that takes the batch."""
    return cast(Callable[[M], M], Fires.decorator(kind, preload=preload, emits=emits))


def records(
    kind: str,
    *,
    call: str,
    repeat_after_crash: bool,
    preload: str | None = None,
    lease_s: float = 60.0,
    emits: Iterable[type[Fact]] = (),
) -> Callable[[M], M]:
    """Have a method record what came of jobs of a kind; see `Job`.

    call: the name of the method that takes the job and makes the call, outside a transaction: it has no store, only
    what is `Configured` and what is `Outside`. preload: the name of a method that takes the jobs to be recorded.
    """
    options: dict[str, Any] = {"call": call, "repeat_after_crash": repeat_after_crash, "preload": preload}
    return cast(
        Callable[[M], M],
        Records.decorator(kind, lease_s=lease_s, emits=emits, **options),
    )


def answers(*, command: bool = False, emits: Iterable[type[Fact]] = ()) -> Callable[[M], M]:
    """Have a method answer calls of its own name. command: it changes something, and its answer is kept by key."""
    return cast(Callable[[M], M], Answers.decorator(command=command, emits=emits))


class Stored(DependencyProvider):  # type: ignore[misc]
    """Gives the service its store, made for the transaction under way: `store = Stored(NotifyStore)`."""

    def __init__(self, store: Callable[[Work], Any]) -> None:
        super().__init__()
        self._store = store

    def get_dependency(self, worker_ctx: WorkerContext) -> Any:
        return self._store(worker_ctx.data["work"])


class Configured(DependencyProvider):  # type: ignore[misc]
    """Gives the service its settings, read once from the environment: `settings = Configured(Settings.from_env)`."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self._read = read
        self._value: Any = None

    def setup(self) -> None:
        self._value = self._read(self.container.config)

    def get_dependency(self, worker_ctx: WorkerContext) -> Any:
        return self._value


class AtStart(DependencyProvider):  # type: ignore[misc]
    """Does something before the service takes anything up: `dictionaries = AtStart(warm_up)`."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self._action = action

    def setup(self) -> None:
        self._action()

    def get_dependency(self, worker_ctx: WorkerContext) -> None:
        return None


class Attached(DependencyProvider, ABC):  # type: ignore[misc]
    """What needs the process that the service runs in."""

    @abstractmethod
    def attach(self, process: ServiceProcess) -> None:
        """Take the process, before it starts."""


class Outside(Attached):
    """Gives the service what it calls the outside with, one for the process: `mailer = Outside(Mailer.opened)`.

    make: takes the environment, and an engine whose statements each stand for themselves: a call has no transaction.
    """

    def __init__(self, make: Callable[[Mapping[str, str], Engine], Any]) -> None:
        super().__init__()
        self._make = make
        self._process: ServiceProcess | None = None
        self._made: list[Any] = []
        self._making = threading.Lock()

    def attach(self, process: ServiceProcess) -> None:
        """Use this process's engine."""
        self._process = process

    def get_dependency(self, worker_ctx: WorkerContext) -> Any:
        with self._making:
            if not self._made and self._process is not None:
                self._made.append(self._make(self.container.config, self._process.glance))
        return self._made[0] if self._made else None


class Shows(Attached):
    """Shows more numbers on this service's own `/metrics`: `waiting = Shows(WaitingMails)`.

    make: takes the environment, and the process's engine.
    """

    def __init__(self, make: Callable[[Mapping[str, str], Engine], Collector]) -> None:
        super().__init__()
        self._make = make

    def attach(self, process: ServiceProcess) -> None:
        """Have the process show them."""
        process.metrics.registry.register(self._make(self.container.config, process.engine))

    def get_dependency(self, worker_ctx: WorkerContext) -> None:
        return None


class Page(Attached):
    """Serves one more page of Prometheus text from this service's port: `facts = Page("/facts", content)`.

    content: makes the page from the process, whose engine it may read with.
    """

    def __init__(self, path: str, content: Callable[[ServiceProcess], bytes]) -> None:
        super().__init__()
        self._path, self._content = path, content

    def attach(self, process: ServiceProcess) -> None:
        """Have the process serve the page."""
        process.add_page(self._path, lambda: self._content(process))

    def get_dependency(self, worker_ctx: WorkerContext) -> None:
        return None


def service_folder(service_class: type) -> Path:
    """Return the folder of the service's package, where its migrations lie."""
    return Path(inspect.getfile(service_class)).parent


def define(service_class: type, config: Mapping[str, str] | None = None) -> ServiceDefinition:
    """Return what a service class does, without nameko running it: for tools, tests and benchmarks.

    config: the environment to read settings from, for those who will run the definition.
    """
    container = ServiceContainer(service_class, dict(config or {}))
    if config is not None:
        for provider in container.dependencies:
            provider.setup()
    return definition_from(container)


def definition_from(container: ServiceContainer) -> ServiceDefinition:
    """Return what a container's service does, from its entrypoints."""
    handlers, effects, jobs, methods = {}, {}, {}, {}
    for entrypoint in container.entrypoints:
        run = _Runner(container, entrypoint)
        name = entrypoint.method_name
        if isinstance(entrypoint, Handles):
            if entrypoint.fact.TYPE in handlers:
                raise BadSettings(f"{container.service_name} handles {entrypoint.fact.TYPE} twice")
            handlers[entrypoint.fact.TYPE] = Handler(
                entrypoint.fact, run.method(name), run.batch(entrypoint.preload), entrypoint.emits, entrypoint.ordered
            )
        elif isinstance(entrypoint, Fires):
            effects[entrypoint.kind] = Effect(
                entrypoint.kind, run.method(name), run.batch(entrypoint.preload), entrypoint.emits
            )
        elif isinstance(entrypoint, Records):
            jobs[entrypoint.kind] = Job(
                entrypoint.kind,
                run.call(entrypoint.call),
                run.outcome(name),
                entrypoint.repeat_after_crash,
                entrypoint.lease_s,
                entrypoint.emits,
                run.batch(entrypoint.preload),
            )
        elif isinstance(entrypoint, Answers):
            methods[name] = Method(name, run.method(name), entrypoint.command, entrypoint.emits)
    everything = bool(getattr(container.service_cls, "takes_everything", False))
    gather_s = float(getattr(container.service_cls, "gather_s", 0.0))
    return ServiceDefinition(container.service_name, handlers, effects, jobs, methods, everything, gather_s)


class _Runner:
    """Calls methods of a service instance that lives as long as a unit of work."""

    def __init__(self, container: ServiceContainer, entrypoint: Entrypoint) -> None:
        self._container = container
        self._entrypoint = entrypoint

    def service(self, work: Work) -> Any:
        """Return the instance for this unit of work, with its dependencies injected."""
        instance = work.scope.get("service")
        if instance is None:
            instance = work.scope["service"] = self._instance(self._container.dependencies, {"work": work})
        return instance

    def call(self, name: str) -> Callable[[Timer], Any]:
        without_store = [each for each in self._container.dependencies if not isinstance(each, Stored)]

        def call(timer: Timer) -> Any:
            return getattr(self._instance(without_store, {}), name)(timer)

        return call

    def _instance(self, providers: Iterable[DependencyProvider], data: Mapping[str, Work]) -> Any:
        instance = self._container.service_cls()
        context = WorkerContext(self._container, instance, self._entrypoint, data=dict(data))
        for provider in providers:
            setattr(instance, provider.attr_name, provider.get_dependency(context))
        return instance

    def method(self, name: str) -> Callable[[Work, Any], Any]:
        return lambda work, argument: getattr(self.service(work), name)(argument)

    def batch(self, name: str | None) -> Callable[[Work, Sequence[Any]], None] | None:
        if name is None:
            return None
        return lambda work, arguments: getattr(self.service(work), name)(arguments)

    def outcome(self, name: str) -> Callable[[Work, Timer, Done | Failed | Unknown], None]:
        return lambda work, timer, outcome: getattr(self.service(work), name)(timer, outcome)

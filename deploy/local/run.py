"""`make run`: the whole of Liaison on this machine, in the foreground."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local import status
from deploy.local.account import UnixAccount, parts_account
from deploy.local.leftovers import end_leftovers, only_run
from deploy.local.pages import unanswered_because
from deploy.local.parts import SERVERS
from deploy.local.ports import move_taken_ports
from deploy.local.program import Program
from deploy.local.refusals import CannotRun
from deploy.local.supervision import Supervision
from deploy.local.waiting import Waiting
from liaison.installation import SERVICES, Installation, NoInstallation, default_home

_SERVERS_TIMEOUT_S = 180.0
_SERVICES_TIMEOUT_S = 60.0
_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """One process of our own, kept running while `make run` is in the foreground.

    name: unique; the log is `logs/<name>.log`.
    environment: all that it sees of the environment besides PATH, HOME and LANG; may hold secrets.
    ready_url: answers 200 when it can work; None if that cannot be asked, then running is enough.
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    ready_url: str | None = None


ServiceProcesses = Sequence[ServiceProcess] | Callable[[Installation], Sequence[ServiceProcess]]


def run(
    services: ServiceProcesses,
    prepare: Callable[[Installation], None],
    main_job: Callable[[Installation], None],
    *,
    home: Path | None = None,
) -> None:
    """Start everything in stages, do the main job, stay until Ctrl-C or SIGTERM, then stop what was started.

    services: our processes, or what makes them from the installation (whose ports may change at a start).
    prepare: called when the servers are healthy and before any service starts: accounts, migrations, topology.
    main_job: called when the services are healthy.
    Raises: CannotRun with a message for the person at the terminal; whatever `prepare` and `main_job` raise, after
    everything has been stopped.
    """
    home, console = (home or default_home()).absolute(), Console()
    with only_run(home), _ends_as_interrupt():
        try:
            installation, account = _open(home, console)
            listed = services(installation) if callable(services) else services
            _Run(console, installation, account, listed).to_the_end(prepare, main_job)
        except KeyboardInterrupt:
            console.print("stopped")


def _open(home: Path, console: Console) -> tuple[Installation, UnixAccount]:
    if left := end_leftovers(home):
        console.print(f"stopped {left} processes that an earlier run left behind")
    account = parts_account()
    account.must_reach(home)
    try:
        installation = Installation.open_or_make(home)
    except NoInstallation as refusal:
        raise CannotRun(str(refusal)) from None
    names = [*(name for server in SERVERS.values() for name in server.PORTS), "gateway"]
    names += [f"{service}_page" for service in SERVICES]
    installation, moved = move_taken_ports(installation, names)
    account.for_our_code().own(installation.secrets_path)
    for sentence in moved:
        console.print(f"[yellow]{sentence}[/yellow]")
    return installation, account


class _Run:
    """One run, from the first process to the last."""

    def __init__(
        self, console: Console, installation: Installation, account: UnixAccount, services: Sequence[ServiceProcess]
    ) -> None:
        self._console = console
        self._installation = installation
        self._account = account
        self._ready_urls = {service.name: service.ready_url or self._usual_url(service.name) for service in services}
        self._servers = {name: server.programs(installation) for name, server in SERVERS.items()}
        self._services = [self._program(service) for service in services]
        self._supervision = Supervision(installation.home, account)
        self._waiting = Waiting(console, installation.home / "logs", self._supervision.failing)

    def to_the_end(self, prepare: Callable[[Installation], None], main_job: Callable[[Installation], None]) -> None:
        """Start, do the main job, wait for the signal to stop, stop."""
        try:
            self._start_servers()
            prepare(self._installation)
            self._start_services()
            self._say_what_runs_where()
            main_job(self._installation)
            self._console.print("Everything runs. Ctrl-C stops it.")
            self._stay()
        finally:
            self._stop()

    def _start_servers(self) -> None:
        self._console.print("[bold]Servers[/bold]")
        for server in SERVERS.values():
            server.prepare(self._installation, self._account)
        programs = [program for of_one in self._servers.values() for program in of_one]
        self._supervision.open([*programs, *self._services])
        self._supervision.start(program.name for program in programs)
        self._waiting.until_healthy(
            SERVERS, lambda name: status.unhealthy_because(self._installation, name), within_s=_SERVERS_TIMEOUT_S
        )

    def _start_services(self) -> None:
        self._console.print("[bold]Services[/bold]")
        names = [program.name for program in self._services]
        self._supervision.start(names)
        self._waiting.until_healthy(names, self._service_unready_because, within_s=_SERVICES_TIMEOUT_S)

    def _service_unready_because(self, name: str) -> str | None:
        if url := self._ready_urls[name]:
            return unanswered_because(url)
        return None if self._supervision.pids()[name] else "it does not run"

    def _stay(self) -> None:
        """Wait for the signal, and say when a process was started anew."""
        known = self._supervision.pids()
        while self._supervision.is_alive():
            time.sleep(1)
            try:
                now = self._supervision.pids()
            except OSError:
                continue
            for name, pid in now.items():
                if pid and pid != known[name]:
                    self._console.print(f"[yellow]{name} had ended and was started again[/yellow]")
            known = {name: pid or known[name] for name, pid in now.items()}
        raise CannotRun("supervisord has ended unexpectedly: everything else is stopped too")

    def _stop(self) -> None:
        """Stop the services, then the servers; a second Ctrl-C makes it quick and rough."""
        self._console.print("[bold]Stopping[/bold]")
        try:
            if self._supervision.is_alive():
                servers = [of_one[-1].name for of_one in self._servers.values()]
                needed = [program.name for of_one in self._servers.values() for program in of_one[:-1]]
                for stage in ([program.name for program in self._services], servers, needed):
                    self._supervision.stop(stage, within_s=40)
        finally:
            self._supervision.close()
            end_leftovers(self._installation.home)

    def _say_what_runs_where(self) -> None:
        table = Table("part", "address", "healthy")
        for part in status.parts(self._installation):
            table.add_row(part.name, part.url, "[green]yes[/green]" if part.healthy else f"[red]{part.reason}[/red]")
        table.add_row("broker's page", self._installation.management_url, "")
        table.add_row("kept mails", self._installation.smtp_page_url, "")
        self._console.print(table)
        self._console.print(f"Passwords: {self._installation.secrets_path}", soft_wrap=True)
        self._console.print(f"Logs: {self._installation.home / 'logs'}", soft_wrap=True)

    def _usual_url(self, name: str) -> str | None:
        return self._installation.ready_url(name) if name in SERVICES else None

    def _program(self, service: ServiceProcess) -> Program:
        home = self._account.for_our_code().folder(self._installation.home / "services")
        environment = {"HOME": str(home), "PYTHONUNBUFFERED": "1", **service.environment}
        return Program(service.name, tuple(service.command), _CHECKOUT, environment, stop_wait_s=30, ours=True)


@contextmanager
def _ends_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, stop us as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

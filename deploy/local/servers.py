"""Servers for a test run: plain child processes on free ports, gone when the run is gone."""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local import processes
from deploy.local.account import UnixAccount, parts_account
from deploy.local.keeper import Keeper
from deploy.local.parts import ALL_SERVERS
from deploy.local.program import Program
from deploy.local.refusals import NotHealthy
from liaison.installation import Installation

START_TIMEOUT_S = 60.0


class Servers:
    """The running servers of one test installation, and the faults that can be caused to them."""

    def __init__(
        self, installation: Installation, account: UnixAccount, *, temporary: bool = False, in_place: bool = False
    ) -> None:
        self.installation = installation
        self._account = account
        self._in_place = in_place
        self._keeper = Keeper(installation.home if temporary else None)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *parts: str) -> None:
        """Start the parts together and return when all are healthy.

        Raises: NotHealthy after START_TIMEOUT_S seconds, or at once if one ends.
        """
        for part in parts:
            self._launch(part)
        for part in parts:
            self._wait_healthy(part)

    def stop(self, part: str) -> None:
        """Stop a part in order, as an operator would; does nothing if it is not running."""
        for program in reversed(self._programs(part)):
            self._end(program)

    def kill9(self, part: str) -> None:
        """Kill the server and all its children with SIGKILL, at once.

        RabbitMQ 3.10 writes the name of a new quorum queue to disk only after a second or so: one that was declared
        less than 2 s before it is killed stays unusable for ever, confirmed messages or not (measured).
        """
        self._kill(self._programs(part)[-1].name)

    def pause(self, part: str) -> None:
        """Freeze the server and all its children (SIGSTOP): it keeps its connections and answers nobody."""
        processes.signal_tree(self._server(part).pid, signal.SIGSTOP)

    def resume(self, part: str) -> None:
        """Let a frozen server go on (SIGCONT) and return when it is healthy again."""
        processes.signal_tree(self._server(part).pid, signal.SIGCONT)
        self._wait_healthy(part)

    def pid(self, part: str) -> int:
        """Return the process number of a running server."""
        return self._server(part).pid

    def close(self) -> None:
        """End everything that still runs.

        Only PostgreSQL is stopped in order, since it owns shared memory that outlives it. The others are killed:
        RabbitMQ alone takes 6 s to leave, and what they have promised to keep is on the disk.
        """
        try:
            for program in list(self._running):
                if program != "postgresql":
                    self._kill(program)
            if (self.installation.home / "postgresql/data/postmaster.pid").exists():
                # It was killed and left its shared memory: the next start takes that over.
                with suppress(NotHealthy):
                    self.start("postgresql")
            self.stop("postgresql")
        finally:
            self._keeper.close()

    def _programs(self, part: str) -> Sequence[Program]:
        return ALL_SERVERS[part].programs(self.installation)

    def _server(self, part: str) -> subprocess.Popen[bytes]:
        return self._running[self._programs(part)[-1].name]

    def _launch(self, part: str) -> None:
        ALL_SERVERS[part].prepare(self.installation, self._account)
        for program in self._programs(part):
            if program.name not in self._running:
                placed = program.in_its_place() if self._in_place else program
                process = placed.start(self.installation.home, self._account)
                self._keeper.watch(process.pid, program.stop_signal)
                self._running[program.name] = process

    def _wait_healthy(self, part: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while reason := ALL_SERVERS[part].unhealthy_because(self.installation):
            ended = self._server(part).poll()
            if ended is not None or time.monotonic() > deadline:
                state = "still runs" if ended is None else f"ended with {ended}"
                raise NotHealthy(f"{part} {state}: {reason}\n{self._end_of_log(part)}")
            time.sleep(0.05)

    def _end_of_log(self, part: str) -> str:
        log = self.installation.home / "logs" / f"{self._programs(part)[-1].name}.log"
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])

    def _kill(self, program: str) -> None:
        running = self._running.pop(program)
        killed = processes.signal_tree(running.pid, signal.SIGKILL)
        running.wait()
        processes.wait_gone(killed, 10)
        self._keeper.forget(running.pid)

    def _end(self, program: Program) -> None:
        running = self._running.pop(program.name, None)
        if running is None:
            return
        family = processes.tree(running.pid)
        processes.signal_tree(running.pid, signal.SIGCONT)
        running.send_signal(getattr(signal, f"SIG{program.stop_signal}"))
        try:
            running.wait(program.stop_wait_s)
        except subprocess.TimeoutExpired:
            processes.signal_tree(running.pid, signal.SIGKILL)
            running.wait()
        for left in processes.wait_gone(family, 5):
            processes.signal_tree(left, signal.SIGKILL)
        self._keeper.forget(running.pid)


@contextmanager
def running_servers(
    home: Path | None = None, parts: Sequence[str] = ("rabbitmq", "postgresql"), *, in_place: bool = False
) -> Iterator[Servers]:
    """Start private servers on free ports in `home` and stop them at the end, with their children.

    home: kept afterwards; without one, a temporary folder is made and removed. Under root it must be a folder that
    the account `liaison` can enter, which pytest's `tmp_path` is not. in_place: with priorities as `make run` has them.
    Raises: NotHealthy, Unreachable, NotInstalled.
    """
    folder, account = home or Path(tempfile.mkdtemp(prefix="liaison-")), parts_account()
    folder.mkdir(parents=True, exist_ok=True)
    if home is None:
        folder.chmod(0o755)
    account.must_reach(folder)
    with _sigterm_as_interrupt():
        servers = Servers(
            Installation.open_or_make(folder, free_ports=True), account, temporary=home is None, in_place=in_place
        )
        try:
            servers.start(*parts)
            yield servers
        finally:
            servers.close()


@contextmanager
def private_servers(
    home: Path | None = None, parts: Sequence[str] = ("rabbitmq", "postgresql")
) -> Iterator[Installation]:
    """Do as `running_servers` for those who need only the addresses."""
    with running_servers(home, parts) as servers:
        yield servers.installation


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, unless the program has its own idea of it."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

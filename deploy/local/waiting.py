"""Waiting for parts to become healthy, in sight of a person."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rich.console import Console

from deploy.local.refusals import NotHealthy

_PAUSE_S = 0.1
# A part that fails at once is given this long to recover by being started again.
_FAILING_GRACE_S = 20.0


class Waiting:
    """Shows a line for each part that has become healthy, and what is still awaited."""

    def __init__(self, console: Console, logs: Path, failing: Callable[[], Mapping[str, str]]) -> None:
        self._console = console
        self._logs = logs
        self._failing = failing

    def until_healthy(
        self, names: Iterable[str], unhealthy_because: Callable[[str], str | None], *, within_s: float
    ) -> None:
        """Return when all parts are healthy.

        Raises: NotHealthy after `within_s` seconds, or after 20 s for a part that ends whenever it is started.
        """
        waiting, began = list(names), time.monotonic()
        with self._console.status("") as status:
            while waiting:
                status.update(f"waiting for {', '.join(waiting)}")
                reasons = {name: unhealthy_because(name) for name in waiting}
                for name in [name for name, reason in reasons.items() if reason is None]:
                    self._console.print(f"  [green]✓[/green] {name} [dim]{time.monotonic() - began:.1f} s[/dim]")
                    waiting.remove(name)
                self._give_up_on(waiting, reasons, time.monotonic() - began, within_s)
                time.sleep(_PAUSE_S if waiting else 0)

    def _give_up_on(
        self, waiting: list[str], reasons: Mapping[str, str | None], passed_s: float, within_s: float
    ) -> None:
        if passed_s < min(within_s, _FAILING_GRACE_S):
            return
        failing = self._failing()
        for name in waiting:
            if passed_s > within_s or name in failing:
                raise NotHealthy(
                    f"{name} is not healthy after {passed_s:.0f} s: {reasons[name]}\n{self._end_of_log(name)}"
                )

    def _end_of_log(self, name: str) -> str:
        log = self._logs / f"{name}.log"
        try:
            return f"The end of {log}:\n" + "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
        except OSError:
            return f"There is no {log}."

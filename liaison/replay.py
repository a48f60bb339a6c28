"""`liaison replay`: another desk's log, published as that desk's own system would publish it.

It uses nothing but what every publisher has: an account of its own, the intake exchange, its reply queue and its
token. So the import takes the same door as everything else, and a second replay is all repeats.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from eventkit import broker
from liaison import servicenow
from liaison.installation import Installation, NoInstallation
from liaison.publication import CannotPublish, Posting, Publication
from liaison.replay_account import NoAccount, ReplayAccount, open_account
from liaison.servicenow import Log, LogEvent, NotALog, Times
from liaison.terminal import console

_VERDICT_TIMEOUT_S = 30.0
_JUDGED_PER_S = 200
_QUIET_S = 1.0
_AS_LIVE_S = 300.0
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the door refused. line: of the row that the event was made from, None for a person."""

    line: int | None
    type: str
    field: str
    reason: str


@dataclass(slots=True)
class Summary:
    """What came of a replay. seconds: of publishing until everything was confirmed.

    judged: whether the door is known to have decided about the last event, so that no refusal is missing.
    """

    log: Log
    events: int = 0
    published: int = 0
    resent: int = 0
    connections: int = 0
    seconds: float = 0.0
    judged: bool = False
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 when every row was read, published and, as far as is known, taken."""
        return 1 if self.log.broken or self.refusals or not self.judged else 0


def posting_of(event: LogEvent, *, history: bool, paced: bool) -> Posting:
    """Return an event in CloudEvents' binary mode, as it goes to the intake."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": servicenow.SOURCE,
        "ce-type": event.type,
        "ce-subject": event.subject,
        "ce-time": event.time.isoformat().replace("+00:00", "Z"),
    }
    if history:
        headers["ce-history"] = "true"
    return Posting(event.id, event.type, headers, event.body, event.time if paced else None)


def publication_of(account: ReplayAccount, events: Sequence[LogEvent], *, as_live: bool) -> Publication:
    """Return what publishes events to the intake. as_live: each at its own time, and not as history."""
    postings = [posting_of(event, history=not as_live, paced=as_live) for event in events]
    return Publication(account.amqp_uri, broker.INTAKE, postings, name=f"replay {account.name}")


def replay_log(
    installation: Installation,
    content: bytes,
    *,
    as_live: bool = False,
    speed: float | None = None,
    twice: bool = False,
    renew: bool = False,
    say: Console = console,
) -> Summary:
    """Publish a log and return what came of it.

    as_live: with today's times, `speed` log seconds in a second (None: all within five minutes), without `history`.
    twice: every event two times, one right after the other.
    renew: give the publisher new secrets when it is there and they are not kept here.
    Raises: NotALog, NoAccount, CannotPublish.
    """
    log = servicenow.read_log(content)
    events = servicenow.log_events(log, _times(log, speed) if as_live else None)
    if not events:
        return Summary(log, judged=True)
    account = open_account(installation, history=not as_live, renew=renew)
    verdicts, first = Verdicts(installation, account), events[0]
    seen = verdicts.times_seen(first.id) or 0
    copies = [event for event in events for _ in range(2 if twice else 1)]
    # The first event once more: when the door has counted it, everything before it has been decided.
    publication = publication_of(account, [*copies, first], as_live=as_live)
    began = time.monotonic()
    with _progress(say, log, len(copies)) as progress:
        publication.run(lambda done: progress.update(TaskID(0), completed=min(done, len(copies))))
    summary = Summary(log, len(events), len(copies), publication.resent, publication.connections)
    summary.seconds = time.monotonic() - began
    with say.status("waiting for the door's verdicts"):
        times = seen + (3 if twice else 2)
        patience_s = _VERDICT_TIMEOUT_S + len(copies) / _JUDGED_PER_S
        summary.judged = verdicts.await_seen(first.id, times, patience_s)
        summary.refusals = verdicts.refusals(events)
    return summary


def _times(log: Log, speed: float | None) -> Times:
    placed = servicenow.in_time_order(log.rows)
    if not placed:
        return Times()
    span_s = max((placed[-1][0] - placed[0][0]).total_seconds(), 1.0)
    begins_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return Times(begins_at, placed[0][0], speed or max(span_s / _AS_LIVE_S, 1.0))


def _progress(say: Console, log: Log, total: int) -> Progress:
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=say
    )
    progress.add_task(f"{len(log.rows)} rows", total=total)
    return progress


class Verdicts:
    """What the door decides, as any publisher can learn it: by asking over HTTP, and from its reply queue."""

    def __init__(self, installation: Installation, account: ReplayAccount) -> None:
        self._url = f"{installation.gateway_url}/v1/publishers/me/events"
        self._account = account

    def times_seen(self, event_id: str) -> int | None:
        """Return how often an event has come, refused ones as 0; None when the door does not answer."""
        headers = {"Authorization": f"Bearer {self._account.token}"}
        try:
            answer = httpx.get(f"{self._url}/{event_id}", headers=headers, timeout=5.0, trust_env=False)
        except httpx.HTTPError:
            return None
        if answer.status_code not in (200, 404):
            return None
        report = answer.json()
        return 1 + int(report.get("repeats", 0)) if report.get("verdict") == "accepted" else 0

    def await_seen(self, event_id: str, times: int, timeout_s: float) -> bool:
        """Wait until an event has come so often; the intake keeps the order, so all before it is decided too."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if (self.times_seen(event_id) or 0) >= times:
                return True
            time.sleep(0.1)
        return False

    def refusals(self, events: Sequence[LogEvent]) -> list[Refusal]:
        """Take everything out of the reply queue and return what concerns these events, each once, by line."""
        by_id = {event.id: event for event in events}
        found: dict[str, Refusal] = {}

        def take(message: Any) -> None:
            verdict = json.loads(message.body)
            if event := by_id.get(verdict.get("id", "")):
                found[event.id] = Refusal(event.line, event.type, verdict.get("field", ""), verdict.get("reason", ""))
            message.channel.basic_ack(message.delivery_tag)

        connection = broker.connect(self._account.amqp_uri, name=f"replay {self._account.name} verdicts")
        try:
            connection.channel().basic_consume(self._account.reply_queue, callback=take)
            while broker.drain(connection, _QUIET_S):
                pass
        finally:
            broker.close_quietly(connection)
        return sorted(found.values(), key=lambda one: one.line or 0)


def show(summary: Summary, say: Console = console) -> None:
    """Print what came of a replay: one table, and what was left out, by line."""
    log = summary.log
    kinds = Counter(row.number for row in log.rows)
    rate = summary.published / summary.seconds if summary.seconds else 0.0
    table = Table("what", "how many")
    for what, value in (
        ("rows read", f"{len(log.rows)} of {len(kinds)} incidents, {log.encoding}"),
        ("rows broken", str(len(log.broken))),
        ("events", f"{summary.events}, {summary.events - len(log.rows)} of them people"),
        ("published and confirmed", str(summary.published)),
        ("sent again after a loss", f"{summary.resent} in {summary.connections - 1} new connections"),
        ("refused at the door", str(len(summary.refusals))),
        ("seconds", f"{summary.seconds:.2f}"),
        ("events per second", f"{rate:.0f}"),
    ):
        table.add_row(what, value)
    say.print(table)
    if log.missing:
        say.print(f"the file has no column {', '.join(log.missing)}: those fields stay as they are")
    _show_left_out(say, "broken", [(one.line, one.reason) for one in log.broken])
    refused = [(one.line, f"{one.type}: {one.field}: {one.reason}") for one in summary.refusals]
    _show_left_out(say, "refused", refused)
    if not summary.judged:
        say.print("[yellow]the door has not told yet what it thinks of all events: more may be refused[/yellow]")


def _show_left_out(say: Console, what: str, reasons: Sequence[tuple[int | None, str]]) -> None:
    for line, reason in reasons[:_SHOWN]:
        place = "a person" if line is None else f"line {line}"
        say.print(f"[red]{what}[/red] {place}: {escape(reason)}", soft_wrap=True, highlight=False)
    if len(reasons) > _SHOWN:
        say.print(f"… and {len(reasons) - _SHOWN} more, by reason:")
        common = Counter(reason for _, reason in reasons[_SHOWN:])
        for reason, count in common.most_common(_SHOWN):
            say.print(f"  {count} × {escape(reason)}", soft_wrap=True, highlight=False)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "log_format", type=click.Choice(["servicenow"]), required=True, help="What wrote the log.")
@click.option("--as-live", is_flag=True, help="Play it with today's times: real clocks, real mails.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="With --as-live: log seconds in a second.")
@click.option("--publish-twice", is_flag=True, help="Publish every event two times, which must change nothing.")
@click.option("--renew", is_flag=True, help="Give the publisher `servicenow` new secrets if they are not kept here.")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="The installation's state folder.")
def replay(
    file: Path, log_format: str, as_live: bool, speed: float | None, publish_twice: bool, renew: bool, home: Path | None
) -> None:
    """Publish another desk's log FILE as events, which is how its history is imported.

    Exits with 1 when a row was broken or refused; those are listed by line. Told again, a log changes nothing.
    """
    if speed is not None and not as_live:
        raise click.UsageError("--speed goes with --as-live")
    try:
        summary = replay_log(
            Installation.load(home),
            file.read_bytes(),
            as_live=as_live,
            speed=speed,
            twice=publish_twice,
            renew=renew,
        )
    except (NotALog, NoAccount, CannotPublish, NoInstallation) as error:
        raise click.ClickException(f"{file}: {error}") from None
    show(summary)
    raise SystemExit(summary.exit_code)

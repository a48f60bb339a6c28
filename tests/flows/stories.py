"""One story for each row of the flow table: what is published, who is killed over it, and what came of it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any, Protocol

import httpx
from sqlalchemy import text

from deploy.local.mailbox import MailFolder
from tests.eventkit.desk import eventually
from tests.seeds import run_seed
from tests.system import System

#: Who must notice, whatever is killed: the columns of the flow table.
CONSUMERS = ("notify", "knowledge", "metrics")
#: How long a cell may take from publishing, and from the moment at which its killed consumer is back (issue: flows).
WITHIN_S = 5.0
#: A row is played twice: nobody is disturbed, then all three consumers are killed over it.
CALM, KILLED = "calm", "killed"
#: Ends what a killed notify has asked of its database, and waits until it is over: at most so many milliseconds each.
_END_SESSIONS = text(
    "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
    " where datname = current_database() and application_name like 'notify%'"
)


class Row(Protocol):
    """What is particular to one row. key: CALM or KILLED; the two must not be repeats of each other."""

    def publish(self, key: str) -> None:
        """Publish what the row begins with."""

    def learn(self, key: str) -> Mapping[str, str]:
        """Wait until the emitting service has told of it, and return what it is about, by a name each."""

    def effects(self, before: Mapping[str, float], **about: str) -> Mapping[str, Callable[[], Any]]:
        """Return for each consumer a condition that holds once the effect is there. before: the numbers of before."""


@dataclass(slots=True)
class Story:
    """What came of one row. calm_s: seconds from publishing to each cell's effect.

    recovered_s: seconds from the moment at which the killed consumers were back. calm_about, about: what the
    undisturbed and the killed pass were about; before: the numbers in front of the latter. subjects: of both passes.
    """

    calm_s: dict[str, float] = field(default_factory=dict)
    recovered_s: dict[str, float] = field(default_factory=dict)
    calm_about: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)
    subjects: list[str] = field(default_factory=list)

    def was_in_time(self, consumer: str) -> bool:
        """Tell whether a cell had its effect in time, both when nobody was disturbed and after the kill."""
        return all(took.get(consumer, WITHIN_S + 1) <= WITHIN_S for took in (self.calm_s, self.recovered_s))


def play(system: System, row: Row) -> Story:
    """Publish and time a row; then publish another, kill all three consumers over it, and publish everything again.

    Each is killed while it works: at a random moment between the publishing and the moment at which its effect was
    there when nobody disturbed it.
    """
    story = Story()
    before, published_at = facts(system), time.monotonic()
    row.publish(CALM)
    about = story.calm_about = dict(row.learn(CALM))
    story.subjects += about.values()
    story.calm_s = _awaited(row.effects(before, **about), published_at)
    system.settle()
    story.before = facts(system)
    dice = random.Random(f"{run_seed()} {type(row).__name__}")
    moments_s = {name: dice.uniform(0, story.calm_s.get(name, WITHIN_S)) for name in CONSUMERS}
    with ThreadPoolExecutor() as pool:
        kills = [pool.submit(_kill, system, name, after_s) for name, after_s in moments_s.items()]
        row.publish(KILLED)
        for kill in kills:
            kill.result()
    story.about = dict(row.learn(KILLED))
    story.subjects += story.about.values()
    for name in CONSUMERS:
        # Others would wait for the end of a call whose process is gone; that takes minutes, and is tried elsewhere.
        system.end_leases(name)
    system.start(CONSUMERS)
    story.recovered_s = _awaited(row.effects(story.before, **story.about), time.monotonic())
    system.settle()
    system.publish_again()
    return story


def _kill(system: System, name: str, after_s: float) -> None:
    """Kill a service after a while, whatever it is doing, unless a mail is in the air.

    What becomes of such a mail nobody can know: its rule says whether it is sent again, and tests/faults kills there.
    """
    time.sleep(after_s)
    if name == "notify":
        eventually(lambda: _is_killed_between_mails(system), what="no mail is in the air")
    else:
        system.kill9(name)


def _is_killed_between_mails(system: System) -> bool:
    """Kill notify and tell that it was, unless a mail is in the air."""
    with system.engine("notify").begin() as connection:
        # From here on no mail is marked as being sent: who would do so waits, and ends with the dead process's session.
        connection.execute(text("lock table delivery in share mode"))
        if connection.execute(text("select exists (select from delivery where state = 'sending')")).scalar_one():
            return False
        system.kill9("notify")
        connection.execute(_END_SESSIONS)
        return True


def _awaited(effects: Mapping[str, Callable[[], Any]], since: float) -> dict[str, float]:
    """Return the seconds after which each effect was there; those that were late are missing."""
    took_s: dict[str, float] = {}
    waiting = dict(effects)
    while waiting and time.monotonic() < since + WITHIN_S:
        for name in [name for name, has_happened in waiting.items() if has_happened()]:
            took_s[name] = time.monotonic() - since
            del waiting[name]
        time.sleep(0.05)
    return took_s


def facts(system: System) -> dict[str, float]:
    """Return every series of the facts page, as Prometheus would read it."""
    page = httpx.get(f"http://127.0.0.1:{system.installation.page_port('metrics')}/facts", timeout=20).text
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


def renew_facts(system: System) -> None:
    """Wait until the facts page has been made twice more: what is shown for the second time was read after this call.

    The first time after a start takes long, and is shown for ten times as long.
    """
    address = f"http://127.0.0.1:{system.installation.page_port('metrics')}/metrics"
    made = re.compile(r"^liaison_facts_scrape_duration_seconds_count (\S+)$", re.MULTILINE)

    def times() -> float:
        facts(system)
        found = made.search(httpx.get(address, timeout=20).text)
        return float(found[1]) if found else 0.0

    before = times()
    eventually(lambda: times() >= before + 2, 30, "the facts page is made twice")


def total(numbers: Mapping[str, float], name: str, **labels: str) -> float:
    """Return the sum over the series of a metric that carry these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    series = (one for one in numbers if one.partition("{")[0] == name)
    return sum(numbers[one] for one in series if all(label in one for label in wanted))


def deliveries(system: System, about: str) -> dict[tuple[str, str], int]:
    """Return how many messages about a subject were accepted, by rule and recipient."""
    rows = system.rows(
        "notify",
        "select rule, recipient, count(*) as n from delivery where about_subject = :about and state = 'accepted'"
        " group by rule, recipient",
        about=about,
    )
    return {(row.rule, row.recipient): row.n for row in rows}


def message_ids(mails: MailFolder) -> list[str]:
    """Return the delivery that each mail at the mail server says it is, in order."""
    found = (str(message_from_bytes(mail.raw)["Message-ID"]) for mail in mails.newest(10_000))
    # The number of the ticket may stand before it.
    return sorted(one.strip("<>").partition("@")[0].rpartition(".")[2] for one in found)


def accepted(system: System, *about: str) -> list[str]:
    """Return the deliveries that the mail server has accepted, in order: all, or those about some subjects."""
    condition = " and about_subject = any(:about)" if about else ""
    rows = system.rows("notify", f"select id from delivery where state = 'accepted'{condition}", about=list(about))
    return sorted(row.id for row in rows)


def emitted(system: System, service: str, kind: str, subject: str) -> list[Any]:
    """Return the data of the events of a type that a service has told about a subject."""
    rows = system.rows(
        service,
        "select convert_from(payload, 'UTF8')::jsonb as data from eventkit.outbox"
        " where type = :type and aggregateid = :subject",
        type=f"liaison.{kind}.v1",
        subject=subject,
    )
    return [row.data for row in rows]


def number_of(system: System, externalref: str) -> str:
    """Return the number of the ticket that a request with this key became."""
    found = eventually(
        lambda: system.rows("tickets", "select number from ticket where externalref = :ref", ref=externalref)
    )
    return str(found[0].number)

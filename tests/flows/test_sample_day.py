"""The sample day of `make run` on the running system: every cell of its last table has something to show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest

from deploy.local.mailbox import MailFolder
from liaison import sample_day, sample_events
from liaison.installation import Installation
from liaison.sample_flows import Flows
from liaison.terminal import console
from tests.eventkit.desk import eventually
from tests.flows.stories import renew_facts
from tests.secret_files import exposed
from tests.system import System

pytestmark = pytest.mark.timeout(300)
FLOWS = ("ticket.opened", "sla.warned sla.breached", "course.completed", "feedback.received")
_NUMBER = re.compile(r"[1-9]\d*\b")
_WHERE = re.compile(r"http://127\.0\.0\.1:\d+|\.venv/bin/liaison [a-z]+ ")


@pytest.fixture(scope="module")
def days(system: System) -> Sequence[dict[str, list[str]]]:
    """The table of two days, one after the other: by kind of event, the three cells behind it.

    Each is drawn when all that the day leads to is there; `make run` draws it as soon as every cell has something. The
    ticket that is soon due is past due here: whether a machine takes it in before, and so warns of it, is luck.
    """
    *requests, soon_due = sample_events.REQUESTS
    show = Flows.show

    def show_at_rest(flows: Flows) -> None:
        _come_to_rest(system)
        show(flows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_events, "REQUESTS", (*requests, (*soon_due[:-1], timedelta(minutes=16))))
        patch.setattr(Flows, "show", show_at_rest)
        return [_table(_played(system)) for _ in range(2)]


def _come_to_rest(system: System) -> None:
    """Wait until every event is handled, every call is made, what they told is handled too, and all is counted."""
    system.settle()
    for service in ("knowledge", "notify"):
        is_idle = partial(system.one, service, "select not exists (select from eventkit.timer where is_job)")
        eventually(is_idle, what=f"{service} has made its calls")
    system.settle()
    renew_facts(system)


def _played(system: System) -> str:
    before, console.width = console.width, 400
    try:
        with console.capture() as printed:
            sample_day.play(system.installation)
    finally:
        console.width = before
    return printed.get()


def _table(printed: str) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for block in re.split(r"^├.*$", printed.partition("Four flows")[2], flags=re.MULTILINE):
        lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in block.splitlines() if line[:1] == "│"]
        joined = [" ".join(part for part in column if part) for column in zip(*lines, strict=True)]
        if joined:
            rows[joined[0]] = joined[1:]
    return rows


@pytest.mark.parametrize("day", [0, 1])
def test_every_cell_shows_what_came_of_the_day_and_where_it_is_seen(
    days: Sequence[dict[str, list[str]]], day: int
) -> None:
    assert tuple(days[day]) == FLOWS
    cells = [cell for row in days[day].values() for cell in row]
    assert len(cells) == 12
    for cell in cells:
        assert _NUMBER.match(cell), cell
        assert _WHERE.search(cell), cell


def test_a_second_day_counts_nothing_of_the_first(days: Sequence[dict[str, list[str]]]) -> None:
    first, second = ({name: [_number(cell) for cell in row] for name, row in day.items()} for day in days)
    assert second == first
    assert first["ticket.opened"][2] == len(sample_events.REQUESTS)
    assert first["course.completed"] == [2, 1, 1]


def test_the_service_levels_show_targets_breaches_and_the_share_that_was_met(
    days: Sequence[dict[str, list[str]]],
) -> None:
    found = re.match(r"(\d+) 次超时，(\d+) 个目标，达成率 (\d+)%", days[0][FLOWS[1]][2])
    assert found
    breaches, targets, share = (int(part) for part in found.groups())
    assert 0 < breaches < targets
    assert share == round(100 * (1 - breaches / targets))


def test_a_receipt_of_the_day_suggests_three_articles(days: Sequence[dict[str, list[str]]], mails: MailFolder) -> None:
    receipts = [mail.text for mail in mails.newest(1000) if "e2001@example.invalid" in mail.to and "1. " in mail.text]
    assert len(receipts) >= len(days)
    for receipt in receipts:
        assert re.findall(r"^(\d)\. ", receipt, re.MULTILINE) == ["1", "2", "3"]


def _number(cell: str) -> int:
    return int(cell.partition(" ")[0])


def test_no_secret_of_a_day_is_open_to_others(
    days: Sequence[dict[str, list[str]]], system: System, search_server: Installation
) -> None:
    assert days
    assert exposed(system.installation.home) == {}
    assert exposed(search_server.home) == {}

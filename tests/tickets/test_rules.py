"""The rules of tickets, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from contracts.words import TicketState
from services.tickets import rules
from services.tickets.settings import Settings

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICY = Settings.from_env({}).policy


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("priority", "impact", "urgency", "expected"),
    [
        pytest.param(1, 4, 4, 1, id="what is asked for comes first"),
        pytest.param(None, 1, 2, 1, id="company, urgent"),
        pytest.param(None, 4, 4, 4, id="one person, no hurry"),
        pytest.param(None, 4, None, 3, id="half a statement is none"),
    ],
)
def test_priority(priority: int | None, impact: int | None, urgency: int | None, expected: int) -> None:
    assert POLICY.priority_of(priority, impact, urgency) == expected


@pytest.mark.parametrize(("region", "group"), [("华东", "华东支持组"), ("火星", "服务台"), (None, "服务台")])
def test_a_region_has_a_group_and_an_unknown_one_the_desk(region: str | None, group: str) -> None:
    assert POLICY.group_of(region) == group


@pytest.mark.parametrize(
    ("scope", "visible"),
    [
        ({"kind": "all"}, True),
        ({"kind": "own", "person": "E7"}, True),
        ({"kind": "own", "person": "E8"}, True),
        ({"kind": "own", "person": "E9"}, False),
        ({"kind": "own"}, False),
        ({"kind": "own", "person": None}, False),
        ({"kind": "group", "groups": ["华东支持组"]}, True),
        ({"kind": "group", "groups": ["别的组"], "person": "E8"}, True),
        ({"kind": "group", "groups": ["别的组"]}, False),
        ({"kind": "department", "department": "财务部"}, True),
        ({"kind": "department"}, False),
        ({}, False),
        ({"kind": "everything"}, False),
    ],
)
def test_who_sees_a_ticket(scope: dict[str, object], visible: bool) -> None:
    ticket = {"requester": "E7", "assignee": "E8", "group_name": "华东支持组", "department": "财务部"}
    assert rules.is_visible(ticket | {"watchers": ["E6"], "secrecy": "internal"}, scope) is visible


@pytest.mark.parametrize("kind", ["own", "group"])
def test_who_watches_a_ticket_reads_it_unless_it_is_sensitive_and_works_on_it_no_more_than_before(kind: str) -> None:
    ticket = {"requester": "E7", "assignee": "E8", "group_name": "华东支持组", "department": None, "watchers": ["E6"]}
    internal, sensitive = ticket | {"secrecy": "internal"}, ticket | {"secrecy": "sensitive"}
    scope = {"kind": kind, "person": "E6", "groups": ["别的组"]}
    assert rules.is_visible(internal, scope)
    assert not rules.is_within(internal, scope)
    assert rules.is_outsider(internal, scope)
    assert not rules.is_visible(sensitive, scope)


@pytest.mark.parametrize(
    ("before", "after", "can_go"),
    [
        ("new", "in_progress", True),
        ("new", "awaiting_vendor", True),
        ("new", "resolved", True),
        ("in_progress", "closed", True),
        ("in_progress", "new", False),
        ("awaiting_user", "awaiting_evidence", True),
        ("awaiting_user", "new", False),
        ("resolved", "closed", True),
        ("resolved", "in_progress", True),
        ("resolved", "new", False),
        ("closed", "awaiting_user", True),
        ("closed", "resolved", False),
        ("closed", "new", False),
    ],
)
def test_which_state_may_follow_which(before: str, after: str, can_go: bool) -> None:
    assert (rules.step_problem(TicketState(before), TicketState(after)) is None) is can_go


def test_people_see_three_states() -> None:
    assert [
        rules.state_text(state) for state in (TicketState.NEW, TicketState.AWAITING_VENDOR, TicketState.CLOSED)
    ] == [
        "待处理",
        "处理中",
        "已解决",
    ]

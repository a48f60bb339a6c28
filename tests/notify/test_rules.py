"""Who is told, and what becomes of a message: the pure rules, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.gateway import AlertFired, AlertResolved, PersonChanged
from contracts.knowledge import SuggestedFor
from contracts.notify import Medium
from contracts.tickets import (
    DutyUncovered,
    FeedbackAnswered,
    FeedbackAssigned,
    FeedbackReceived,
    SlaBreached,
    SlaWarned,
    TicketAssigned,
    TicketCommented,
    TicketOpened,
    TicketReopened,
    TicketResolved,
    Voice,
)
from contracts.training import CourseCompleted, EnrolmentConfirmed, RetrainingAssigned
from contracts.words import FeedbackClass, FeedbackStatus, Severity
from eventkit.service import define
from services.notify import rules
from services.notify.rules import (
    COMPANIONS,
    CONDITIONS,
    DESK,
    EVENTS,
    AfterCrash,
    Contact,
    Role,
    Rule,
    Said,
    State,
    Tries,
    When,
    belongs_to,
    is_ours_to_tell,
    next_step,
    occurrence_of,
    readiness,
    recipients,
    retry_delay,
    rule_book,
)
from services.notify.service import NotifyService
from services.notify.settings import Settings
from tests.notify.office import about, about_alert, about_course, about_feedback, example_of, suggested

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENV = {
    "SMTP_URI": "smtp://127.0.0.1:2526",
    "LIAISON_MAIL_FROM": "no-reply@liaison.invalid",
    "LIAISON_DESK_MAIL": "desk@liaison.invalid",
}


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        pytest.param(about(TicketOpened), {"E1": "receipt", "E2": "task"}, id="opened"),
        pytest.param(about(TicketOpened, assignee=None), {"E1": "receipt", DESK: "unowned"}, id="opened, unowned"),
        pytest.param(about(TicketOpened, requester=None), {"E2": "task"}, id="opened by nobody we can name"),
        pytest.param(about(TicketOpened, requester=None, assignee=None), {DESK: "unowned"}, id="opened, nobody at all"),
        pytest.param(about(TicketOpened, requester="E2"), {"E2": "task"}, id="requester and assignee in one"),
        pytest.param(about(TicketAssigned, previous_assignee="E7"), {"E2": "assigned"}, id="assigned"),
        pytest.param(about(TicketAssigned, assignee=None), {DESK: "left_unowned"}, id="nobody holds it any more"),
        pytest.param(about(SlaWarned), {"E2": "warned"}, id="warned"),
        pytest.param(about(SlaWarned, assignee=None), {DESK: "warned_unowned"}, id="warned, unowned"),
        pytest.param(
            about(SlaBreached), {"E2": "breached", "E3": "breached", "M-E2": "breached"}, id="breached: three people"
        ),
        pytest.param(about(SlaBreached, assignee="X"), {"X": "breached", "E3": "breached"}, id="no manager known"),
        pytest.param(
            about(SlaBreached, assignee=None), {"E3": "breached", DESK: "breached_unowned"}, id="breached, unowned"
        ),
        pytest.param(about(TicketResolved), {"E1": "resolved"}, id="resolved"),
        pytest.param(about_course(EnrolmentConfirmed), {"E5": "enrolled"}, id="enrolled"),
        pytest.param(about_course(EnrolmentConfirmed, reported=True), {}, id="enrolled only by a report"),
        pytest.param(about_course(CourseCompleted), {"E5": "course_result", "E6": "course_report"}, id="completed"),
        pytest.param(about_course(CourseCompleted, contact=None), {"E5": "course_result"}, id="completed, no contact"),
        pytest.param(about_course(CourseCompleted, contact="E5"), {"E5": "course_result"}, id="contact completed"),
        pytest.param(
            about_course(RetrainingAssigned), {"E5": "retraining", "E6": "retraining_report"}, id="to learn again"
        ),
        pytest.param(
            about_feedback(FeedbackReceived), {"E8": "feedback_task", "E7": "feedback_receipt"}, id="feedback"
        ),
        pytest.param(
            about_feedback(FeedbackReceived, owner=None, author=None),
            {DESK: "feedback_unowned"},
            id="anonymous feedback that nobody owns",
        ),
        pytest.param(about_feedback(FeedbackAssigned), {"E8": "feedback_assigned"}, id="feedback has another owner"),
        pytest.param(
            about_feedback(FeedbackAssigned, owner=None), {DESK: "feedback_left_unowned"}, id="feedback lost its owner"
        ),
        pytest.param(about_feedback(FeedbackAnswered), {"E7": "feedback_answered"}, id="feedback answered"),
        pytest.param(about_feedback(FeedbackAnswered, author=None), {}, id="anonymous feedback answered"),
        pytest.param(
            about_feedback(
                FeedbackAnswered,
                status=FeedbackStatus.ACCEPTED,
                feedback_class=FeedbackClass.IMPROVABLE,
                answer="早先的答复",
            ),
            {},
            id="feedback only classified",
        ),
        pytest.param(
            about_feedback(
                FeedbackAnswered, previous_status=FeedbackStatus.RESOLVED, previous_class=FeedbackClass.SETTLED
            ),
            {"E7": "feedback_answered"},
            id="feedback answered again",
        ),
        pytest.param(about_alert(AlertFired), {DESK: "alert_critical"}, id="critical alert"),
        pytest.param(about_alert(AlertFired, severity=Severity.WARNING), {DESK: "alert_warning"}, id="warning"),
        pytest.param(about_alert(AlertFired, severity=Severity.OTHER), {DESK: "alert_warning"}, id="unknown severity"),
        pytest.param(about_alert(AlertFired, severity=Severity.INFO), {DESK: "alert_info"}, id="info"),
        pytest.param(about_alert(AlertResolved), {DESK: "alert_over"}, id="alert over"),
    ],
)
def test_the_shipped_rules_tell_whom_they_should(fact: Any, told: dict[str, str]) -> None:
    book = Settings.from_env(ENV).rules
    managers = {"E2": "M-E2"}
    found = recipients(book[fact.TYPE], fact, managers.get)
    assert {recipient: rule.name for (recipient, _), rule in found.items()} == told


def test_the_rules_may_name_exactly_the_events_that_the_service_handles() -> None:
    handled = define(NotifyService).handlers
    waited_for = {kind for kinds in COMPANIONS.values() for kind in kinds}
    assert {PersonChanged.TYPE, *EVENTS, *waited_for} == set(handled)
    assert all(not handler.emits for handler in handled.values())


def test_the_more_urgent_rule_wins_wherever_it_stands() -> None:
    def rule(name: str, priority: int) -> Rule:
        return Rule(name, TicketOpened.TYPE, (Role.REQUESTER,), "t", priority, Medium.MAIL)

    book = rule_book([rule("calm", 3), rule("urgent", 1), rule("urgent too", 1)])
    [found] = recipients(book[TicketOpened.TYPE], about(TicketOpened), lambda number: None).values()
    assert found.name == "urgent"


@pytest.mark.parametrize("when", When)
def test_each_condition_can_be_asked_of_every_event_that_has_what_it_needs(when: When) -> None:
    condition = CONDITIONS[when]
    fitting = [fact for fact in EVENTS.values() if set(condition.needs) <= set(fact.__struct_fields__)]
    assert fitting
    for fact in fitting:
        condition.holds(example_of(fact))


def test_an_alert_that_our_messages_fail_is_not_told_by_a_message() -> None:
    def told(failing: bool, **more: Any) -> bool:
        return is_ours_to_tell(about_alert(AlertFired, **more), lambda: failing)

    assert told(False)
    assert told(True)
    assert told(False, service="notify")
    assert not told(True, service="notify")
    for name in ("DeliveriesFailing", "WatchdogSilent"):
        assert not told(False, alert=name)


def test_an_alert_that_begins_again_is_another_occurrence() -> None:
    first = about_alert(AlertFired)
    assert occurrence_of(first) == occurrence_of(about_alert(AlertResolved))
    assert occurrence_of(first) != occurrence_of(about_alert(AlertFired, starts_at=NOW))


def test_suggestions_belong_to_the_ticket_or_the_course_that_they_were_made_for() -> None:
    assert belongs_to(suggested("T-1")) == (TicketOpened.TYPE, "T-1")
    assert belongs_to(suggested("C-7/E5", suggested_for=SuggestedFor.COURSE)) == (CourseCompleted.TYPE, "C-7/E5")
    assert belongs_to(suggested(suggested_for=SuggestedFor.OTHER)) is None


def contact(**more: Any) -> Contact:
    values: dict[str, Any] = {"name": "王芳", "email": "w@example.invalid", "language": "zh-CN"}
    values |= {"time_zone": "Asia/Shanghai", "manager": None, "active": True}
    return Contact("E1", **values | more)


@pytest.mark.parametrize(
    ("recipient", "known", "state"),
    [
        (DESK, None, State.PENDING),
        ("E1", None, State.WAITING_CONTACT),
        ("E1", contact(), State.PENDING),
        ("E1", contact(email=None), State.WAITING_CONTACT),
        ("E1", contact(active=False), State.CANCELLED),
        ("E1", contact(active=False, email=None), State.CANCELLED),
    ],
)
def test_only_who_is_known_reachable_and_here_is_sent_a_message(recipient: str, known: Any, state: State) -> None:
    found, reason = readiness(recipient, known)
    assert found is state
    assert bool(reason) == (state is not State.PENDING)


HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
REPEAT, UNKNOWN = AfterCrash.REPEAT, AfterCrash.UNKNOWN


@pytest.mark.parametrize(
    ("said", "unclear", "policy", "age", "state"),
    [
        (Said.ACCEPTED, 0, UNKNOWN, HOUR, State.ACCEPTED),
        (Said.ACCEPTED, 1, REPEAT, 2 * DAY, State.ACCEPTED),
        (Said.LEFT, 0, UNKNOWN, HOUR, State.CANCELLED),
        (Said.NO_ADDRESS, 0, UNKNOWN, HOUR, State.WAITING_CONTACT),
        (Said.REFUSED, 0, REPEAT, HOUR, State.FAILED),
        (Said.REFUSED, 1, REPEAT, HOUR, State.UNKNOWN),
        (Said.LATER, 0, UNKNOWN, DAY - timedelta(seconds=1), State.PENDING),
        (Said.LATER, 0, UNKNOWN, DAY, State.FAILED),
        (Said.LATER, 1, REPEAT, DAY, State.UNKNOWN),
        (Said.UNCLEAR, 1, UNKNOWN, HOUR, State.UNKNOWN),
        (Said.UNCLEAR, 1, REPEAT, HOUR, State.PENDING),
        (Said.UNCLEAR, 2, REPEAT, HOUR, State.PENDING),
        (Said.UNCLEAR, 3, REPEAT, HOUR, State.UNKNOWN),
        (Said.UNCLEAR, 1, REPEAT, DAY, State.UNKNOWN),
    ],
)
def test_what_becomes_of_a_message_after_a_try(
    said: Said, unclear: int, policy: AfterCrash, age: timedelta, state: State
) -> None:
    step = next_step(said, Tries(3, unclear, policy, NOW - age), NOW)
    assert step.state is state
    assert step.again_at == (NOW + timedelta(seconds=120) if state is State.PENDING else None)


def test_the_pauses_grow_to_an_hour() -> None:
    assert [retry_delay(n).total_seconds() for n in (0, 1, 2, 3, 4, 5, 6, 7, 99)] == [
        *(5, 5, 30, 120, 600, 1800, 3600, 3600, 3600)
    ]
    assert rules.CONTACT_WAIT == HOUR


def told_by(fact: Any, actor: str | None = None) -> dict[str, str]:
    """Return by which shipped rule each is told of a fact that somebody caused."""
    rules = Settings.from_env(ENV).rules[fact.TYPE]
    return {who: rule.name for (who, _), rule in recipients(rules, fact, lambda _: None, actor).items()}


def test_an_alarming_request_is_told_to_the_groups_lead_and_the_desk_at_once() -> None:
    assert told_by(about(TicketOpened, alarm=True))["E3"] == "alarm"
    assert told_by(about(TicketOpened, alarm=True))[DESK] == "alarm"
    assert "E3" not in told_by(about(TicketOpened))


def test_each_watcher_is_told_of_the_solution_and_the_requester_only_as_such() -> None:
    told = told_by(about(TicketResolved, watchers=("E1", "E8", "E9")))
    assert told == {"E1": "resolved", "E8": "watched", "E9": "watched"}


def test_a_gap_in_the_roster_is_told_to_the_groups_lead() -> None:
    assert told_by(example_of(DutyUncovered)) == {"E3": "nobody_on_duty"}


def written(voice: Voice = Voice.REQUESTER, **more: Any) -> TicketCommented:
    found: TicketCommented = about(TicketCommented, voice=voice, **more)
    return found


@pytest.mark.parametrize(
    ("fact", "actor", "told"),
    [
        pytest.param(written(), "E1", {"E2": "requester_wrote"}, id="the holder"),
        pytest.param(written(assignee=None), "E1", {"E3": "requester_wrote"}, id="nobody holds it: the lead"),
        pytest.param(
            written(assignee=None, group_lead=None), "E1", {DESK: "requester_wrote"}, id="nobody at all: the desk"
        ),
        pytest.param(written(assignee="E1"), "E1", {}, id="who holds their own ticket"),
        pytest.param(written(reopens=True), "E1", {}, id="the reopening says it"),
        pytest.param(about(TicketReopened), "E1", {"E2": "reopened"}, id="reopened"),
        pytest.param(about(TicketReopened), "E2", {}, id="reopened by the holder"),
        pytest.param(written(Voice.DESK), "E2", {"E1": "desk_wrote"}, id="the requester"),
        pytest.param(
            written(Voice.DESK, watchers=("E1", "E2", "E8")),
            "E2",
            {"E1": "desk_wrote", "E8": "watched_word"},
            id="the requester and watchers",
        ),
        pytest.param(written(Voice.DESK, public=False, text="", watchers=("E8",)), "E2", {}, id="an internal word"),
        pytest.param(written(Voice.SYSTEM), "/erp", {}, id="another system's word"),
    ],
)
def test_words_are_told_to_the_other_side_and_never_to_their_writer(
    fact: Any, actor: str, told: dict[str, str]
) -> None:
    assert told_by(fact, actor) == told

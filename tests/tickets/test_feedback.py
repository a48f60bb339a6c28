"""Feedback in the tickets service, on a real broker and database: one story a test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.gateway import AwaySpan, FeedbackSubmitted, PersonChanged
from eventkit.errors import NotFound, RuleBroken
from eventkit.forgetting import forget
from eventkit.rpc import RpcClient
from liaison.installation import Installation
from services.tickets import storage
from services.tickets.service import TicketsService
from tests.eventkit.desk import Desk, desk_for, eventually, reported
from tests.tickets.rehearsal import CHINA

ALL = {"kind": "all"}
OWNERS = "problem_codes: {OA-: E3}\ndepartments: {财务部: [E5, E6]}\ndefault: [E1, E2]\n"
RECEIPT = sha256(b"a code").hexdigest()


@pytest.fixture
def tickets(installation: Installation, tmp_path: Path) -> Iterator[Desk]:
    owners = tmp_path / "owners.yaml"
    owners.write_text(OWNERS)
    with desk_for(installation, TicketsService, {"LIAISON_FEEDBACK_OWNERS": str(owners)}) as desk:
        yield desk


@pytest.fixture
def call(tickets: Desk) -> Iterator[Any]:
    tickets.publish(*[person(number) for number in ("E1", "E2", "E3", "E5", "E6", "E7")])
    tickets.start()
    client = RpcClient(tickets.uri, "gateway")
    eventually(lambda: client.connected and tickets.one("select count(*) from person") == 6)

    def ask(method: str, /, actor: str | None = "E1", key: str | None = None, **arguments: Any) -> Any:
        return client.call(tickets.definition.name, method, {"scope": ALL} | arguments, actor=actor, key=key)

    yield ask
    client.close()


def person(number: str, version: int = 1, **fields: Any) -> Any:
    data = PersonChanged(employee_number=number, version=version, name=number, **fields)
    return reported(data, number, version, source="/hr")


def said(ref: str, sequence: int = 1, **fields: Any) -> Any:
    more = {name: fields.pop(name) for name in ("actor", "history", "time") if name in fields}
    data = FeedbackSubmitted(**{"text": "报销流程太长"} | fields)
    return reported(data, ref, sequence, externalref=ref, source="/oa", **more)


def told(tickets: Desk, *kinds: str) -> list[dict[str, Any]]:
    """Return the data of the feedback events emitted so far, each with its short type and its headers."""
    rows = tickets.rows(
        "select type, payload, headers from eventkit.outbox where type like '%feedback%' order by position"
    )
    found = [
        msgspec.json.decode(bytes(row.payload)) | {"type": row.type.split(".")[2], "headers": row.headers}
        for row in rows
    ]
    return [one for one in found if not kinds or one["type"] in kinds]


def test_feedback_of_another_system_has_one_owner_and_is_told_once(tickets: Desk) -> None:
    tickets.publish(*[person(number) for number in ("E1", "E5", "E7")])
    tickets.publish(said("OA-1", author="E7", department="财务部", score=2, actor="E7"), said("OA-1", 2, author="E7"))
    tickets.start()
    eventually(lambda: tickets.one("select count(*) from eventkit.inbox") == 5)
    [event] = told(tickets)
    assert (event["type"], event["owner"], event["author"], event["status"]) == ("received", "E5", "E7", "accepted")
    assert event["feedback_id"].startswith(f"F{datetime.now(CHINA).year}-")
    assert (event["headers"]["ce-actor"], event["headers"]["ce-externalref"]) == ("E7", "OA-1")
    assert event["headers"]["ce-subject"] == event["feedback_id"]
    fields = [row.field for row in tickets.rows("select field from feedback_change order by id")]
    assert fields == ["status", "owner"]


@pytest.mark.parametrize(
    ("fields", "owner"),
    [
        pytest.param({"department": "财务部"}, "E6", id="who is away is skipped"),
        pytest.param({"author": "E7"}, "E6", id="the department is the author's"),
        pytest.param({"problem_code": "OA-7", "department": "财务部"}, "E3", id="the code comes first"),
        pytest.param({}, "E2", id="who has left is skipped"),
        pytest.param({"department": "财务部", "author": "E6"}, "E2", id="nobody follows up their own"),
    ],
)
def test_the_owner_is_found_by_the_file(tickets: Desk, fields: dict[str, Any], owner: str) -> None:
    now = datetime.now(UTC)
    away = (AwaySpan(begin_at=now - timedelta(days=1), end_at=now + timedelta(days=1)),)
    tickets.publish(
        person("E1", active=False), person("E2"), person("E3"), person("E5", away=away), person("E6"),
        person("E7", department="财务部"),
    )  # fmt: skip
    tickets.start()
    eventually(lambda: tickets.one("select count(*) from person") == 6)
    tickets.publish(said("OA-1", **fields))
    [event] = eventually(lambda: told(tickets))
    assert event["owner"] == owner


def test_feedback_that_nobody_can_follow_up_has_no_owner(tickets: Desk) -> None:
    tickets.publish(said("OA-1"))
    tickets.start()
    [event] = eventually(lambda: told(tickets))
    assert "owner" not in event


def test_anonymous_feedback_of_another_system_names_nobody(tickets: Desk) -> None:
    tickets.publish(said("OA-1", actor="E7"))
    tickets.start()
    [event] = eventually(lambda: told(tickets))
    assert "author" not in event
    assert event["headers"]["ce-actor"] == event["headers"]["ce-source"]
    assert "ce-externalref" not in event["headers"]
    assert {row.actor for row in tickets.rows("select actor from feedback_change")} == {"/oa"}


def test_the_receipt_of_anonymous_feedback_of_another_system_reads_its_status(tickets: Desk, call: Any) -> None:
    # Given an event that is published twice, and one whose author has signed
    anonymous: dict[str, Any] = {"receipt_hash": RECEIPT, "text": "食堂太远"}
    signed = sha256(b"another code").hexdigest()
    tickets.publish(said("OA-1", **anonymous), said("OA-1", 2, **anonymous))
    tickets.publish(said("OA-2", author="E7", receipt_hash=signed))
    eventually(lambda: len(told(tickets)) == 2)
    # Then the holder of the code reads what became of it, and of nothing else
    [kept] = tickets.rows("select id from feedback where author is null")
    assert call("feedback_status", actor=None, receipt=RECEIPT)["feedback_id"] == kept.id
    with pytest.raises(NotFound):
        call("feedback_status", actor=None, receipt=signed)


def test_a_receipt_that_comes_with_other_words_too_is_dead_and_takes_nothing_away(tickets: Desk, call: Any) -> None:
    tickets.publish(said("OA-1", receipt_hash=RECEIPT, text="食堂太远"))
    eventually(lambda: told(tickets))
    tickets.publish(said("OA-2", receipt_hash=RECEIPT, text="班车太少"))
    [row] = eventually(lambda: tickets.rows("select reason from eventkit.held_event where state = 'dead'"))
    assert "receipt_hash" in row.reason
    assert tickets.one("select text from feedback where receipt_hash = :one", one=RECEIPT) == "食堂太远"


def test_imported_feedback_is_judged_by_its_own_time(tickets: Desk) -> None:
    then = datetime(2016, 3, 1, 9, 0, tzinfo=UTC)
    tickets.publish(said("OA-1", time=then, history=True))
    tickets.start()
    [event] = eventually(lambda: told(tickets))
    assert event["received_at"] == "2016-03-01T09:00:00Z"
    assert event["feedback_id"].startswith("F2016-")
    assert event["headers"]["ce-history"] == "true"


def test_feedback_goes_from_submission_to_its_answer_and_every_step_is_kept(tickets: Desk, call: Any) -> None:
    # Given feedback that somebody submitted twice with one key
    given = {"text": "打印太慢", "way": "web", "author": "E7"}
    first = call("submit_feedback", actor="E7", key="once", **given)
    assert call("submit_feedback", actor="E7", key="once", **given) == first
    number = first["feedback_id"]
    assert (first["status_text"], "author" in first, "text" in first) == ("已受理", False, False)
    # When its owner classifies it, asks back, and answers what the author added
    assert call("classify_feedback", feedback_id=number, **{"class": "improvable"})["class_text"] == "可改进"
    asked = call("answer_feedback", feedback_id=number, status="needs_information", answer="哪台打印机?")
    assert asked["status_text"] == "需补充信息"
    own = {"kind": "own", "person": "E7"}
    added = call("add_to_feedback", actor="E7", feedback_id=number, text="三楼那台", scope=own)
    assert added["status_text"] == "已受理"
    done = call("answer_feedback", feedback_id=number, status="resolved", answer="已换新机")
    assert (done["status_text"], done["class_text"], done["answer"]) == ("已解决", "可改进", "已换新机")
    # Then each step was told, and kept with who, when and what
    steps = [(one["type"], one["status"], one.get("previous_status")) for one in told(tickets)]
    assert steps == [
        ("received", "accepted", None),
        ("answered", "accepted", "accepted"),
        ("answered", "needs_information", "accepted"),
        ("answered", "accepted", "needs_information"),
        ("answered", "resolved", "accepted"),
    ]
    whole = call("get_feedback", feedback_id=number)["changes"]
    assert [(one["actor"], one["field"], one["after"]) for one in whole] == [
        ("E7", "status", "accepted"),
        ("E7", "owner", "E1"),
        ("E1", "feedback_class", "improvable"),
        ("E1", "status", "needs_information"),
        ("E1", "answer", "哪台打印机?"),
        ("E7", "information", "三楼那台"),
        ("E7", "status", "accepted"),
        ("E1", "status", "resolved"),
        ("E1", "answer", "已换新机"),
    ]


def test_an_author_sees_what_became_of_it_and_not_by_whom(tickets: Desk, call: Any) -> None:
    number = call("submit_feedback", text="打印太慢", author="E7", actor="E7")["feedback_id"]
    call("answer_feedback", feedback_id=number, status="needs_information", answer="哪台?")
    shown = call("get_feedback", feedback_id=number, scope={"kind": "own", "person": "E7"})["changes"]
    assert [(one["actor"], one["field"], one["after"]) for one in shown] == [
        (None, "status", "accepted"),
        (None, "status", "needs_information"),
        (None, "answer", "哪台?"),
    ]


def test_what_is_resolved_without_a_class_was_settled_and_can_be_taken_up_again(tickets: Desk, call: Any) -> None:
    number = call("submit_feedback", text="谢谢", author="E7")["feedback_id"]
    done = call("answer_feedback", feedback_id=number, status="resolved", answer="不客气")
    assert (done["feedback_class"], done["class_text"]) == ("settled", "已解决")
    with pytest.raises(RuleBroken, match="须先重新受理"):
        call("answer_feedback", feedback_id=number, status="needs_information", answer="还有吗?")
    assert call("answer_feedback", feedback_id=number, status="accepted")["status"] == "accepted"
    assert told(tickets)[1]["previous_status"] == "accepted"
    assert "previous_class" not in told(tickets)[1]


def test_a_receipt_reads_the_status_and_adds_information_without_a_name(tickets: Desk, call: Any) -> None:
    number = call("submit_feedback", actor=None, text="食堂太挤", receipt=RECEIPT)["feedback_id"]
    call("answer_feedback", feedback_id=number, status="needs_information", answer="哪个食堂?")
    status = call("feedback_status", actor=None, receipt=RECEIPT)
    assert (status["feedback_id"], status["status_text"], status["answer"]) == (number, "需补充信息", "哪个食堂?")
    assert not {"text", "owner", "author"} & set(status)
    added = call("add_to_feedback_by_receipt", actor=None, receipt=RECEIPT, text="二食堂")
    assert added["status"] == "accepted"
    entries = tickets.rows("select actor from feedback_change where field = 'information'")
    assert [row.actor for row in entries] == [None]
    with pytest.raises(NotFound):
        call("feedback_status", actor=None, receipt=sha256(b"guessed").hexdigest())


def test_a_receipt_that_is_known_already_makes_no_second_feedback(tickets: Desk, call: Any) -> None:
    first = call("submit_feedback", actor=None, text="食堂太挤", receipt=RECEIPT)
    assert call("submit_feedback", actor=None, text="食堂太挤", receipt=RECEIPT) == first
    assert tickets.one("select count(*) from feedback") == 1


def test_additions_end_somewhere(tickets: Desk, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.tickets.feedback.usecases.MOST_ADDITIONS", 2)
    call("submit_feedback", actor=None, text="食堂太挤", receipt=RECEIPT)
    for text in ("一", "二"):
        call("add_to_feedback_by_receipt", actor=None, receipt=RECEIPT, text=text)
    with pytest.raises(RuleBroken, match="too much"):
        call("add_to_feedback_by_receipt", actor=None, receipt=RECEIPT, text="三")


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("submit_feedback", {"text": "机密★图纸", "author": "E7"}, "text"),
        ("submit_feedback", {"text": ""}, "text"),
        ("submit_feedback", {"text": "x", "score": 6}, "score"),
        ("submit_feedback", {"text": "x", "about_ticket": "T2026-000001"}, "about_ticket"),
        ("submit_feedback", {"text": "x", "author": "E7", "scope": {"kind": "own", "person": "E6"}}, "author"),
        ("submit_feedback", {"text": "x", "way": "paper_box", "scope": {"kind": "own", "person": "E6"}}, "way"),
        ("get_feedback", {"feedback_id": "F1"}, "feedback_id"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    tickets: Desk, call: Any, method: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(RuleBroken) as caught:
        call(method, **arguments)
    assert caught.value.field == field


def test_only_who_follows_it_up_may_answer_and_only_its_author_may_add(tickets: Desk, call: Any) -> None:
    number = call("submit_feedback", text="x", author="E7", actor="E7")["feedback_id"]
    author, owner, other = ({"kind": "own", "person": one} for one in ("E7", "E1", "E6"))
    for scope, error in ((author, RuleBroken), (other, NotFound)):
        with pytest.raises(error):
            call("classify_feedback", feedback_id=number, scope=scope, **{"class": "improvable"})
    call("classify_feedback", feedback_id=number, scope=owner, **{"class": "improvable"})
    with pytest.raises(RuleBroken, match="only its author"):
        call("add_to_feedback", feedback_id=number, scope=owner, text="y")
    with pytest.raises(RuleBroken, match="“绝密”"):
        call("answer_feedback", feedback_id=number, status="resolved", answer="【绝密】")


def test_an_owner_passes_feedback_on_to_somebody_who_is_there(tickets: Desk, call: Any) -> None:
    number = call("submit_feedback", text="x", author="E7", actor="E7")["feedback_id"]
    for wrong in ("E1", "E7", "E404"):
        with pytest.raises(RuleBroken):
            call("assign_feedback", feedback_id=number, owner=wrong)
    assert call("assign_feedback", feedback_id=number, owner="E6")["owner"] == "E6"
    [event] = told(tickets, "assigned")
    assert (event["owner"], event["previous_owner"], event["reason"]) == ("E6", "E1", "asked for")


def test_what_a_leaver_follows_up_is_handed_over_and_what_is_resolved_stays(tickets: Desk, call: Any) -> None:
    numbers = [call("submit_feedback", text=f"{n}", author="E7", actor="E7")["feedback_id"] for n in range(3)]
    call("answer_feedback", feedback_id=numbers[0], status="resolved", answer="好了")
    tickets.publish(person("E1", 2, active=False))
    eventually(lambda: len(told(tickets, "assigned")) == 2)
    owners = {row.id: row.owner for row in tickets.rows("select id, owner from feedback")}
    assert owners == {numbers[0]: "E1", numbers[1]: "E2", numbers[2]: "E2"}
    # And when nobody is left, that is told as well
    tickets.publish(person("E2", 2, active=False))
    eventually(lambda: len(told(tickets, "assigned")) == 4)
    assert all("owner" not in one for one in told(tickets, "assigned")[2:])
    reasons = tickets.rows("select distinct reason from feedback_change where field = 'owner' and before is not null")
    assert [row.reason for row in reasons] == ["the owner left"]


def test_what_came_in_a_moment_before_its_owner_left_is_handed_over_as_well(tickets: Desk) -> None:
    # Given that all of it is taken in together
    tickets.publish(person("E1"), person("E2"), said("OA-1"), person("E1", 2, active=False))
    tickets.start()
    eventually(lambda: len(told(tickets)) == 2)
    assert [(one["type"], one["owner"]) for one in told(tickets)] == [("received", "E1"), ("assigned", "E2")]
    assert tickets.one("select owner from feedback") == "E2"


def test_an_old_word_of_a_leaver_who_is_back_hands_nothing_over(tickets: Desk, call: Any) -> None:
    tickets.publish(person("E1", 5))
    call("submit_feedback", text="x", author="E7")
    tickets.publish(person("E1", 4, active=False))
    eventually(lambda: tickets.one("select count(*) from eventkit.inbox") == 8)
    assert told(tickets, "assigned") == []


def test_lists_are_filtered_and_read_page_by_page(tickets: Desk, call: Any) -> None:
    numbers = [call("submit_feedback", text=f"{n}", author="E7")["feedback_id"] for n in range(5)]
    call("classify_feedback", feedback_id=numbers[0], **{"class": "needs_coordination"})
    call("answer_feedback", feedback_id=numbers[1], status="resolved", answer="好了")
    call("assign_feedback", feedback_id=numbers[2], owner="E6")

    def ids(**filters: Any) -> list[str]:
        return [one["feedback_id"] for one in call("list_feedback", filters=filters)["items"]]

    assert ids(feedback_class="needs_coordination") == [numbers[0]]
    assert ids(status="resolved") == [numbers[1]]
    assert ids(owner="E6") == [numbers[2]]
    assert ids(unclassified=True) == [numbers[4], numbers[3], numbers[2]]
    assert ids(unowned=True) == []
    page = call("list_feedback", limit=3)
    rest = call("list_feedback", limit=3, cursor=page["next_cursor"])
    assert [one["feedback_id"] for one in page["items"] + rest["items"]] == numbers[::-1]
    assert rest["next_cursor"] is None


def test_lists_show_exactly_what_may_be_seen(tickets: Desk, call: Any) -> None:
    numbers = [
        call("submit_feedback", text="1", author="E7", department="财务部")["feedback_id"],
        call("submit_feedback", text="2", author="E6", department="采购部")["feedback_id"],
        call("submit_feedback", text="3", actor=None)["feedback_id"],
    ]
    scopes = [{"kind": kind, "person": who, "groups": ["G"], "department": department}
              for kind in ("all", "own", "group", "department", "none", "")
              for who in (None, "E1", "E5", "E6", "E7") for department in (None, "财务部")]  # fmt: skip
    for scope in scopes:
        listed = {one["feedback_id"] for one in call("list_feedback", scope=scope)["items"]}
        seen = set()
        for number in numbers:
            try:
                seen.add(call("get_feedback", feedback_id=number, scope=scope)["feedback_id"])
            except NotFound:
                continue
        assert listed == seen, scope


def test_a_forgotten_person_is_in_no_feedback(tickets: Desk, call: Any) -> None:
    # Given somebody who wrote, owned, answered and added
    wrote = call("submit_feedback", text="我是林晓雯", author="E7", actor="E7")["feedback_id"]
    call("answer_feedback", feedback_id=wrote, status="needs_information", answer="?")
    call("add_to_feedback", feedback_id=wrote, text="林晓雯", actor="E7", scope={"kind": "own", "person": "E7"})
    owned = call("submit_feedback", text="x", author="E5", department="E7 的部门")["feedback_id"]
    call("assign_feedback", feedback_id=owned, owner="E7")
    eventually(lambda: tickets.one("select count(*) from eventkit.outbox where sent_at is null") == 0)
    # When the person is erased
    forget(tickets.engine, "E7", storage.FORGET)
    # Then number and words are gone, and what others wrote stays
    rows = {row.id: row for row in tickets.rows("select * from feedback")}
    assert (rows[wrote].author, rows[wrote].text, rows[wrote].status) == (None, "", "accepted")
    assert (rows[owned].owner, rows[owned].text) == (None, "x")
    left = tickets.rows("select * from feedback_change where 'E7' in (actor, before, after) or after like '%林晓雯%'")
    assert left == []
    bodies = " ".join(str(one) for one in told(tickets, "received", "answered"))
    assert "林晓雯" not in bodies

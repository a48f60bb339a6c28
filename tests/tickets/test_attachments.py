"""Files on tickets: who may add and see them, and what is left of them when a person is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from eventkit.errors import NotFound, RuleBroken
from eventkit.forgetting import forget
from services.tickets import storage
from tests.eventkit.desk import Desk, eventually

OWN = {"kind": "own", "person": "E7"}


def file(name: str = "截图.png", **changes: Any) -> dict[str, Any]:
    told = {"id": f"id of {name}", "name": name, "size_bytes": 3, "sha256": "0" * 64, "content_type": "image/png"}
    return told | changes


@pytest.fixture
def number(call: Any) -> str:
    return str(call("open_ticket", title="打不开", requester="E7")["number"])


def test_a_file_is_shown_on_its_ticket_and_in_the_record_of_changes(call: Any, number: str) -> None:
    added = call("add_attachment", actor="E7", number=number, scope=OWN, **file())
    assert (added["name"], added["level"], added["actor"]) == ("截图.png", "public", "E7")
    assert call("ticket_attachments", number=number)["items"] == [added]
    assert call("get_attachment", number=number, attachment_id=added["id"], scope=OWN) == added
    last = call("ticket_changes", number=number)["items"][-1]
    assert (last["actor"], last["field"], last["after"]) == ("E7", "attachment", "截图.png")


def test_an_internal_file_is_for_the_desk_only(call: Any, number: str) -> None:
    call("add_attachment", actor="E21", number=number, **file("日志.log", level="internal"))
    assert [one["name"] for one in call("ticket_attachments", number=number)["items"]] == ["日志.log"]
    assert call("ticket_attachments", number=number, scope=OWN)["items"] == []
    with pytest.raises(NotFound):
        call("get_attachment", number=number, attachment_id="id of 日志.log", scope=OWN)
    with pytest.raises(RuleBroken) as caught:
        call("add_attachment", actor="E7", number=number, scope=OWN, **file(level="internal"))
    assert caught.value.field == "level"


def test_a_file_is_found_on_its_own_ticket_only(call: Any, number: str) -> None:
    call("add_attachment", number=number, **file())
    other = call("open_ticket", title="另一个", requester="E7")["number"]
    for asked in ({"number": other}, {"number": number, "scope": {"kind": "own", "person": "E8"}}):
        with pytest.raises(NotFound):
            call("get_attachment", attachment_id="id of 截图.png", **asked)


@pytest.mark.parametrize(
    ("changes", "field"), [({"sha256": "ABC"}, "sha256"), ({"size_bytes": -1}, "size_bytes"), ({"name": ""}, "name")]
)
def test_what_does_not_fit_is_refused_with_its_field(
    call: Any, number: str, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(RuleBroken) as caught:
        call("add_attachment", number=number, **file(**changes))
    assert caught.value.field == field


def test_a_forgotten_persons_files_are_gone(tickets: Desk, call: Any, number: str) -> None:
    call("add_attachment", actor="E21", number=number, **file("E7的身份证.png"))
    eventually(lambda: not tickets.one("select count(*) from eventkit.outbox where sent_at is null"))
    forget(tickets.engine, "E7", storage.FORGET)
    assert call("ticket_attachments", number=number)["items"] == []
    assert "身份证" not in str(call("ticket_changes", number=number))

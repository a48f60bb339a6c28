"""Mails in tickets: who is known by the address asks, and comments on their own ticket; the desk on any."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.gateway import AttachedFile, PersonChanged, TicketRequested, TicketUpdateRequested
from contracts.words import Channel
from eventkit.forgetting import forget
from services.tickets import storage
from tests.eventkit.desk import Desk, eventually, reported
from tests.tickets.stories import told, types

MAIL = "/liaison/mail"
FILE = AttachedFile(id="m1-1", name="截图.png", size_bytes=3, sha256="0" * 64, content_type="image/png")


def person(number: str, email: str | None = None, version: int = 1, **more: Any) -> Any:
    data = PersonChanged(employee_number=number, version=version, name=number, email=email or f"{number}@X.invalid")
    return reported(PersonChanged(**{name: getattr(data, name) for name in data.__struct_fields__} | more), number)


def request(mail_from: str, mail_id: str = "m1", **more: Any) -> Any:
    data = TicketRequested(**{"title": "VPN 连不上", "channel": Channel.MAIL, "mail_from": mail_from} | more)
    return reported(data, mail_id, source=MAIL, externalref=mail_id)


def reply(number: str, mail_from: str, mail_id: str = "m2", **more: Any) -> Any:
    data = TicketUpdateRequested(
        **{"number": number, "comment": "还是不行", "title": "Re: VPN"} | more, mail_from=mail_from
    )
    return reported(data, number, source=MAIL, externalref=mail_id, id=mail_id)


@pytest.fixture
def desk(tickets: Desk, call: Any) -> Desk:
    """A desk that knows requester E7, their colleague E8 and engineer E21."""
    assert call
    tickets.publish(person("E7", department="财务部"), person("E8"), person("E21", roles=("engineer",)))
    eventually(lambda: tickets.one("select count(*) from person") == 3)
    return tickets


@pytest.fixture
def number(desk: Desk) -> str:
    desk.publish(request("e7@x.invalid"))
    eventually(lambda: desk.one("select count(*) from ticket") == 1)
    return str(desk.one("select number from ticket"))


def test_the_requester_is_who_is_known_by_the_address(desk: Desk, call: Any) -> None:
    desk.publish(request("E7@x.INVALID", attachments=(FILE,)))
    eventually(lambda: desk.one("select count(*) from attachment") == 1)
    [row] = desk.rows("select * from ticket")
    assert (row.requester, row.requester_known, row.department, row.channel, row.mail_from) == (
        "E7",
        True,
        "财务部",
        "mail",
        None,
    )
    [file] = call("ticket_attachments", number=row.number)["items"]
    assert (file["name"], file["level"], file["actor"]) == ("截图.png", "public", "E7")


@pytest.mark.parametrize("address", ["stranger@x.invalid", "shared@x.invalid", "gone@x.invalid"])
def test_whom_nobody_is_known_by_is_kept_with_the_address(desk: Desk, address: str) -> None:
    desk.publish(
        person("E31", "shared@x.invalid"),
        person("E32", "shared@x.invalid"),
        person("E33", "gone@x.invalid", active=False),
    )
    eventually(lambda: desk.one("select count(*) from person") == 6)
    desk.publish(request(address))
    eventually(lambda: desk.one("select count(*) from ticket") == 1)
    [row] = desk.rows("select * from ticket")
    assert (row.requester, row.requester_known, row.mail_from) == (None, False, address)


def test_a_requesters_reply_is_their_comment_with_its_files(desk: Desk, call: Any, number: str) -> None:
    desk.publish(reply(number, "e7@x.invalid", attachments=(FILE,)))
    eventually(lambda: desk.one("select count(*) from attachment") == 1)
    [comment] = call("ticket_comments", number=number)["items"]
    assert (comment["actor"], comment["body"], comment["public"]) == ("E7", "还是不行", True)
    assert desk.one("select count(*) from ticket") == 1


def answer(first: str, mail_from: str, mail_id: str = "m2") -> Any:
    data = TicketUpdateRequested(comment="补充一句", title="Re: VPN", mail_from=mail_from)
    return reported(data, first, source=MAIL, externalref=first, id=mail_id)


def test_whoever_answers_their_own_mail_comments_on_their_ticket(desk: Desk, call: Any, number: str) -> None:
    desk.publish(answer("m1", "e7@x.invalid"))
    eventually(lambda: desk.one("select count(*) from ticket_comment") == 1)
    assert [one["body"] for one in call("ticket_comments", number=number)["items"]] == ["补充一句"]
    assert desk.one("select count(*) from ticket") == 1


def test_somebody_else_who_answers_that_mail_asks_for_a_ticket_of_their_own(desk: Desk, number: str) -> None:
    desk.publish(answer("m1", "e8@x.invalid"))
    eventually(lambda: desk.one("select count(*) from ticket") == 2)
    [row] = desk.rows("select * from ticket where number <> :number", number=number)
    # Theirs is found by their own mail, and the first one's by the first.
    assert (row.requester, row.externalref) == ("E8", "m2")
    desk.publish(answer("m2", "e8@x.invalid", "m3"), answer("m1", "e7@x.invalid", "m4"))
    eventually(lambda: desk.one("select count(*) from ticket_comment") == 2)
    assert desk.one("select count(*) from ticket") == 2


def test_an_engineers_reply_is_the_desks_response(desk: Desk, call: Any, number: str) -> None:
    desk.publish(reply(number, "e21@x.invalid"))
    eventually(lambda: "ticket.responded" in types(desk))
    [comment] = call("ticket_comments", number=number)["items"]
    assert comment["actor"] == "E21"


def test_a_reply_of_whoever_holds_the_ticket_is_the_desks_response(desk: Desk, call: Any, number: str) -> None:
    # A key user is no engineer.
    call("change_ticket", number=number, assignee="E8")
    desk.publish(reply(number, "e8@x.invalid"))
    eventually(lambda: "ticket.responded" in types(desk))
    assert [one["actor"] for one in call("ticket_comments", number=number)["items"]] == ["E8"]


@pytest.mark.parametrize("address", ["e8@x.invalid", "stranger@x.invalid"])
def test_anybody_elses_reply_is_a_ticket_of_its_own(desk: Desk, call: Any, number: str, address: str) -> None:
    desk.publish(reply(number, address, attachments=(FILE,)))
    eventually(lambda: desk.one("select count(*) from ticket") == 2)
    assert call("ticket_comments", number=number)["items"] == []
    [row] = desk.rows("select * from ticket where number <> :number", number=number)
    assert (row.title, row.description, row.channel) == ("Re: VPN", "还是不行", "mail")
    assert row.requester == ("E8" if address.startswith("e8") else None)
    assert [one["name"] for one in call("ticket_attachments", number=row.number)["items"]] == ["截图.png"]


def test_a_reply_to_a_merged_ticket_goes_where_it_was_merged_into(desk: Desk, call: Any, number: str) -> None:
    other = call("open_ticket", title="同一个问题", requester="E8")["number"]
    call("merge_ticket", number=number, into=other)
    desk.publish(reply(number, "e7@x.invalid", attachments=(FILE,)))
    eventually(lambda: desk.one("select count(*) from attachment where number = :number", number=other) == 1)
    assert [one["body"] for one in call("ticket_comments", number=other)["items"]] == ["还是不行"]
    assert call("ticket_comments", number=number)["items"] == []
    # Whoever holds that one is told, as of a requester's word.
    assert [data["voice"] for kind, data in told(desk) if kind == "ticket.commented"] == ["requester"]


def test_a_reply_to_a_ticket_that_is_not_there_is_a_new_one(desk: Desk) -> None:
    desk.publish(reply("T2020-000001", "e7@x.invalid"))
    eventually(lambda: desk.one("select count(*) from ticket") == 1)
    assert types(desk)[0] == "ticket.opened"


def test_a_requesters_reply_ends_the_waiting_for_them(desk: Desk, call: Any, number: str) -> None:
    asked = TicketUpdateRequested(number=number, state="awaiting_user")  # type: ignore[arg-type]
    desk.publish(reported(asked, number, source="/erp"))
    eventually(lambda: "ticket.paused" in types(desk))
    desk.publish(reply(number, "e7@x.invalid"))
    eventually(lambda: "ticket.resumed" in types(desk))
    assert call("get_ticket", number=number)["state"] == "in_progress"


def test_a_forgotten_persons_address_is_gone(desk: Desk) -> None:
    desk.publish(request("E9@x.invalid"))
    eventually(lambda: desk.one("select count(*) from ticket") == 1)
    desk.publish(person("E9"))
    eventually(lambda: desk.one("select count(*) from person where employee_number = 'E9'") == 1)
    forget(desk.engine, "E9", storage.FORGET, address="e9@x.invalid")
    assert desk.rows("select from ticket where mail_from is not null") == []
    assert desk.rows("select from person where email = 'e9@x.invalid'") == []


def test_a_reply_that_is_only_a_picture_is_a_word_too(desk: Desk, call: Any, number: str) -> None:
    call("resolve_ticket", number=number, solution="重启")
    desk.publish(reply(number, "e7@x.invalid", comment="", attachments=(FILE,)))
    eventually(lambda: desk.one("select count(*) from attachment") == 1)
    assert [one["body"] for one in call("ticket_comments", number=number)["items"]] == ["截图.png"]
    assert desk.one("select count(*) from eventkit.timer where kind = 'silence'") == 0


def test_what_a_forgotten_person_wrote_is_in_no_event_that_was_sent(desk: Desk, call: Any, number: str) -> None:
    call("comment_ticket", actor="E21", number=number, body="我是龙傲天")
    desk.publish(reply(number, "e7@x.invalid", comment="你好龙傲天"))
    eventually(lambda: types(desk).count("ticket.commented") == 2)
    kept = "select count(*) from eventkit.outbox where position(convert_to('龙傲天', 'UTF8') in payload) > 0"
    eventually(lambda: not desk.one("select count(*) from eventkit.outbox where sent_at is null"))
    assert desk.one(kept) == 2
    forget(desk.engine, "E21", storage.FORGET)
    assert desk.one(kept) == 1
    forget(desk.engine, "E7", storage.FORGET)
    assert desk.one(kept) == 0

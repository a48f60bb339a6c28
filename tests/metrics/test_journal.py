"""The journal: every event, whole, in the month in which it came."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from contracts.gateway import TicketRequested, TicketUpdateRequested
from contracts.tickets import TicketOpened, TicketResolved
from contracts.words import Channel, TicketState
from eventkit import inbox
from eventkit.envelope import Event, encode_data, from_headers, new_id, to_headers
from services.metrics import storage
from services.metrics.recount import recount
from services.metrics.storage import FORGET, make_months
from tests.eventkit.desk import reported
from tests.metrics.house import House
from tests.metrics.stories import NOW, told


def _request(subject: str, time: datetime, **more: Any) -> Event[Any]:
    return Event(
        id=new_id(),
        source="/erp",
        type=TicketRequested.TYPE,
        subject=subject,
        time=time,
        data=TicketRequested(title="打印机坏了"),
        partitionkey=f"/erp {subject}",
        **more,
    )


def _months(house: House) -> list[str]:
    rows = house.rows(
        "select child.relname from pg_inherits join pg_class child on child.oid = inhrelid"
        " where inhparent = 'journal'::regclass order by child.relname"
    )
    return [row.relname for row in rows]


def test_an_event_comes_back_from_the_journal_as_it_went_in(house: House) -> None:
    events = told(9, tickets=5, others=3)
    whole = _request("R1", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), history=True, sequence=7)
    events.append(whole)
    house.hand_in(events)
    rows = house.rows("select * from journal")
    read = {row.id: from_headers(row.headers, bytes(row.body)) for row in rows}
    assert read == {one.id: inbox.receive(to_headers(one), encode_data(one.data)).event for one in events}
    [row] = [row for row in rows if row.id == whole.id]
    assert (row.source, row.type, row.subject, row.sequence) == ("/erp", TicketRequested.TYPE, "R1", 7)
    assert (row.time, row.history, row.partitionkey) == (whole.time, True, "/erp R1")


def test_an_event_of_the_past_lies_in_the_month_of_its_arrival(house: House) -> None:
    house.hand_in([_request("R1", datetime(2016, 3, 1, tzinfo=UTC), history=True)])
    [row] = house.rows("select tableoid::regclass::text as part, to_char(now(), 'YYYY_MM') as month from journal")
    assert row.part == f"journal_{row.month}"


def test_the_coming_months_are_made_at_the_start_and_by_a_timer_that_comes_back(house: House) -> None:
    assert len(_months(house)) == 5
    assert _months(house)[-1] == "journal_rest"
    [last] = _months(house)[-2:-1]
    house.run(f"drop table {last}")
    house.fire_timers()
    assert len(_months(house)) == 5
    [row] = house.rows("select due_at - now() as pause from eventkit.timer where kind = 'journal_months'")
    assert 23 < row.pause.total_seconds() / 3600 <= 24
    house.run("update eventkit.timer set due_at = now()")
    house.run(f"drop table {last}")
    house.fire_timers()
    assert len(_months(house)) == 5


def test_events_of_a_month_without_a_partition_are_kept_and_moved_when_it_is_made(house: House) -> None:
    house.hand_in([_request("R1", datetime(2026, 1, 1, tzinfo=UTC))])
    house.run("update journal set arrived_at = '2031-05-31 23:59:59.999999+00'")
    house.hand_in([_request("R2", datetime(2026, 1, 1, tzinfo=UTC))])
    assert house.rows("select subject from journal_rest") == [("R1",)]
    with house.engine.begin() as connection:
        # A session's own time zone must not shift the borders.
        connection.execute(text("set local timezone = 'Asia/Shanghai'"))
        made = make_months(connection, datetime(2031, 5, 1, tzinfo=UTC))
    assert made == ["2031-05", "2031-06", "2031-07", "2031-08"]
    assert house.rows("select subject from journal_rest") == []
    assert house.rows("select subject from journal_2031_05") == [("R1",)]
    assert house.rows("select count(*) from journal") == [(2,)]


def test_after_25_months_the_journal_forgets_people_and_the_numbers_stay(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given events that are told with names and texts, and lie in the journal for longer than that
    house.hand_in(told(3, tickets=6, others=4))
    now = datetime.now(UTC)
    before = house.page(now)
    house.run("update journal set arrived_at = arrived_at - interval '26 months' + position * interval '1 s'")
    # When the day's timer fires, in steps of a few events
    monkeypatch.setattr(storage, "_THINNED_AT_ONCE", 3)
    steps = 0
    while house.rows("select from journal where not headers ? 'ce-thin'"):
        house.fire_timers()
        steps += 1
    assert steps > 1
    house.fire_timers()
    assert house.rows("select count(*) from eventkit.timer where due_at < now()") == [(0,)]
    # Then no text that people wrote is left, and a count from the journal finds nothing to correct
    fields = {field for row in house.rows("select body from journal") for field in msgspec.json.decode(bytes(row.body))}
    assert "number" in fields
    assert not fields & {"solution", "email", "reason", "description", "comment", "answer", "author"}
    assert house.rows("select from journal where convert_from(body, 'UTF8') like '%打印机又坏了%'") == []
    assert recount(house.engine).corrected == 0
    assert house.page(now) == before


def test_a_forgotten_persons_tickets_leave_no_text_and_others_keep_theirs(house: House) -> None:
    # Given a ticket of E1 and one of E2, each requested, updated by key and by number, and solved
    for person in ("E1", "E2"):
        key, number = f"case-{person}", f"T-{person}"
        about: dict[str, Any] = {"number": number, "title": "我的打印机", "state": TicketState.RESOLVED, "priority": 3}
        about |= {"channel": Channel.WEB, "opened_at": NOW, "requester": person}
        wish = TicketRequested(title="我的打印机", description="我在三楼", requester=person)
        updates = (
            (TicketUpdateRequested(comment="我等着"), key),
            (TicketUpdateRequested(number=number, solution="你换墨盒"), None),
        )
        house.hand_in(
            [
                reported(wish, key, source="/erp", externalref=key),
                *(reported(update, key, source="/erp", externalref=ref) for update, ref in updates),
                reported(TicketOpened(**about), number, 1, source="/liaison/tickets"),
                reported(
                    TicketResolved(resolved_at=NOW, solution="你换墨盒", **about), number, 2, source="/liaison/tickets"
                ),
            ]
        )
    before = house.page(NOW)
    # When one of them is forgotten
    for statement in FORGET:
        house.run(statement, number="E1", address="e1@example.invalid")
    # Then only the other one's texts are left, and a count from the journal finds nothing to correct
    text_left = "convert_from(body, 'UTF8') ~ '我|你'"
    [(events, left)] = house.rows(f"select count(*), count(*) filter (where {text_left}) from journal")
    assert (events, left) == (10, 5)
    assert house.rows(f"select from journal where {text_left} and subject ~ 'E1'") == []
    assert recount(house.engine).corrected == 0
    assert house.page(NOW) == before


def test_a_forgotten_person_leaves_no_text_and_no_name_and_the_numbers_stay(house: House) -> None:
    house.hand_in(told(3, tickets=6, others=12))
    before = house.page(NOW)
    for statement in FORGET:
        house.run(statement, number="E1", address="e1@example.invalid")
    bodies = [msgspec.json.decode(bytes(row.body)) for row in house.rows("select body from journal")]
    assert all(body["text"] != "打印机又坏了" for body in bodies if body.get("author") == "E1")
    assert any(body.get("text") == "—" for body in bodies)
    assert any(body.get("text") == "打印机又坏了" for body in bodies)
    assert not any(body.get("author") == "E1" for body in bodies)
    assert recount(house.engine).corrected == 0
    assert house.page(NOW) == before

"""Lists of tickets: views, order by remaining time, filters, and the same rule of who sees what as for one ticket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from contracts.words import TicketState
from eventkit.errors import RuleBroken
from services.tickets import listing, rules
from services.tickets.tables import ticket
from tests.eventkit.desk import Desk, eventually
from tests.tickets.stories import asked, engineer, types, update

SCOPE = {"kind": "group", "person": "E21", "groups": ["华东支持组"]}


@pytest.fixture
def shelf(tickets: Desk, call: Any) -> Any:
    """Five tickets: of E21 due in half an hour, late, paused; one that waits; one of another group.

    Returns the titles of a list.
    """
    now = datetime.now(UTC)
    tickets.publish(
        engineer("E21", "华东支持组"),
        asked("ERP-1", title="一小时", priority=1, time=now - timedelta(hours=3, minutes=30), arrived_at=now),
        asked("ERP-2", title="已超时", priority=1, time=now - timedelta(hours=5), arrived_at=now),
        asked("ERP-3", title="暂停中", priority=4),
        asked("ERP-4", title="没人管", region="华南", department="财务部"),
        asked("ERP-5", title="别的组", region="火星", description="打印机冒烟", assignee="E9"),
        *(update(f"ERP-{n}", 2, state=TicketState.IN_PROGRESS) for n in (1, 2)),
        update("ERP-3", 2, state=TicketState.AWAITING_USER),
    )
    eventually(lambda: "ticket.paused" in types(tickets))

    def titles(**arguments: Any) -> list[str]:
        return [one["title"] for one in call("list_tickets", **{"sort": "due"} | arguments)["items"]]

    return titles


@pytest.mark.parametrize(
    ("view", "scope", "titles"),
    [
        pytest.param("mine", SCOPE, ["已超时", "一小时", "暂停中"], id="mine, the most overdue first, paused last"),
        pytest.param("group", SCOPE, ["已超时", "一小时", "暂停中"], id="my groups"),
        pytest.param("due_soon", SCOPE, ["已超时", "一小时"], id="due within the hour"),
        pytest.param("unassigned", SCOPE, [], id="nothing waits in my groups"),
        pytest.param("unassigned", {"kind": "all"}, ["没人管"], id="what waits anywhere"),
    ],
)
def test_a_view(shelf: Any, view: str, scope: dict[str, Any], titles: list[str]) -> None:
    assert shelf(view=view, scope=scope) == titles


def test_a_list_by_remaining_time_is_read_page_by_page(shelf: Any, call: Any) -> None:
    whole, pages, cursor = shelf(), [], None
    while True:
        page = call("list_tickets", sort="due", limit=1, cursor=cursor)
        pages += [one["title"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == whole
    assert whole[:2] == ["已超时", "一小时"]


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({"q": "冒烟"}, {"别的组"}),
        ({"q": "ERP-4"}, {"没人管"}),
        ({"q": "冒"}, {"别的组"}),
        ({"q": "烟冒"}, set()),
        ({"q": "冒_"}, set()),
        ({"priority": 1, "open": True}, {"一小时", "已超时"}),
        ({"open": False}, set()),
        ({"channel": "event", "region": "华南"}, {"没人管"}),
        ({"department": "财务部"}, {"没人管"}),
        ({"request_type": "account"}, set()),
        ({"opened_before": "2020-01-01T00:00:00+08:00"}, set()),
    ],
)
def test_filters_and_words(shelf: Any, filters: dict[str, Any], titles: set[str]) -> None:
    assert set(shelf(filters=filters)) == titles


@pytest.mark.parametrize("q", ["冒烟", "打印机冒烟", "Vpn 断开"])
def test_an_index_finds_words_of_two_letters_or_more(tickets: Desk, q: str) -> None:
    asked = select(ticket.c.title).where(*listing._conditions({"q": q}))
    with tickets.engine.begin() as connection:
        connection.exec_driver_sql("set local enable_seqscan = off; set local enable_indexscan = off")
        plan = connection.exec_driver_sql(
            f"explain {asked.compile(connection, compile_kwargs={'literal_binds': True})}"
        )
        assert "ticket_by_words" in "".join(plan.scalars())


def test_a_span_of_opening_holds_its_begin_and_not_its_end(shelf: Any, tickets: Desk) -> None:
    [late] = tickets.rows("select opened_at from ticket where title = '已超时'")
    [hour] = tickets.rows("select opened_at from ticket where title = '一小时'")
    span = {"opened_from": late.opened_at.isoformat(), "opened_before": hour.opened_at.isoformat()}
    assert shelf(filters=span) == ["已超时"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"view": "all"}, "view"),
        ({"sort": "age"}, "sort"),
        ({"cursor": "T1"}, "cursor"),
        ({"filters": {"opened_from": "yesterday"}}, "opened_from"),
        ({"filters": {"opened_before": "2026-03-02T00:00:00"}}, "opened_before"),
        (
            {"filters": {"opened_from": "2026-03-02T00:00:00Z", "opened_before": "2026-03-02T00:00:00Z"}},
            "opened_before",
        ),
    ],
)
def test_what_is_wrong_is_named(shelf: Any, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        shelf(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "scope",
    [
        {"kind": "all"},
        {"kind": "own", "person": "E21"},
        {"kind": "own"},
        SCOPE,
        {"kind": "group", "groups": ["服务台"]},
        {"kind": "department", "department": "财务部"},
        {"kind": "department"},
        {},
    ],
)
def test_a_list_shows_exactly_the_tickets_that_may_be_seen_one_by_one(
    shelf: Any, call: Any, tickets: Desk, scope: dict[str, Any]
) -> None:
    # Somebody watches a ticket of another group, and a sensitive one.
    others = {one["title"]: one["number"] for one in call("list_tickets")["items"]}
    for title in ("别的组", "没人管"):
        call("watch_ticket", number=others[title], person="E21")
    call("change_ticket", number=others["没人管"], secrecy="sensitive")
    visible = {row.title for row in tickets.rows("select * from ticket") if rules.is_visible(row._asdict(), scope)}
    assert set(shelf(scope=scope)) == visible

"""What binds tickets together on a real database: links, merging, watchers, many at once, quick texts."""

from __future__ import annotations

from typing import Any

import pytest

from eventkit.errors import NotFound, RuleBroken
from services.tickets.relations.links import leads_back
from tests.eventkit.desk import Desk
from tests.tickets.stories import told, types


@pytest.fixture
def numbers(call: Any) -> list[str]:
    return [call("open_ticket", title=f"第 {n} 张", requester=f"E{n}")["number"] for n in range(4)]


def test_links_are_seen_from_both_ends_and_can_be_taken_away(call: Any, numbers: list[str]) -> None:
    one, other, *_ = numbers
    call("link_ticket", number=one, kind="caused_by", target=other)
    assert [(x["number"], x["kind"], x["target"]) for x in call("ticket_links", number=other)["links"]] == [
        (one, "caused_by", other)
    ]
    with pytest.raises(RuleBroken, match="linked so already"):
        call("link_ticket", number=one, kind="caused_by", target=other)
    call("link_ticket", number=one, kind="caused_by", target=other, remove=True)
    assert call("ticket_links", number=one)["links"] == []


@pytest.mark.parametrize("kind", ["child_of", "duplicate_of"])
def test_no_ticket_becomes_its_own_ancestor(call: Any, numbers: list[str], kind: str) -> None:
    a, b, c, _ = numbers
    call("link_ticket", number=a, kind=kind, target=b)
    call("link_ticket", number=b, kind=kind, target=c)
    with pytest.raises(RuleBroken, match="already") as caught:
        call("link_ticket", number=c, kind=kind, target=a)
    assert caught.value.field == "target"
    with pytest.raises(RuleBroken, match="itself"):
        call("link_ticket", number=a, kind=kind, target=a)


def test_a_circle_that_is_there_already_ends_the_search() -> None:
    assert not leads_back("x", "a", {"a": ["b"], "b": ["a"], "x": []}.__getitem__)


def test_a_parent_is_not_finished_before_its_children(call: Any, numbers: list[str]) -> None:
    parent, child, *_ = numbers
    call("link_ticket", number=child, kind="child_of", target=parent)
    with pytest.raises(RuleBroken, match=child):
        call("resolve_ticket", number=parent, solution="好了")
    call("resolve_ticket", number=child, solution="好了")
    assert call("resolve_ticket", number=parent, solution="好了")["state"] == "resolved"


def test_a_merged_ticket_is_closed_without_an_outcome_and_its_people_watch_the_other(
    tickets: Desk, call: Any, numbers: list[str]
) -> None:
    one, into, *_ = numbers
    call("watch_ticket", number=one, person="E77")
    assert call("merge_ticket", number=one, into=into)["state"] == "closed"
    assert call("ticket_links", number=into)["watchers"] == ["E0", "E77"]
    # Zammad goes on escalating merged tickets: here nothing of it is met, missed or due any more.
    assert not {"sla.met", "sla.breached", "ticket.resolved"} & set(types(tickets))
    assert tickets.one("select count(*) from eventkit.timer where subject = :n and kind like 'sla%'", n=one) == 0
    [closed] = [data for kind, data in told(tickets) if kind == "ticket.closed"]
    assert closed["merged_into"] == into
    with pytest.raises(RuleBroken, match="finished"):
        call("merge_ticket", number=into, into=one)


def test_a_parent_is_not_merged_away_before_its_children(call: Any, numbers: list[str]) -> None:
    parent, child, into, _ = numbers
    call("link_ticket", number=child, kind="child_of", target=parent)
    with pytest.raises(RuleBroken, match=child):
        call("merge_ticket", number=parent, into=into)
    assert call("get_ticket", number=parent)["state"] == "new"
    assert call("ticket_links", number=into)["links"] == []
    call("resolve_ticket", number=child, solution="好了")
    assert call("merge_ticket", number=parent, into=into)["state"] == "closed"


def test_the_requester_of_a_merged_ticket_reads_the_other_until_they_watch_it_no_more(
    call: Any, numbers: list[str]
) -> None:
    one, into, *_ = numbers
    call("merge_ticket", number=one, into=into)
    call("comment_ticket", number=into, body="请重启")
    call("comment_ticket", number=into, body="要看日志", public=False)
    watcher = {"number": into, "scope": {"kind": "own", "person": "E0"}}
    assert call("get_ticket", **watcher)["number"] == into
    assert [said["body"] for said in call("ticket_comments", **watcher)["items"]] == ["请重启"]
    assert call("explain_sla", **watcher)["clocks"] != []
    assert call("ticket_attachments", **watcher)["items"] == []
    # They change nothing, and speak for nobody else; what they say starts and stops nothing.
    for command, more in (("close_ticket", {}), ("respond_ticket", {}), ("change_ticket", {"priority": 1})):
        with pytest.raises(RuleBroken, match="only watches"):
            call(command, actor="E0", **watcher, **more)
    assert call("comment_ticket", actor="E0", body="我也是", **watcher)["state"] == "in_progress"
    with pytest.raises(RuleBroken, match="only for yourself"):
        call("watch_ticket", **watcher, person="E9")
    call("watch_ticket", **watcher, remove=True)
    with pytest.raises(NotFound):
        call("get_ticket", **watcher)


def test_watchers_are_named_in_what_is_told(tickets: Desk, call: Any, numbers: list[str]) -> None:
    call("watch_ticket", number=numbers[0], scope={"kind": "own", "person": "E0"})
    call("respond_ticket", number=numbers[0])
    assert told(tickets)[-1][1]["watchers"] == ["E0"]
    with pytest.raises(RuleBroken, match="only for yourself"):
        call("watch_ticket", number=numbers[0], person="E9", scope={"kind": "own", "person": "E0"})
    call("watch_ticket", number=numbers[0], person="E0", remove=True)
    assert call("ticket_links", number=numbers[0])["watchers"] == []


def test_many_are_assigned_at_once_and_what_is_refused_for_one_leaves_the_others(call: Any, numbers: list[str]) -> None:
    call("resolve_ticket", number=numbers[1], solution="好了")
    done = call("change_many", numbers=[*numbers, "T1999-000001"], change={"assignee": "E21", "state": "awaiting_user"})
    assert [one["done"] for one in done["results"]] == [True, False, True, True, False]
    assert done["results"][1]["field"] == "state"
    assert [call("get_ticket", number=one)["assignee"] for one in numbers] == ["E21", None, "E21", "E21"]
    closed = call("close_many", numbers=numbers)
    assert [one["done"] for one in closed["results"]] == [False, True, False, False]


def test_impact_and_urgency_decide_the_priority_again(call: Any, numbers: list[str]) -> None:
    assert call("change_ticket", number=numbers[0], impact=1, urgency=1)["priority"] == 1
    assert call("change_ticket", number=numbers[0], urgency=4, priority=2)["priority"] == 2


def test_quick_texts_are_filled_in(call: Any, numbers: list[str]) -> None:
    call("put_quick_text", name="ask", body="{requester} 您好，{number} 请发截图。")
    call("comment_ticket", number=numbers[2], quick_text="ask")
    assert call("ticket_comments", number=numbers[2])["items"][0]["body"] == f"E2 您好，{numbers[2]} 请发截图。"
    assert [one["name"] for one in call("quick_texts")["items"]] == ["ask"]
    with pytest.raises(RuleBroken, match="colour"):
        call("put_quick_text", name="bad", body="{colour}")
    call("put_quick_text", name="ask", body="")
    with pytest.raises(NotFound):
        call("comment_ticket", number=numbers[2], quick_text="ask")

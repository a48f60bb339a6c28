"""The queue page: signed in by a token, it shows views and tickets, and nothing of it changes anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contracts.tickets import Target
from contracts.words import Secrecy
from eventkit.blobs import key_of
from services.gateway import html
from services.tickets import usecases
from services.tickets.relations.links import LinkKind
from services.tickets.sla.clock import ClockState
from services.tickets.tables import ticket_support
from tests.gateway.desk_stub import ATTACHMENT, CHANGE, FILE, SLA, Tickets
from tests.gateway.door import Door
from tests.house.source import ROOT, modules

TICKETS = ROOT / "services" / "tickets"


@pytest.fixture
def browser(door: Door, tickets: Tickets) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(door.http.base_url), follow_redirects=True, trust_env=False) as client:
        yield client


@pytest.fixture
def engineer(browser: httpx.Client, door: Door) -> httpx.Client:
    browser.post("/desk/sign-in", data={"token": door.token("engineer")})
    return browser


def test_who_is_not_signed_in_is_asked_for_a_token(browser: httpx.Client) -> None:
    for path in ("/desk/queue", "/desk/tickets/T2026-000001"):
        answer = browser.get(path)
        assert (answer.url.path, "访问令牌" in answer.text) == ("/desk/sign-in", True)


def test_a_wrong_token_opens_nothing(browser: httpx.Client) -> None:
    answer = browser.post("/desk/sign-in", data={"token": "liaison_guessed"})
    assert "令牌无效" in answer.text
    assert not browser.cookies


def test_signing_in_shows_the_queue_of_the_own_groups_first(engineer: httpx.Client, tickets: Tickets) -> None:
    answer = engineer.get("/desk/queue")
    assert "T2026-000001" in answer.text
    [(method, arguments, actor)] = tickets.asked[-1:]
    assert (method, arguments["view"], arguments["sort"], actor) == ("list_tickets", "group", "due", "E1001")
    assert arguments["scope"]["kind"] == "group"


@pytest.mark.parametrize("view", ["mine", "group", "due_soon", "unassigned"])
def test_every_view_is_a_link_and_the_next_page_keeps_it(engineer: httpx.Client, tickets: Tickets, view: str) -> None:
    answer = engineer.get(f"/desk/queue?view={view}&q=坏")
    assert f'href="/desk/queue?view={view}"' in answer.text
    assert f"view={view}&amp;q=%E5%9D%8F&amp;cursor=T2026-000001" in answer.text
    assert tickets.asked[-1][1]["filters"] == {"q": "坏"}


def test_a_tickets_page_shows_clocks_words_reasons_and_changes(engineer: httpx.Client) -> None:
    text = engineer.get("/desk/tickets/T2026-000001").text
    for shown in ("打印机坏了", "通用", "服务时间", "还是不行", "在办较多", "新建 → 处理中", "提出人页面"):
        assert shown in text


@pytest.mark.parametrize(
    ("field", "after", "shown"),
    [
        ("internal clock", "paused", ("内部时限", "→ 暂停")),
        ("solution clock", "ended", ("解决时限", "→ 已取消")),
        ("solution due", "2026-03-02T01:00:00+00:00", ("解决期限", "→ 2026-03-02 09:00")),
        ("appointment_at", "2026-03-02 01:00:00+00:00", ("预约时间", "→ 2026-03-02 09:00")),
        ("diagnosis_mode", "on_site", ("诊断方式", "→ 现场勘查")),
        ("secrecy", "sensitive", ("密级", "→ 敏感")),
        ("vendor", "ended", ("厂商", "→ ended")),
    ],
)
def test_a_tickets_page_says_what_changed_in_the_readers_words(
    engineer: httpx.Client, monkeypatch: pytest.MonkeyPatch, field: str, after: str, shown: tuple[str, str]
) -> None:
    for name, value in {"field": field, "before": None, "after": after, "reason": "policy or calendar changed"}.items():
        monkeypatch.setitem(CHANGE, name, value)
    text = engineer.get("/desk/tickets/T2026-000001").text
    assert [one for one in (*shown, "时限政策或日历有变") if one not in text] == []


def test_there_is_a_word_for_everything_that_is_noted_of_a_tickets_changes() -> None:
    noted = {"state", "group", "assignee", "support_level", "watchers", "attachment", *LinkKind, *usecases._CHANGEABLE}
    noted |= {f"{target} {what}" for target in Target if target is not Target.OTHER for what in ("due", "clock")}
    noted |= {*ticket_support.c.keys()} - {"number"}
    assert {f"field_{field}" for field in noted} - html.WORDS["zh-CN"].keys() == set()
    values = {f"secrecy_{one}" for one in Secrecy if one is not Secrecy.OTHER} | {f"clock_{one}" for one in ClockState}
    assert values - html.WORDS["zh-CN"].keys() == set()


def test_there_is_a_word_for_every_reason_of_the_desks_own() -> None:
    # Feedback has another page; and one reason is chosen before it is given.
    files = [path for path in modules() if path.is_relative_to(TICKETS) and path.parent.name != "feedback"]
    given = {reason for path in files for reason in reasons_in(path)} | {"nobody named"}
    assert "refused by the requester" in given
    assert {f"reason_{reason}" for reason in given} - html.WORDS["zh-CN"].keys() == set()


def reasons_in(path: Path) -> Iterator[str]:
    """Return the reasons that a file gives word for word."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def test_a_tickets_page_names_the_year_whose_holidays_nobody_knows_yet(
    engineer: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, warning = "/desk/tickets/T2026-000001", "节假日尚未公布，按周计算: 2027"
    assert warning not in engineer.get(address).text
    monkeypatch.setitem(SLA["clocks"][0], "unpublished_years", [2027])
    assert warning in engineer.get(address).text


def test_a_tickets_page_lists_its_files_and_gives_them_out(engineer: httpx.Client, door: Door) -> None:
    door.blobs.put_object(key_of(FILE), FILE, "image/png")
    address = f"/desk/tickets/T2026-000001/files/{ATTACHMENT['id']}"
    assert f'href="{address}">{ATTACHMENT["name"]}</a>' in engineer.get("/desk/tickets/T2026-000001").text
    answer = engineer.get(address)
    assert answer.content == FILE
    assert answer.headers["content-disposition"].startswith("attachment;")


def test_a_requester_sees_no_audit(browser: httpx.Client, door: Door, tickets: Tickets) -> None:
    browser.post("/desk/sign-in", data={"token": door.token("requester")})
    assert browser.get("/desk/tickets/T2026-000001").status_code == 200
    assert {method for method, _, _ in tickets.asked} == {
        "get_ticket",
        "ticket_comments",
        "ticket_attachments",
        "explain_sla",
        "list_tickets",
    }


def test_the_cookie_opens_the_desk_only(engineer: httpx.Client) -> None:
    assert engineer.get("/v1/tickets").status_code == 401
    [cookie] = engineer.cookies.jar
    assert (cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == ("/desk", True)


def test_signing_out_forgets_the_token(engineer: httpx.Client) -> None:
    engineer.post("/desk/sign-out")
    assert engineer.get("/desk/queue").url.path == "/desk/sign-in"

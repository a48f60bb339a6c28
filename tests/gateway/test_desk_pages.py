"""The queue page: signed in by a token, it shows views and tickets, and nothing of it changes anything."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from eventkit.blobs import key_of
from tests.gateway.desk_stub import ATTACHMENT, FILE, SLA, Tickets
from tests.gateway.door import Door


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
    for shown in ("打印机坏了", "通用", "服务时间", "还是不行", "在办较多", "新建 → 处理中", "请求人页面"):
        assert shown in text


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

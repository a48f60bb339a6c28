"""The page behind a signed link: what it shows, asks and passes on; looking at it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from contracts.tickets import Target
from contracts.words import Channel, TicketState
from eventkit.links import Links
from services.gateway import html
from services.tickets.sla.clock import ClockState
from tests.gateway.desk_stub import Tickets
from tests.gateway.door import LINK_KEY, Door

SAYS = {"n": "T2026-000001", "c": 2, "p": "E7"}
WHO = {"number": "T2026-000001", "cycle": 2, "person": "E7"}


def address(**changes: Any) -> str:
    return f"/t/{Links([LINK_KEY], 'ticket', valid_days=1).token(SAYS | changes)}"


@pytest.fixture
def browser(door: Door) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(door.http.base_url), follow_redirects=True, trust_env=False) as client:
        yield client


def test_looking_shows_the_ticket_and_changes_nothing(browser: httpx.Client, tickets: Tickets) -> None:
    answer = browser.get(address())
    assert answer.status_code == 200
    for shown in ("T2026-000001", "打印机坏了", "重启打印机", "确认解决", "未解决", "您", "已解决"):
        assert shown in answer.text
    assert tickets.asked == [("ticket_for_requester", WHO, "E7")]
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_people_wrote_cannot_become_markup(browser: httpx.Client, tickets: Tickets) -> None:
    text = browser.get(address()).text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("path", "fields", "method", "wish"),
    [
        (
            "confirm",
            {"rating": "4", "text": "很快"},
            "decide_solution",
            {"decision": "confirm", "rating": "4", "text": "很快"},
        ),
        ("refuse", {"text": "还是不行"}, "decide_solution", {"decision": "refuse", "text": "还是不行"}),
        ("reply", {"text": "补充"}, "reply_to_ticket", {"text": "补充"}),
    ],
)
def test_an_answer_is_passed_on_and_thanked_for(
    browser: httpx.Client, tickets: Tickets, path: str, fields: dict[str, str], method: str, wish: dict[str, Any]
) -> None:
    answer = browser.post(f"{address()}/{path}", data=fields)
    assert tickets.asked[0] == (method, WHO | wish, "E7")
    # It is shown by an address of its own, so that loading it again sends nothing again.
    assert (answer.history[0].status_code, answer.request.method) == (303, "GET")
    assert html.WORDS["zh-CN"]["sent" if path == "reply" else "thanks"] in answer.text


def test_what_is_refused_is_told_on_the_page(browser: httpx.Client, tickets: Tickets) -> None:
    answer = browser.post(f"{address(n='closed')}/confirm", data={"rating": "4"})
    assert answer.status_code == 422
    assert "only a resolved ticket can be closed" in answer.text


@pytest.mark.parametrize("token", ["x", "eyJuIjoiVDEifQ.x.y", address(n="none")[3:], address(c="no")[3:]], ids=range(4))
def test_a_link_that_is_not_good_tells_nothing(browser: httpx.Client, tickets: Tickets, token: str) -> None:
    answer = browser.get(f"/t/{token}")
    assert (answer.status_code, "链接无效或已过期" in answer.text) == (404, True)


def test_the_page_speaks_the_language_of_the_link(browser: httpx.Client, tickets: Tickets) -> None:
    assert "Yes, it is solved" in browser.get(address(l="en")).text
    assert "解決した" in browser.get(address(l="ja")).text
    assert "确认解决" in browser.get(address(l="tlh")).text


def test_every_language_has_every_word_of_its_own() -> None:
    files = (Path(html.__file__).parent / "words").glob("*.yaml")
    own = {path.stem: msgspec.yaml.decode(path.read_bytes(), type=dict[str, str]).keys() for path in files}
    assert own == dict.fromkeys(("zh-CN", "en", "ja"), html.WORDS["zh-CN"].keys())


def test_a_page_has_a_word_for_every_state_target_and_channel() -> None:
    shown = [("clock", ClockState), ("target", Target), ("state", TicketState), ("channel", Channel)]
    named = {f"{kind}_{one}" for kind, words in shown for one in words if one not in (TicketState.OTHER, Target.OTHER)}
    assert named <= html.WORDS["zh-CN"].keys()

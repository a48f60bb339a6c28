"""A day at the desk through the whole system: a solution by mail, its answer on the page behind the link, commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import xlsxwriter
from click.testing import CliRunner

from deploy.local.mailbox import MailFolder
from eventkit.database import open_engine
from liaison.duty import duty
from liaison.publishers import PublisherAccount, add_publisher
from liaison.sla import sla
from liaison.tokens import new_token
from tests.eventkit.desk import eventually
from tests.policies import AROUND_THE_CLOCK
from tests.system import System

_COLUMNS = ["组", "级别", "工号", "日期", "开始", "结束"]
_LINK = re.compile(r"http://127\.0\.0\.1:\d+/t/\S+")


@pytest.fixture(scope="module")
def engineer(system: System) -> str:
    """The token of an engineer of 服务台."""
    engine = open_engine(system.installation.database_uri("gateway"), name="test")
    with engine.begin() as connection:
        token = new_token(connection, "周敏", "engineer", person="E1001", groups=["服务台"])
    engine.dispose()
    return token


@pytest.fixture(scope="module")
def hr(system: System) -> PublisherAccount:
    return add_publisher(system.installation, "hr", ["liaison.person.changed.v1"])


def publish_person(system: System, hr: PublisherAccount, number: str, **more: Any) -> None:
    event = {
        "specversion": "1.0",
        "id": f"{number}-1",
        "source": "/hr",
        "type": "liaison.person.changed.v1",
        "time": "2026-01-01T00:00:00Z",
        "data": {"employee_number": number, "version": 1, "name": number, "email": f"{number.lower()}@example.invalid"}
        | more,
    }
    headers = {"Authorization": f"Bearer {hr.token}", "Content-Type": "application/cloudevents+json"}
    assert httpx.post(f"{system.installation.gateway_url}/v1/events", json=event, headers=headers).status_code == 202


def ask(system: System, token: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"{system.installation.gateway_url}{path}", json=body, headers=headers, timeout=10)
    assert answer.status_code < 300, answer.text
    return answer.json()


def link_in(mails: MailFolder, subject: str) -> str:
    """Return the link in the mail with a subject."""
    found = eventually(lambda: [mail for mail in mails.newest(1000) if subject in mail.subject])
    link = _LINK.search(found[0].text)
    assert link is not None, found[0].text
    return link[0]


def test_a_requester_refuses_then_confirms_on_the_page_behind_the_link_and_a_low_rating_is_followed_up(
    system: System, engineer: str, hr: PublisherAccount, mails: MailFolder
) -> None:
    # Given a ticket of E7 that the desk has solved
    publish_person(system, hr, "E7", name="林晓雯")
    publish_person(system, hr, "E1001", name="周敏", roles=["engineer"], groups=["服务台"])
    eventually(lambda: system.one("tickets", "select count(*) from person") == 2)
    eventually(lambda: system.one("notify", "select count(*) from person") == 2)
    number = ask(system, engineer, "POST", "/v1/tickets", {"title": "打不开", "requester": "E7"})["number"]
    ask(system, engineer, "POST", f"/v1/tickets/{number}/resolve", {"solution": "重启"})
    link = link_in(mails, f"[{number}] 您的请求已解决")
    # When a chat's preview looks at the link, nothing changes
    assert "确认解决" in httpx.get(link).text
    assert ask(system, engineer, "GET", f"/v1/tickets/{number}")["state"] == "resolved"
    # When the requester refuses, the ticket is reopened, and the answered link decides nothing any more
    assert httpx.post(f"{link}/refuse", data={"text": "还是打不开"}).status_code == 303
    assert ask(system, engineer, "GET", f"/v1/tickets/{number}")["reopen_count"] == 1
    assert httpx.post(f"{link}/confirm", data={"rating": "5"}).status_code == 422
    # When the second solution is confirmed with a two, a follow-up is opened for the lead
    ask(system, engineer, "POST", f"/v1/tickets/{number}/resolve", {"solution": "换机器"})
    eventually(lambda: len([mail for mail in mails.newest(1000) if f"[{number}] 您的请求已解决" in mail.subject]) == 2)
    second = link_in(mails, f"[{number}] 您的请求已解决")
    assert httpx.post(f"{second}/confirm", data={"rating": "2", "text": "等了三天"}).status_code == 303
    assert ask(system, engineer, "GET", f"/v1/tickets/{number}")["state"] == "closed"
    [follow_up] = system.rows("tickets", "select * from ticket where category = '回访'")
    assert (follow_up.assignee, follow_up.requester) == ("E1001", "E7")
    eventually(lambda: [mail for mail in mails.newest(1000) if f"[{follow_up.number}] 新工单待处理" in mail.subject])


def test_the_operators_commands_explain_and_plan(
    system: System, engineer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIAISON_HOME", str(system.installation.home))
    system.installation.save()
    number = ask(system, engineer, "POST", "/v1/tickets", {"title": "打不开", "requester": "E7"})["number"]
    explained = CliRunner().invoke(sla, ["explain", number], catch_exceptions=False)
    assert explained.exit_code == 0, explained.output
    assert "首次响应" in explained.output
    other = tmp_path / "policy.yaml"
    other.write_text(AROUND_THE_CLOCK.read_text().replace("3: 24h", "3: 12h"))
    planned = CliRunner().invoke(sla, ["plan-change", str(other)], catch_exceptions=False)
    assert "would move; 0 of them become late" in planned.output
    before = system.one("tickets", "select due_solution_at from ticket where number = :n", n=number)
    applied = CliRunner().invoke(sla, ["plan-change", str(other), "--apply"], catch_exceptions=False)
    assert " moved; 0 of them become late" in applied.output
    after = system.one("tickets", "select due_solution_at from ticket where number = :n", n=number)
    assert (before - after).total_seconds() == 12 * 3600


@pytest.mark.parametrize("name", ["roster.csv", "roster.xlsx"])
def test_a_roster_is_loaded_from_a_spreadsheet_and_shown(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("LIAISON_HOME", str(system.installation.home))
    system.installation.save()
    sheet, rows = tmp_path / name, [_COLUMNS, ["服务台", "专家", "E1001", "2099-03-02", "09:00", "17:00"]]
    if name.endswith("csv"):
        sheet.write_bytes("".join(f"{','.join(row)}\n" for row in rows).encode("gb18030"))
    else:
        with xlsxwriter.Workbook(sheet) as book:
            page = book.add_worksheet()
            for line, row in enumerate(rows):
                page.write_row(line, 0, row)
    loaded = CliRunner().invoke(duty, ["load", str(sheet)], catch_exceptions=False)
    assert re.search(r"^1 shifts loaded, \d replaced: 服务台$", loaded.output, re.MULTILINE)
    shown = CliRunner().invoke(duty, ["show", "服务台"], catch_exceptions=False)
    assert "当班：无人" in shown.output
    # Under the files of the running service posts are manned around the clock, not by the day as under those shipped.
    assert shown.output.count("无人值班") == 1

"""A small sample day of an enterprise: people and events as other systems would send them, and what became of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any

import httpx
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import text

from deploy.local.mailbox import MailFolder
from eventkit.database import open_engine
from liaison import sample_events
from liaison.installation import Installation
from liaison.publishers import PublisherAccount, add_publisher, rotate_publisher
from liaison.sample_flows import Flows, rows_of
from liaison.terminal import console
from liaison.tokens import new_token

_PATIENCE_S = 30.0


def play(installation: Installation) -> None:
    """Play the day through the front door, wait for what it leads to, and show it as two tables."""
    accounts = {name: _publisher(installation, name, may) for name, may in sample_events.PUBLISHERS.items()}
    day = uuid.uuid4().hex[:8]
    before = _mails(installation)
    started = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    flows = Flows(installation, day)
    with Progress(*columns, console=console, transient=True) as progress:
        step = progress.add_task("写入知识文章和课程 …", total=None)
        _fill_shelves(installation)
        progress.update(step, description="人员、请求、成绩和反馈正在进入联络台 …")
        for publisher, event in sample_events.events(day):
            _post(installation, accounts[publisher], event)
        progress.update(step, description="等待工单、超时与消息 …")
        _wait(lambda: _facts(installation, day)["超时"] >= 1 and _facts(installation, day)["已解决"] >= 1)
        _wait(lambda: flows.are_complete)
    _show(installation, day, _mails(installation) - before, time.monotonic() - started)
    flows.show()
    _say_how_to_publish(accounts["oa"])


def _publisher(installation: Installation, name: str, may: list[str]) -> PublisherAccount:
    known = rows_of(installation, "gateway", "select may from publisher where name = :name", name=name)
    # The secrets are shown once and kept nowhere, so a second day needs new ones.
    if known and set(known[0].may) >= set(may):
        return rotate_publisher(installation, name)
    return add_publisher(installation, name, may)


def _fill_shelves(installation: Installation) -> None:
    """Write the articles and courses that are not there yet, as a specialist would over HTTP."""
    with _specialist(installation) as client:

        def ask(method: str, path: str, body: Any = None) -> Any:
            answer = client.request(method, path, json=body)
            answer.raise_for_status()
            return answer.json()

        published = {one["title"] for one in ask("GET", "/v1/articles?state=published&limit=200")["items"]}
        for article in sample_events.ARTICLES:
            if article["title"] not in published:
                path = f"/v1/articles/{ask('POST', '/v1/articles', article)['id']}"
                ask("POST", f"{path}/submit")
                ask("POST", f"{path}/publish", {})
        for article in sample_events.ARTICLES:
            _wait(partial(_is_found, client, article["title"]))
        for code, course in (sample_events.NEXT_COURSE, sample_events.COURSE):
            ask("PUT", f"/v1/courses/{code}", course)
        department, contact = sample_events.CONTACT
        ask("PUT", f"/v1/training/contacts/{department}", {"employee_number": contact})


def _is_found(client: httpx.Client, title: str) -> bool:
    """Tell whether the search has an article by now; a new index may not answer at once."""
    answer = client.get("/v1/search", params={"q": title})
    return answer.is_success and title in [one["title"] for one in answer.json()["items"]]


@contextmanager
def _specialist(installation: Installation) -> Iterator[httpx.Client]:
    """Give a client of the HTTP door with a token that is good for this one use."""
    engine = open_engine(installation.database_uri("gateway"), name="sample day")
    try:
        with engine.begin() as connection:
            token = new_token(connection, f"sample-{uuid.uuid4().hex[:8]}", "admin", person="E1000")
        with httpx.Client(
            base_url=installation.gateway_url, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False
        ) as client:
            yield client
        with engine.begin() as connection:
            connection.execute(
                text("update token set revoked_at = now() where hash = :hash"),
                {"hash": sha256(token.encode()).digest()},
            )
    finally:
        engine.dispose()


def _post(installation: Installation, account: PublisherAccount, event: Mapping[str, Any]) -> None:
    answer = httpx.post(
        f"{installation.gateway_url}/v1/events",
        content=json.dumps(event),
        headers={"Authorization": f"Bearer {account.token}", "Content-Type": "application/cloudevents+json"},
        timeout=10,
        trust_env=False,
    )
    answer.raise_for_status()


def _tickets(installation: Installation, day: str) -> list[Any]:
    return rows_of(
        installation,
        "tickets",
        "select t.*, (select count(*) from clock c where c.number = t.number and c.missed_due_at is not null) as missed"
        " from ticket t where externalref like :day order by number",
        day=f"{day}-%",
    )


def _facts(installation: Installation, day: str) -> dict[str, int]:
    rows = _tickets(installation, day)
    return {
        "工单": len(rows),
        "已解决": sum(row.state == "resolved" for row in rows),
        "超时": sum(row.missed > 0 for row in rows),
    }


def _mails(installation: Installation) -> int:
    return MailFolder(installation.home / "smtp").count()


def _opened(installation: Installation) -> float:
    page = httpx.get(f"http://127.0.0.1:{installation.page_port('metrics')}/facts", timeout=10, trust_env=False).text
    lines = [line for line in page.splitlines() if line.startswith("liaison_tickets_opened_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)


def _show(installation: Installation, day: str, mails: int, took_s: float) -> None:
    table = Table("工单", "标题", "状态", "负责人", "组", "响应期限", title="样例日 · A sample day")
    for row in _tickets(installation, day):
        due = row.due_response_at.astimezone().strftime("%m-%d %H:%M")
        late = "[red]（已超时）[/red]" if row.missed else ""
        state = {"new": "待处理", "resolved": "已解决", "closed": "已解决"}.get(row.state, "处理中")
        table.add_row(row.number, row.title, state, row.assignee or "—", row.group_name or "—", f"{due}{late}")
    console.print(table)
    # The page is made at most every few seconds, so that the count may be a moment behind.
    _wait(lambda: _opened(installation) >= len(sample_events.REQUESTS))
    console.print(f"邮件 {mails} 封：{installation.smtp_page_url}", soft_wrap=True)
    console.print(
        f"指标 liaison_tickets_opened_total = {_opened(installation):g}：http://127.0.0.1:{installation.page_port('metrics')}/facts",
        soft_wrap=True,
    )
    console.print(f"用时 {took_s:.1f} 秒")


def _say_how_to_publish(account: PublisherAccount) -> None:
    console.print("\n[bold]发布你的第一个事件 · publish a first event of your own:[/bold]")
    line = account.curl().replace("?dry_run=true", "")
    console.print(line, soft_wrap=True, highlight=False, markup=False)

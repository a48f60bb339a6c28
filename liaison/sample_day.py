"""A small sample day of an enterprise: people and events as other systems would send them, and what became of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import create_engine, text

from deploy.local.mailbox import MailFolder
from liaison.installation import Installation
from liaison.publishers import PublisherAccount, add_publisher, rotate_publisher
from liaison.terminal import console

_PUBLISHERS: Mapping[str, list[str]] = {
    "hr": ["liaison.person.changed.v1"],
    "oa": ["liaison.ticket.requested.v1", "liaison.ticket.update_requested.v1"],
}
_PATIENCE_S = 30.0

# 员工编号、姓名、部门、地区、组、角色、经理
_PEOPLE = (
    ("E1001", "周敏", "信息中心", "华北", "服务台", "engineer", "E1000"),
    ("E1002", "陈立", "信息中心", "华东", "华东支持组", "engineer", "E1000"),
    ("E1003", "黄海", "信息中心", "华南", "华南支持组", "engineer", "E1000"),
    ("E1000", "郑国强", "信息中心", "华北", "", "manager", None),
    ("E2001", "林晓雯", "财务部", "华东", "", "", "E1000"),
    ("E2002", "何志远", "采购部", "华南", "", "", "E1000"),
    ("E2003", "吴桐", "生产部", "西南", "", "", "E1000"),
)

# 编号、标题、请求人、渠道、优先级、多久以前报的。最后一张几秒后就到响应期限。
_NOW = timedelta(0)
_REQUESTS = (
    ("oa-1", "OA 无法登录，提示密码错误", "E2001", "web", 3, _NOW),
    ("oa-2", "采购合同打印出来是乱码", "E2002", "hotline", 2, _NOW),
    ("oa-3", "生产线扫码枪连不上系统", "E2003", "chat", 2, _NOW),
    ("oa-4", "全厂报工系统打不开", "E2003", "hotline", 1, timedelta(minutes=14, seconds=56)),
)


def play(installation: Installation) -> None:
    """Play the day through the front door, wait for what it leads to, and show it as a table."""
    accounts = {name: _publisher(installation, name, may) for name, may in _PUBLISHERS.items()}
    day = uuid.uuid4().hex[:8]
    before = _mails(installation)
    started = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        step = progress.add_task("人员与请求正在进入联络台 …", total=None)
        for publisher, event in _events(day):
            _post(installation, accounts[publisher], event)
        progress.update(step, description="等待工单、超时与邮件 …")
        _wait(lambda: _facts(installation, day)["超时"] >= 1 and _facts(installation, day)["已解决"] >= 1)
        _wait(lambda: _mails(installation) - before >= 8)
    _show(installation, day, _mails(installation) - before, time.monotonic() - started)
    _say_how_to_publish(accounts["oa"])


def _publisher(installation: Installation, name: str, may: list[str]) -> PublisherAccount:
    known = _rows(installation, "gateway", "select 1 from publisher where name = :name", name=name)
    # The secrets are shown once and kept nowhere, so a second day needs new ones.
    return rotate_publisher(installation, name) if known else add_publisher(installation, name, may)


def _events(day: str) -> Iterator[tuple[str, dict[str, Any]]]:
    now = datetime.now(UTC)
    for number, name, department, region, group, role, manager in _PEOPLE:
        person = {
            "employee_number": number,
            "version": int(now.timestamp()),
            "name": name,
            "email": f"{number.lower()}@example.invalid",
            "department": department,
            "region": region,
            "groups": [group] if group else [],
            "roles": [role] if role else [],
            "manager": manager,
        }
        yield "hr", _event(day, f"person-{number}", "/hr", "liaison.person.changed.v1", number, now, person)
    for key, title, requester, channel, priority, ago in _REQUESTS:
        moment = now - ago
        data = {"title": title, "requester": requester, "channel": channel, "priority": priority}
        reference = f"{day}-{key}"
        event = _event(day, key, "/oa", "liaison.ticket.requested.v1", reference, moment, data)
        yield "oa", event | {"externalref": reference}
    solved = {"state": "resolved", "solution": "已重置密码，请用新密码登录。"}
    event = _event(day, "oa-1-solved", "/oa", "liaison.ticket.update_requested.v1", f"{day}-oa-1", now, solved)
    yield "oa", event | {"externalref": f"{day}-oa-1"}


def _event(
    day: str, key: str, source: str, event_type: str, subject: str, moment: datetime, data: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{day}-{key}",
        "source": source,
        "type": event_type,
        "subject": subject,
        "time": moment.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }


def _post(installation: Installation, account: PublisherAccount, event: Mapping[str, Any]) -> None:
    answer = httpx.post(
        f"{installation.gateway_url}/v1/events",
        content=json.dumps(event),
        headers={"Authorization": f"Bearer {account.token}", "Content-Type": "application/cloudevents+json"},
        timeout=10,
    )
    answer.raise_for_status()


def _rows(installation: Installation, service: str, statement: str, **values: Any) -> list[Any]:
    engine = create_engine(installation.database_uri(service).replace("postgresql://", "postgresql+psycopg2://"))
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(statement), values))
    finally:
        engine.dispose()


def _tickets(installation: Installation, day: str) -> list[Any]:
    return _rows(
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
    page = httpx.get(f"http://127.0.0.1:{installation.page_port('metrics')}/facts", timeout=10).text
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
    _wait(lambda: _opened(installation) >= len(_REQUESTS))
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

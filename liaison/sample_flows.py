"""The table at the end of the sample day: what each kind of event led to, and where to see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from rich.table import Table
from sqlalchemy import text

from eventkit.database import open_engine
from eventkit.errors import Unavailable
from liaison.installation import Installation
from liaison.knowledge import hits
from liaison.sample_events import COURSE
from liaison.terminal import console

_LIAISON = ".venv/bin/liaison"
_ASKED = "月结"


@dataclass(frozen=True, slots=True)
class Cell:
    """What one kind of event led to in one service. number: how much of it; says: of what, and where it is seen."""

    number: float
    says: str


class Flows:
    """Counts what one sample day has led to, and no day before it: made before the day's first event.

    day: what its keys begin with.
    """

    def __init__(self, installation: Installation, day: str) -> None:
        self._installation = installation
        self._day = day
        self._began_at = datetime.now(UTC)
        self._page = f"http://127.0.0.1:{installation.page_port('metrics')}/facts"
        self._before = self._counters()

    @property
    def are_complete(self) -> bool:
        """Whether every cell has something to show."""
        return all(cell.number > 0 for row in self._cells().values() for cell in row)

    def show(self) -> None:
        """Print the table."""
        table = Table(
            "事件", "消息 notify", "知识 knowledge", "指标 metrics", title="四条流程 · Four flows", show_lines=True
        )
        for name, row in self._cells().items():
            table.add_row(name, *(f"[bold]{cell.number:g}[/bold] {cell.says}" for cell in row))
        console.print(table)

    def _cells(self) -> Mapping[str, Sequence[Cell]]:
        mails, page = self._installation.smtp_page_url, self._page
        now, numbers = self._counters(), self._numbers()
        first = numbers[0] if numbers else "…"

        def more(name: str) -> float:
            return _total(now, name) - _total(self._before, name)

        targets, breaches = more("liaison_sla_targets_total"), more("liaison_sla_breaches_total")
        met = f"{1 - breaches / targets:.0%}" if targets else "—"
        return {
            "ticket.opened": (
                Cell(self._told("ticket.opened", numbers), f"回执与任务 {mails}"),
                Cell(self._suggested(numbers), f"条建议 {_LIAISON} events list --subject {first}"),
                Cell(more("liaison_tickets_opened_total"), f"已建工单 {page}"),
            ),
            "sla.warned\nsla.breached": (
                Cell(self._told("sla.%", numbers), f"预警与超时 {mails}"),
                Cell(self._missing("problem_code"), f"个缺失答案 {_LIAISON} knowledge missing"),
                Cell(breaches, f"次超时，{targets:g} 个目标，达成率 {met} {page}"),
            ),
            "course.completed": (
                Cell(self._told("course.completed", [f"{COURSE[0]}/E2001"]), f"学员与联系人 {mails}"),
                Cell(self._found(), f"份资料 {_LIAISON} knowledge search {_ASKED}"),
                Cell(more("liaison_course_completions_total"), f"次结业 {page}"),
            ),
            "feedback.received": (
                Cell(self._told("feedback.received", self._feedback()), f"负责人与作者 {mails}"),
                Cell(self._missing("feedback"), f"个缺失答案 {_LIAISON} knowledge missing"),
                Cell(more("liaison_feedback_received_total"), f"条反馈 {page}"),
            ),
        }

    def _told(self, kind: str, subjects: Sequence[str]) -> float:
        return self._one(
            "notify",
            "select count(*) from delivery where state = 'accepted' and about_type like :type"
            " and about_subject = any(:subjects) and created_at >= :began_at",
            type=f"liaison.{kind}.v1",
            began_at=self._began_at,
            subjects=list(subjects),
        )

    def _numbers(self) -> list[str]:
        statement = "select number from ticket where externalref like :key order by number"
        return [row.number for row in rows_of(self._installation, "tickets", statement, key=f"{self._day}-%")]

    def _feedback(self) -> list[str]:
        statement = "select id from feedback where request_key like :key"
        return [row.id for row in rows_of(self._installation, "tickets", statement, key=f"%{self._day}%")]

    def _suggested(self, numbers: Sequence[str]) -> float:
        return self._one(
            "knowledge",
            "select coalesce(sum(jsonb_array_length("
            "coalesce(convert_from(payload, 'UTF8')::jsonb -> 'suggestions', '[]'))), 0)"
            " from eventkit.outbox where type = 'liaison.answer.suggested.v1' and aggregateid = any(:numbers)",
            numbers=list(numbers),
        )

    def _missing(self, kind: str) -> float:
        return self._one(
            "knowledge",
            "select count(*) from missing_answer where kind = :kind and resolved_at is null"
            " and last_seen_at >= :began_at",
            kind=kind,
            began_at=self._began_at,
        )

    def _found(self) -> float:
        """Return what the command that the cell names would print now."""
        try:
            return len(hits(self._installation, _ASKED))
        except Unavailable:
            return 0

    def _counters(self) -> Mapping[str, float]:
        page = httpx.get(self._page, timeout=10, trust_env=False).text
        lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}

    def _one(self, service: str, statement: str, **values: Any) -> float:
        return float(rows_of(self._installation, service, statement, **values)[0][0])


def _total(counters: Mapping[str, float], name: str) -> float:
    return sum(value for series, value in counters.items() if series.partition("{")[0] == name)


def rows_of(installation: Installation, service: str, statement: str, **values: Any) -> list[Any]:
    """Return the rows of a query against a service's database."""
    engine = open_engine(installation.database_uri(service), name="sample day")
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(statement), values))
    finally:
        engine.dispose()

"""The table at the end of the sample day: what each kind of event led to, and where to see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from rich.table import Table
from sqlalchemy import text

from eventkit.database import open_engine
from liaison.installation import Installation
from liaison.sample_events import COURSE
from liaison.terminal import console

_LIAISON = ".venv/bin/liaison"


class Flows:
    """Counts what one sample day has led to. day: what its keys begin with; numbers: of its tickets."""

    def __init__(self, installation: Installation, day: str, numbers: Sequence[str]) -> None:
        self._installation = installation
        self._numbers = list(numbers)
        self._day = day
        self._page = f"http://127.0.0.1:{installation.page_port('metrics')}/facts"

    @property
    def are_complete(self) -> bool:
        """Whether every cell has something to show."""
        return all(count() > 0 for row in self._cells().values() for count, _ in row)

    def show(self) -> None:
        """Print the table."""
        table = Table(
            "事件", "消息 notify", "知识 knowledge", "指标 metrics", title="四条流程 · Four flows", show_lines=True
        )
        for name, row in self._cells().items():
            table.add_row(name, *(f"[bold]{count():g}[/bold] {where}" for count, where in row))
        console.print(table)

    def _cells(self) -> Mapping[str, Sequence[tuple[Callable[[], float], str]]]:
        mails, page = self._installation.smtp_page_url, self._page
        first = self._numbers[0] if self._numbers else "…"
        enrolment = f"{COURSE[0]}/E2001"
        return {
            "ticket.opened": (
                (lambda: self._told("ticket.opened", self._numbers), f"回执与任务 {mails}"),
                (lambda: self._suggested(self._numbers), f"条建议 {_LIAISON} events list --subject {first}"),
                (lambda: self._number("liaison_tickets_opened_total"), f"已建工单 {page}"),
            ),
            "sla.warned\nsla.breached": (
                (lambda: self._told("sla.%", self._numbers), f"预警与超时 {mails}"),
                (lambda: self._missing("problem_code"), f"个缺失答案 {_LIAISON} knowledge missing"),
                (lambda: self._number("liaison_sla_breaches_total"), f"次超时 {page}"),
            ),
            "course.completed": (
                (lambda: self._told("course.completed", [enrolment]), f"学员与联系人 {mails}"),
                (self._materials, f"份资料 {_LIAISON} knowledge search 月结"),
                (lambda: self._number("liaison_course_completions_total"), f"次结业 {page}"),
            ),
            "feedback.received": (
                (lambda: self._told("feedback.received", self._feedback()), f"负责人与作者 {mails}"),
                (lambda: self._missing("feedback"), f"个缺失答案 {_LIAISON} knowledge missing"),
                (lambda: self._number("liaison_feedback_received_total"), f"条反馈 {page}"),
            ),
        }

    def _told(self, kind: str, subjects: Sequence[str]) -> float:
        return self._one(
            "notify",
            "select count(*) from delivery where state = 'accepted' and about_type like :type"
            " and about_subject = any(:subjects)",
            type=f"liaison.{kind}.v1",
            subjects=list(subjects),
        )

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
            "knowledge", "select count(*) from missing_answer where kind = :kind and resolved_at is null", kind=kind
        )

    def _materials(self) -> float:
        return self._one("knowledge", "select count(*) from course_material where course = :course", course=COURSE[0])

    def _number(self, name: str) -> float:
        page = httpx.get(self._page, timeout=10, trust_env=False).text
        lines = [line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def _one(self, service: str, statement: str, **values: Any) -> float:
        return float(rows_of(self._installation, service, statement, **values)[0][0])


def rows_of(installation: Installation, service: str, statement: str, **values: Any) -> list[Any]:
    """Return the rows of a query against a service's database."""
    engine = open_engine(installation.database_uri(service), name="sample day")
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(statement), values))
    finally:
        engine.dispose()

"""The numbers of one moment, read from one snapshot of the database.

A window ends at that moment and begins its width before: the end belongs to it, the beginning does not. Its numbers
are counts over the facts, exactly; imports are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from services.metrics import gauges
from services.metrics.metric import MAX_DEPARTMENTS, MICROSECONDS, Metric
from services.metrics.rules import microseconds
from services.metrics.tables import FINISHED

_COUNTS = ", ".join(f"count(*) filter (where at > :begin_{name}) as n_{name}" for name in gauges.WINDOWS)
_PLAIN: Mapping[str, Metric] = {
    "responded": gauges.RESPONDED_RECENT,
    "resolved": gauges.RESOLVED_RECENT,
    "reopened": gauges.REOPENED_RECENT,
    "closed": gauges.CLOSED_RECENT,
}
_WORDED: Mapping[str, Metric] = {"missed": gauges.MISSED_RECENT, "suggested": gauges.SUGGESTED_RECENT}
_BARE: Mapping[str, Metric] = {"enrolled": gauges.ENROLMENTS_RECENT, "retrained": gauges.RETRAININGS_RECENT}
_TIMED = {"responded": gauges.FIRST_RESPONSE_RECENT, "resolved": gauges.RESOLUTION_RECENT}


class Numbers(dict[str, int]):
    """The value of every series that is not 0, in whole units. departments: those with series of their own."""

    def __init__(self, values: Mapping[str, int], departments: Sequence[str] = ()) -> None:
        super().__init__(values)
        self.departments = tuple(departments)


def read_numbers(engine: Engine, now: datetime | None = None) -> Numbers:
    """Return the numbers of one snapshot.

    now: the moment of ages and windows, by the database's clock unless given.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        moment = now or connection.execute(text("select now()")).scalar_one()
        return _Reading(connection, moment).numbers()


class _Reading:
    """One snapshot being read at one moment."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection, self._now = connection, now
        self._begins = {f"begin_{name}": now - width for name, width in gauges.WINDOWS.items()}
        self._values: defaultdict[str, int] = defaultdict(int)
        self._departments: tuple[str, ...] = ()

    def numbers(self) -> Numbers:
        """Read everything."""
        self._values.update((row.series, row.value) for row in self._rows("select series, value from counter"))
        for read in (self._tickets, self._people, self._courses, self._feedback, self._windows, self._percentiles):
            read()
        return Numbers(self._values, self._departments)

    def _rows(self, statement: str, **values: Any) -> Sequence[Row[Any]]:
        return self._connection.execute(text(statement), values).all()

    def _tickets(self) -> None:
        ages = " ".join(
            f"when opened_at >= :now - interval '{int(end.total_seconds())} s' then '{name}'"
            for name, end in gauges.AGES.items()
            if end is not None
        )
        rows = self._rows(
            f"select state, priority, case {ages} else 'over_30d' end as age, count(*) as tickets,"
            " count(*) filter (where assignee is null) as unowned, min(opened_at) as oldest"
            f" from ticket_fact where state not in ({FINISHED}) group by 1, 2, 3",
            now=self._now,
        )
        for row in rows:
            priority = str(row.priority)
            self._values[gauges.OPEN.at(row.state, priority)] += row.tickets
            self._values[gauges.OPEN_BY_AGE.at(row.age, priority)] += row.tickets
            self._values[gauges.UNOWNED.at()] += row.unowned
            age = gauges.OLDEST_OPEN_AGE.at(priority)
            self._values[age] = max(self._values[age], microseconds(self._now) - microseconds(row.oldest))

    def _people(self) -> None:
        [row] = self._rows("select count(*) as people from person_fact where active")
        self._values[gauges.PEOPLE.at()] = row.people

    def _courses(self) -> None:
        rows = self._rows(
            "select coalesce(department, '') as department, count(*) as enrolled, count(completed_at) as completed"
            " from enrolment_fact group by 1"
        )
        largest = sorted(rows, key=lambda row: (-row.enrolled, row.department))
        named = [row.department for row in largest if row.department not in ("", "other")]
        self._departments = tuple(sorted(named[:MAX_DEPARTMENTS]))
        enrolled, completed, ratio = (
            metric.within(self._departments)
            for metric in (gauges.COURSE_ENROLMENTS, gauges.COURSE_COMPLETED, gauges.COMPLETION_RATIO)
        )
        for row in rows:
            self._values[enrolled.at(row.department)] += row.enrolled
            self._values[completed.at(row.department)] += row.completed
        for department in (*self._departments, "other"):
            if all_of_them := self._values.get(enrolled.at(department)):
                share = self._values[completed.at(department)] * MICROSECONDS // all_of_them
                self._values[ratio.at(department)] = share

    def _feedback(self) -> None:
        rows = self._rows(
            "select feedback_class, count(*) as feedback from feedback_fact where status <> 'resolved' group by 1"
        )
        for row in rows:
            self._values[gauges.FEEDBACK_OPEN.at(row.feedback_class or gauges.UNCLASSIFIED)] += row.feedback

    def _windows(self) -> None:
        # Its series are made once a page, not once a row.
        completions = gauges.COMPLETIONS_RECENT.within(self._departments)
        for facts, labelled in _WINDOWED:
            labels, source = facts
            rows = self._rows(
                f"select {labels}, {_COUNTS} from ({source}) as fact where at > :earliest and at <= :now"
                f" group by {labels}",
                now=self._now,
                earliest=min(self._begins.values()),
                **self._begins,
            )
            for row in rows:
                for metric, values in labelled(row):
                    self._add(completions if metric is gauges.COMPLETIONS_RECENT else metric, values, row)

    def _add(self, metric: Metric, values: Sequence[str], row: Row[Any]) -> None:
        for name in gauges.WINDOWS:
            self._values[metric.at(name, *values)] += getattr(row, f"n_{name}")

    def _percentiles(self) -> None:
        for window, begin in gauges.WINDOWS.items():
            rows = self._rows(
                "select what, coalesce(cast(priority as text), 'all') as priority,"
                " percentile_disc(array[0.5, 0.9]) within group (order by took_us) as ranks"
                " from happening_fact where not history and at > :begin and at <= :now and what = any(:timed)"
                " group by grouping sets ((what, priority), (what))",
                begin=self._now - begin,
                now=self._now,
                timed=list(_TIMED),
            )
            for row in rows:
                for percentile, took_us in zip(gauges.PERCENTILES, row.ranks, strict=True):
                    self._values[_TIMED[row.what].at(window, percentile, row.priority)] = took_us


Labelled = Iterator[tuple[Metric, Sequence[str]]]


def _of_happening(row: Row[Any]) -> Labelled:
    if row.what == "opened":
        yield gauges.OPENED_RECENT, (row.word, str(row.priority))
    elif row.what in _PLAIN:
        yield _PLAIN[row.what], (str(row.priority),)
    elif row.what in _WORDED:
        yield _WORDED[row.what], (row.word,)
    else:
        yield _BARE[row.what], ()


def _of_clock(row: Row[Any]) -> Labelled:
    yield gauges.TARGETS_RECENT, (row.target, str(row.priority))
    if row.outcome == "breached":
        yield gauges.BREACHES_RECENT, (row.target, str(row.priority))


def _of_feedback(row: Row[Any]) -> Labelled:
    yield gauges.FEEDBACK_RECENT, (row.feedback_class or gauges.UNCLASSIFIED, row.status)
    if row.score is not None:
        yield gauges.SCORES_RECENT, (str(row.score),)


def _of_delivery(row: Row[Any]) -> Labelled:
    yield gauges.DELIVERIES_RECENT, (row.medium, row.outcome)


def _of_completion(row: Row[Any]) -> Labelled:
    yield gauges.COMPLETIONS_RECENT, (row.department,)


#: (the columns that are labels, where they and the moment come from), and which series a row of counts belongs to.
_WINDOWED: Sequence[tuple[tuple[str, str], Callable[[Any], Labelled]]] = (
    (("what, priority, word", "select * from happening_fact where not history"), _of_happening),
    (
        (
            "target, priority, outcome",
            "select due_at as at, * from sla_fact where outcome = 'breached' and not history union all"
            " select stopped_at as at, * from sla_fact where outcome = 'met' and not history",
        ),
        _of_clock,
    ),
    (
        ("feedback_class, status, score", "select received_at as at, * from feedback_fact where not history"),
        _of_feedback,
    ),
    (("medium, outcome", "select settled_at as at, * from delivery_fact where not history"), _of_delivery),
    (
        (
            "department",
            "select completed_at as at, coalesce(department, '') as department from enrolment_fact"
            " where not completed_history",
        ),
        _of_completion,
    ),
)

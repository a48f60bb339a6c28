"""Why a target is due when it is: each span that counted or was skipped, with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.tickets.business_time.calendar import Calendar, Pause
from services.tickets.business_time.wall_clock import first_shown, moment_of
from services.tickets.business_time.working_days import DAY_S, Day, DayKind

_LUNCH_BEGINS_S = range(11 * 3600, 14 * 3600 + 1)


class Reason(StrEnum):
    """Why a span counted or did not. The first three counted."""

    OPEN = "open"
    MAKEUP_DAY = "makeup_day"
    SPECIAL_OPENING = "special_opening"
    CLOSED_HOURS = "closed_hours"
    LUNCH = "lunch"
    BREAK = "break"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    CLOSED = "closed"
    YEARLY_CLOSURE = "yearly_closure"
    PAUSE = "pause"


_TEXTS = {
    Reason.OPEN: "服务时间",
    Reason.MAKEUP_DAY: "调休上班",
    Reason.SPECIAL_OPENING: "特别开放",
    Reason.CLOSED_HOURS: "非服务时间",
    Reason.LUNCH: "午休",
    Reason.BREAK: "班间休息",
    Reason.WEEKEND: "每周休息日",
    Reason.HOLIDAY: "法定节假日",
    Reason.CLOSED: "停止服务",
    Reason.YEARLY_CLOSURE: "每年固定停止服务",
    Reason.PAUSE: "暂停计时",
}
_OPEN_REASONS = {
    DayKind.WORKDAY: Reason.OPEN,
    DayKind.MAKEUP_DAY: Reason.MAKEUP_DAY,
    DayKind.SPECIAL_OPENING: Reason.SPECIAL_OPENING,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with one reason. begin_at, end_at: UTC.

    detail: the holiday's name, the reason in the calendar file, or why a pause was made; by: who made it.
    """

    begin_at: datetime
    end_at: datetime
    counted: bool
    reason: Reason
    detail: str = ""
    by: str = ""

    @property
    def text(self) -> str:
        """The reason as people read it, such as 法定节假日（春节）."""
        told = "，".join(part for part in (self.detail, self.by) if part)
        return f"{_TEXTS[self.reason]}（{told}）" if told else _TEXTS[self.reason]


def explain(calendar: Calendar, start_at: datetime, end_at: datetime, pauses: Sequence[Pause] = ()) -> list[Span]:
    """Return the spans from `start_at` to `end_at` in order, without gaps; the counted ones add up to `elapsed`.

    A pause is told where it took time away: in closed hours the calendar is the reason. Of pauses that overlap, the
    one that began first is told. Raises RuleBroken as `Calendar.elapsed` does.
    """
    # The same checks as for the sum that is explained.
    calendar.elapsed(start_at, end_at, pauses)
    spans: list[Span] = []
    for span in _with_pauses(_by_calendar(calendar, start_at, end_at), sorted(pauses, key=lambda one: one.begin_at)):
        if spans and replace(spans[-1], end_at=span.end_at) == replace(span, begin_at=spans[-1].begin_at):
            spans[-1] = replace(spans[-1], end_at=span.end_at)
        else:
            spans.append(span)
    return spans


def _by_calendar(calendar: Calendar, start_at: datetime, end_at: datetime) -> Iterator[Span]:
    now = start_at
    for opens_at, closes_at in calendar.openings(start_at, end_at):
        yield from _skipped(calendar, now, opens_at)
        yield from _counted(calendar, opens_at, closes_at)
        now = closes_at
    yield from _skipped(calendar, now, end_at)


def _counted(calendar: Calendar, begin_at: datetime, end_at: datetime) -> Iterator[Span]:
    """Cut an opening where another date's hours go on: a night belongs to the date on which it begins."""
    day, now = calendar.local_date(begin_at) - timedelta(days=1), begin_at
    while now < end_at:
        what = calendar.days.of(day)
        for begin, end in calendar.spans_on(day, what):
            until = min(moment_of(end), end_at)
            if moment_of(begin) <= now < until:
                detail = "" if what.kind is DayKind.WORKDAY else what.text
                yield Span(now, until, True, _OPEN_REASONS[what.kind], detail)
                now = until
        day += timedelta(days=1)


def _skipped(calendar: Calendar, begin_at: datetime, end_at: datetime) -> Iterator[Span]:
    """Cut closed time at midnights: each date has its own reason."""
    day, now = calendar.local_date(begin_at), begin_at
    while now < end_at:
        until = min(moment_of(first_shown(calendar.zone, day, DAY_S)), end_at)
        if now < until:
            what = calendar.days.of(day)
            reason = _between(calendar, day, what, now) if what.hours else Reason(what.kind.value)
            yield Span(now, until, False, reason, "" if what.hours else what.text)
            now = until
        day += timedelta(days=1)


def _between(calendar: Calendar, day: date, what: Day, moment: datetime) -> Reason:
    """Tell a break between two openings of a date from the time before the first and after the last."""
    spans = [(moment_of(begin), moment_of(end)) for begin, end in calendar.spans_on(day, what)]
    if not any(end <= moment for _, end in spans) or not any(begin > moment for begin, _ in spans):
        return Reason.CLOSED_HOURS
    last_end_s = max(hours.ends_s for hours, (_, end) in zip(what.hours, spans, strict=True) if end <= moment)
    return Reason.LUNCH if last_end_s in _LUNCH_BEGINS_S else Reason.BREAK


def _with_pauses(spans: Iterator[Span], pauses: Sequence[Pause]) -> Iterator[Span]:
    for span in spans:
        rest = span
        for pause in pauses if span.counted else ():
            begin_at = max(rest.begin_at, pause.begin_at)
            end_at = min(rest.end_at, pause.end_at or rest.end_at)
            if begin_at >= end_at:
                continue
            if rest.begin_at < begin_at:
                yield replace(rest, end_at=begin_at)
            yield Span(begin_at, end_at, False, Reason.PAUSE, pause.why, pause.by)
            rest = replace(rest, begin_at=end_at)
        if rest.begin_at < rest.end_at:
            yield rest

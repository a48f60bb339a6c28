"""When a wall clock shows a time, also where clocks are put forward and back. Pure.

A time that a clock shows twice means the first; a time that it skips means the moment of the skip. So later times
never come earlier, and an opening is never counted twice nor turned inside out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH = EPOCH.replace(tzinfo=None)
_ONE_US = timedelta(microseconds=1)
_ONE_S = timedelta(seconds=1)


def microseconds(moment: datetime) -> int:
    """Return an aware moment as whole microseconds since 1970 UTC: exact, and quick to compare."""
    return (moment - EPOCH) // _ONE_US


def moment_of(us: int) -> datetime:
    """Return microseconds since 1970 as an aware moment in UTC."""
    return EPOCH + timedelta(microseconds=us)


def first_shown(zone: ZoneInfo, day: date, second: int) -> int:
    """Return when a clock of the zone first shows at least this time, in microseconds since 1970.

    second: since the date's midnight on the wall clock; 86,400 and more lies on the next date.
    """
    wall = datetime(day.year, day.month, day.day) + timedelta(seconds=second)  # noqa: DTZ001 - it is a wall time
    before = _offset(wall.replace(tzinfo=zone))
    after = _offset(wall.replace(tzinfo=zone, fold=1))
    if before >= after:
        return (wall - before - _WALL_EPOCH) // _ONE_US
    return _skip(zone, wall - after, wall - before)


def _skip(zone: ZoneInfo, early: datetime, late: datetime) -> int:
    """Return the moment at which the clock is put forward: after early, at or before late (naive, UTC)."""
    before = _offset(early.replace(tzinfo=UTC).astimezone(zone))
    while late - early > _ONE_S:
        middle = early + (late - early) // _ONE_S // 2 * _ONE_S
        if _offset(middle.replace(tzinfo=UTC).astimezone(zone)) == before:
            early = middle
        else:
            late = middle
    return (late - _WALL_EPOCH) // _ONE_US


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)

"""China's statutory holidays and make-up workdays, from a kept library. Pure: the data comes with the library."""

from __future__ import annotations

from functools import cache

from chinese_calendar.constants import (  # type: ignore[import-untyped]  # The library ships no types.
    holidays,
    workdays,
)

from services.tickets.business_time.working_days import Statutory

# The library names holidays in English; the notices of the State Council use these names.
_NAMES = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节",
    "Anti-Fascist 70th Day": "抗战胜利 70 周年纪念日",
}


@cache
def china() -> Statutory:
    """Return what the State Council has published, as far as the installed library knows it."""
    return Statutory(
        {day: _NAMES.get(name, name) for day, name in holidays.items()},
        {day: _NAMES.get(name, name) for day, name in workdays.items()},
        # A year counts as published by its own days: a notice may reach back into the December before.
        frozenset(day.year for day in holidays if (day.month, day.day) < (12, 29)),
    )

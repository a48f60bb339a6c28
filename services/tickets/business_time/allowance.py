"""How much open time something may take, as a policy says it: 30m, 1h30m, 3 workdays. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.tickets.business_time.calendar import Calendar

_TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_WORKDAYS = re.compile(r"(\d+)\s*workdays?")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Open time that may pass: seconds, or workdays, each as long as the calendar has it that counts them."""

    seconds: int = 0
    workdays: int = 0

    @classmethod
    def read(cls, span: str) -> Allowance:
        """Return what a span such as 30m, 1h30m or 3 workdays allows. Raises ValueError."""
        if days := _WORKDAYS.fullmatch(span.strip()):
            allowance = cls(workdays=int(days[1]))
        else:
            found = _TIME.fullmatch(span.strip())
            hours, minutes, rest = found.groups(default="0") if found else ("0", "0", "0")
            allowance = cls(seconds=int(hours) * 3600 + int(minutes) * 60 + int(rest))
        if allowance == cls():
            raise ValueError(f"{span!r} is not a span such as 30m, 4h, 1h30m or 3 workdays")
        return allowance

    def in_s(self, calendar: Calendar) -> int:
        """Return the open seconds of a calendar that may pass."""
        return self.seconds + self.workdays * calendar.usual_day_s

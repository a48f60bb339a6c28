"""Years whose statutory holidays nobody knows yet: what is due in one is counted by the week, and the log says so."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache

_log = logging.getLogger("liaison")


def warn_of(years: Iterable[int]) -> None:
    """Log each of the years, once for a process."""
    for year in years:
        warn_of_year(year)


@cache
def warn_of_year(year: int) -> None:
    """Log that a year's holidays were not taken into account, once for a process."""
    _log.warning("holidays are not published yet, targets are counted by the week", extra={"year": year})

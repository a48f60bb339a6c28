"""Settings of the training service, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventkit.errors import BadSettings

_MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Settings:
    """retraining_days: calendar days that a learner has after a failure. zone: whose days they are."""

    retraining_days: int
    zone: ZoneInfo

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read LIAISON_RETRAINING_DAYS (default 14) and LIAISON_TRAINING_ZONE (default Asia/Shanghai).

        Raises BadSettings naming every fault at once.
        """
        days, name = env.get("LIAISON_RETRAINING_DAYS") or "14", env.get("LIAISON_TRAINING_ZONE") or "Asia/Shanghai"
        faults, zone = [], ZoneInfo("UTC")
        if not days.isdecimal() or not 1 <= int(days) <= _MOST_DAYS:
            faults.append(f"LIAISON_RETRAINING_DAYS: {days!r} is not a number of days from 1 to {_MOST_DAYS}")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            faults.append(f"LIAISON_TRAINING_ZONE: {name!r} is not a time zone")
        if faults:
            raise BadSettings("; ".join(faults))
        return cls(int(days), zone)

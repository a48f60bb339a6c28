"""How the metrics service is configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventkit.errors import BadSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """facts_ttl_s: seconds for which a page is shown again before the database is read anew."""

    facts_ttl_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read FACTS_TTL_S (2 unless set). Raises BadSettings when it is not a number of seconds."""
        given = env.get("FACTS_TTL_S", "2")
        try:
            ttl_s = float(given)
        except ValueError:
            raise BadSettings(f"FACTS_TTL_S: {given!r} is not a number of seconds") from None
        if not 0 <= ttl_s < 3600:
            raise BadSettings(f"FACTS_TTL_S: {given!r} is not between 0 and 3600 seconds")
        return cls(ttl_s)

"""Links that carry their own right: signed, and good for a limited time. Whoever holds one may do what it names.

The signature is HMAC over what the link says (itsdangerous). Services that share a key read each other's links; of
several keys the last one signs and all are read, so that a key can be changed while links are out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from eventkit.errors import BadSettings, NotFound, RuleBroken

#: The purpose of links to one ticket, for its requester: `n` number, `c` solution, `p` person, `l` language.
TICKET = "ticket"
_SHORTEST_KEY = 24
_DAY_S = 86_400


class Links:
    """Signs and reads links for one purpose. valid_days: how long a link is good."""

    def __init__(self, keys: Sequence[str], purpose: str, *, valid_days: int) -> None:
        self._serializer = URLSafeTimedSerializer(list(keys), salt=f"liaison {purpose}")
        self._valid_s = valid_days * _DAY_S

    @classmethod
    def from_env(cls, env: Mapping[str, str], purpose: str) -> Links | None:
        """Read LIAISON_LINK_KEYS (separated by commas, the last one signs) and LIAISON_LINK_VALID_DAYS (14).

        None without keys: then no links go out and none are read. Raises BadSettings for a key that could be guessed.
        """
        keys = [key for key in env.get("LIAISON_LINK_KEYS", "").split(",") if key]
        if not keys:
            return None
        if min(map(len, keys)) < _SHORTEST_KEY:
            raise BadSettings(f"LIAISON_LINK_KEYS: needs keys of at least {_SHORTEST_KEY} characters")
        days = env.get("LIAISON_LINK_VALID_DAYS", "14")
        if not days.isdigit() or int(days) == 0:
            raise BadSettings(f"LIAISON_LINK_VALID_DAYS: {days!r} is not a number of days")
        return cls(keys, purpose, valid_days=int(days))

    def token(self, says: Mapping[str, Any]) -> str:
        """Return what a link carries: `says`, readable by everybody, changeable by nobody."""
        return str(self._serializer.dumps(dict(says)))

    def read(self, token: str) -> dict[str, Any]:
        """Return what a link says. Raises RuleBroken for one that has expired, NotFound for one that is not ours."""
        try:
            found: dict[str, Any] = self._serializer.loads(token, max_age=self._valid_s)
        except SignatureExpired:
            raise RuleBroken("this link has expired", field="token") from None
        except BadSignature:
            raise NotFound("no such link", field="token") from None
        return found

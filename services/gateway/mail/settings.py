"""Settings of the mail door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventkit.errors import BadSettings
from services.gateway.files import MAX_FILE_BYTES
from services.gateway.mail.mailbox import MailboxAddress
from services.gateway.mail.rules import MAX_PER_HOUR
from services.gateway.mail.usecases import Guards

POLL_S = 20.0
#: The largest mail that is read, bytes. With less, a file of the usual limit would not fit in its encoding.
MAX_MAIL_BYTES = 28 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Which mailbox is read, how often, and what is kept off."""

    address: MailboxAddress
    guards: Guards
    poll_s: float = POLL_S
    max_mail_bytes: int = MAX_MAIL_BYTES

    @classmethod
    def from_env(cls, env: Mapping[str, str], max_file_bytes: int = MAX_FILE_BYTES) -> MailSettings | None:
        """Read LIAISON_MAILBOX with its password, and what may be set besides. None without a mailbox.

        LIAISON_MAILBOX_ADDRESSES: our own addresses, with commas between them; the mailbox's user is one anyway.
        LIAISON_MAIL_CHECKED_BY: the name of our mail server in Authentication-Results; what it doubts, a person judges.
        LIAISON_MAILBOX_POLL_S, LIAISON_MAILS_PER_HOUR: seconds between two looks; mails of one sender in an hour.
        Raises BadSettings.
        """
        address = MailboxAddress.from_env(env)
        if address is None:
            return None
        named = [one.strip().lower() for one in env.get("LIAISON_MAILBOX_ADDRESSES", "").split(",")]
        own = frozenset(one for one in (address.user.lower(), *named) if "@" in one)
        if not own:
            raise BadSettings("LIAISON_MAILBOX_ADDRESSES: the mailbox's user is no address, so name our own here")
        per_hour = int(_number(env, "LIAISON_MAILS_PER_HOUR", MAX_PER_HOUR))
        guards = Guards(own, per_hour, max_file_bytes, env.get("LIAISON_MAIL_CHECKED_BY", "").strip())
        return cls(address, guards, _number(env, "LIAISON_MAILBOX_POLL_S", POLL_S))


def _number(env: Mapping[str, str], name: str, usual: float) -> float:
    given = env.get(name)
    if not given:
        return usual
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not found > 0:
        raise BadSettings(f"{name}: {given!r} is not a number above 0")
    return found

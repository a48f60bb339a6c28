"""The settings of the mail door: an address with everything in it, and a password that stands elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventkit.errors import BadSettings
from services.gateway.mail.settings import MailSettings

MAILBOX = "imaps://desk@example.invalid@imap.example.invalid/INBOX/Desk"


def test_without_a_mailbox_there_is_no_mail_door() -> None:
    assert MailSettings.from_env({}) is None
    assert MailSettings.from_env({"LIAISON_MAILBOX": "", "LIAISON_MAILBOX_PASSWORD": "x"}) is None


def test_everything_is_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    found = MailSettings.from_env(
        {
            "LIAISON_MAILBOX": MAILBOX,
            "LIAISON_MAILBOX_PASSWORD_FILE": str(tmp_path / "password"),
            "LIAISON_MAILBOX_ADDRESSES": "Help@example.invalid, it@example.invalid",
            "LIAISON_MAILBOX_POLL_S": "5",
            "LIAISON_MAILS_PER_HOUR": "7",
            "LIAISON_MAIL_CHECKED_BY": "mx.example.invalid",
        }
    )
    assert found is not None
    address = found.address
    assert (address.host, address.port, address.secure) == ("imap.example.invalid", 993, True)
    assert (address.user, address.password, address.folder) == ("desk@example.invalid", "geheim", "INBOX/Desk")
    assert found.guards.own_addresses == {"desk@example.invalid", "help@example.invalid", "it@example.invalid"}
    assert (found.poll_s, found.guards.max_per_hour, found.guards.checked_by) == (5.0, 7, "mx.example.invalid")
    assert "geheim" not in repr(found)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"LIAISON_MAILBOX": "pop3://desk@x"}, "LIAISON_MAILBOX: expected"),
        ({"LIAISON_MAILBOX": "imap://imap.example.invalid"}, "LIAISON_MAILBOX: expected"),
        ({"LIAISON_MAILBOX": "imap://desk@x:port/INBOX"}, "LIAISON_MAILBOX: expected"),
        ({"LIAISON_MAILBOX": "imap://desk:secret@x/INBOX"}, "without a password"),
        ({"LIAISON_MAILBOX": "imap://desk@x/INBOX"}, "LIAISON_MAILBOX_ADDRESSES"),
        ({"LIAISON_MAILBOX_PASSWORD": ""}, "LIAISON_MAILBOX_PASSWORD"),
        ({"LIAISON_MAILBOX_PASSWORD_FILE": "/nowhere"}, "LIAISON_MAILBOX_PASSWORD_FILE"),
        ({"LIAISON_MAILBOX_POLL_S": "-1"}, "LIAISON_MAILBOX_POLL_S"),
        ({"LIAISON_MAILS_PER_HOUR": "many"}, "LIAISON_MAILS_PER_HOUR"),
    ],
)
def test_what_is_wrong_is_named_and_no_password_with_it(changes: dict[str, str], named: str) -> None:
    with pytest.raises(BadSettings, match=named) as caught:
        MailSettings.from_env({"LIAISON_MAILBOX": MAILBOX, "LIAISON_MAILBOX_PASSWORD": "x", **changes})
    assert "secret" not in str(caught.value)

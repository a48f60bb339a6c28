"""A service of `make run` is told what it needs to know, and nothing else."""

from __future__ import annotations

import pytest

from liaison import local
from liaison.installation import Installation


def test_the_gateway_is_told_of_the_mailbox_that_whoever_starts_it_names(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIAISON_MAILBOX", "imaps://desk@example.com@imap.example.com/INBOX")
    monkeypatch.setenv("LIAISON_MAILBOX_PASSWORD", "of the mailbox")
    told = local.environment(installation, "gateway")
    assert told["LIAISON_MAILBOX"] == "imaps://desk@example.com@imap.example.com/INBOX"
    assert told["LIAISON_MAILBOX_PASSWORD"] == "of the mailbox"
    assert not [name for name in local.environment(installation, "tickets") if "MAILBOX" in name]


def test_what_else_stands_in_the_environment_stays_there(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIAISON_SOMETHING_ELSE", "secret")
    monkeypatch.delenv("LIAISON_TICKETS_POLICY", raising=False)
    told = local.environment(installation, "tickets")
    assert not {"LIAISON_SOMETHING_ELSE", "LIAISON_TICKETS_POLICY"} & told.keys()

"""Whether a person has written a mail, and about which ticket."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.mail.reading import head_of
from services.gateway.mail.rules import forgery_of, reason_to_ignore, ticket_number
from tests.gateway.mails import head, mail

OWN = frozenset({"desk@example.invalid"})


def ignored_for(raw: bytes, sent_last_hour: int = 0) -> str | None:
    return reason_to_ignore(head_of(raw), own_addresses=OWN, sent_last_hour=sent_last_hour, max_per_hour=30)


def number_in(raw: bytes) -> str | None:
    return ticket_number(head_of(raw))


def test_a_mail_without_a_number_names_no_ticket() -> None:
    assert number_in(mail()) is None


@pytest.mark.parametrize(
    "subject",
    [
        "Re: [T2026-000123] VPN 连不上",
        "回复:T2026-000123 VPN 连不上",
        "答复: 工单t2026-000123已解决",
        "Fwd: 返信: (T2026-000123)",
    ],
)
def test_a_number_in_the_subject_names_the_ticket(subject: str) -> None:
    assert number_in(mail(subject=subject)) == "T2026-000123"


@pytest.mark.parametrize(
    "headers",
    [
        {"in_reply_to": "<T2026-000123.0199@example.invalid>"},
        {"references": "<other@example.invalid> <T2026-000123.0199@example.invalid>"},
        {"in_reply_to": "<other@example.invalid>", "references": "<T2026-000123.0199@example.invalid>"},
    ],
)
def test_a_mail_of_ours_that_is_answered_names_the_ticket(headers: dict[str, Any]) -> None:
    assert number_in(mail(subject="还是不行", **headers)) == "T2026-000123"


def test_the_subject_comes_before_the_mail_that_is_answered() -> None:
    raw = mail(subject="T2026-000200", in_reply_to="<T2026-000123.0199@example.invalid>")
    assert number_in(raw) == "T2026-000200"


@pytest.mark.parametrize("subject", ["XT2026-000123", "T2026-12345", "T26-000123", "PART2026-0001234"])
def test_what_only_looks_like_a_number_names_no_ticket(subject: str) -> None:
    assert number_in(mail(subject=subject)) is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(mail(sender="Desk <DESK@example.invalid>"), "loop", id="from ourselves"),
        pytest.param(mail(auto_submitted="auto-replied"), "Auto-Submitted is auto-replied", id="out of office"),
        pytest.param(mail(auto_submitted="auto-generated; owner=x"), "auto-generated", id="a machine"),
        pytest.param(mail(precedence="Bulk"), "Precedence is bulk", id="bulk"),
        pytest.param(mail(list_id="<staff.example.invalid>"), "list-id", id="mailing list"),
        pytest.param(head(mail(), X_Auto_Response_Suppress="DR, OOF, AutoReply"), "Suppress", id="Exchange"),
        pytest.param(head(mail(), X_Autoreply="yes"), "x-autoreply", id="X-Autoreply"),
        pytest.param(head(mail(), Return_Path="<>"), "Return-Path is empty", id="empty sender"),
        pytest.param(mail(sender="MAILER-DAEMON@mx.example.invalid"), "mailer-daemon", id="mailer daemon"),
        pytest.param(mail(subject="Undelivered Mail Returned to Sender"), "bounce", id="bounce by subject"),
        pytest.param(mail(subject="系统退信:收件人不存在"), "bounce", id="Chinese bounce"),
        pytest.param(mail(subject="自动回复: 工单已解决 T2026-000123"), "out-of-office", id="Chinese reply"),
        pytest.param(mail(subject="Automatic reply: ticket"), "out-of-office", id="English reply"),
        pytest.param(mail(subject="自動応答: 不在"), "out-of-office", id="Japanese reply"),
    ],
)
def test_what_no_person_has_written_is_ignored_with_its_reason(raw: bytes, reason: str) -> None:
    assert reason in (ignored_for(raw) or "")


def test_a_delivery_report_is_a_bounce() -> None:
    raw = mail().replace(b'Content-Type: text/plain; charset="utf-8"', b"Content-Type: multipart/report; boundary=x")
    assert "delivery report" in (ignored_for(raw) or "")


@pytest.mark.parametrize(
    "raw", [mail(auto_submitted="no"), mail(subject="自动回复功能打不开"), mail(subject="Automatic replying fails")]
)
def test_people_are_not_taken_for_machines(raw: bytes) -> None:
    assert ignored_for(raw) is None


def test_too_many_mails_within_an_hour_are_ignored() -> None:
    assert ignored_for(mail(), sent_last_hour=29) is None
    assert "30 mails" in (ignored_for(mail(), sent_last_hour=30) or "")


@pytest.mark.parametrize(
    ("findings", "is_doubted"),
    [
        ("mx.example.invalid; spf=pass; dmarc=fail (p=none) header.from=example.invalid", True),
        ("mx.example.invalid 1; dmarc=PermError", True),
        ("mx.example.invalid; dmarc=pass", False),
        ("mx.example.invalid; dkim=fail; dmarc=none", False),
        ("elsewhere.invalid; dmarc=fail", False),
        ("", False),
    ],
)
def test_a_sender_is_doubted_when_our_mail_server_says_so(findings: str, is_doubted: bool) -> None:
    raw = head(mail(), **({"Authentication_Results": findings} if findings else {}))
    assert (forgery_of(head_of(raw), "mx.example.invalid") is not None) is is_doubted
    assert forgery_of(head_of(raw), "") is None


def test_only_the_topmost_finding_is_believed() -> None:
    brought_along = head(mail(), Authentication_Results="mx.example.invalid; dmarc=pass")
    raw = head(brought_along, Authentication_Results="mx.example.invalid; dmarc=fail")
    assert forgery_of(head_of(raw), "mx.example.invalid") is not None

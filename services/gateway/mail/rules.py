"""Whether a person has written a mail, and about which ticket. Pure.

Sources: RFC 3834 (Auto-Submitted), RFC 3464 and 5321 (reports and their empty sender), RFC 2919 (List-Id), and what
mail programs do instead (Precedence, X-Auto-Response-Suppress, subjects).
"""

from __future__ import annotations

import re

from contracts.markings import marking_in
from services.gateway.mail.reading import Mail

#: How many mails an hour one sender's are read; more come from a machine that answers ours.
MAX_PER_HOUR = 30
_NUMBER = re.compile(r"(?<![A-Za-z0-9])(T\d{4}-\d{6,12})(?![0-9])", re.IGNORECASE)
_MACHINES = re.compile(r"(mailer-daemon|postmaster)@.*", re.IGNORECASE)
_AWAY = re.compile(
    r"^\s*[\[【(]?\s*(自动回复|自動回覆|自动答复|外出自动回复|离开.{0,6}自动回复"
    r"|automatic reply|auto(-| )?(reply|response)|out of (the )?office|自動応答|自動返信|不在(通知|のお知らせ))"
    r"\s*([\]】):：-]|$)",
    re.IGNORECASE,
)
_BOUNCED = re.compile(
    r"^\s*(undeliver(ed|able)\b|delivery status notification|mail delivery (failed|failure|subsystem)"
    r"|returned mail|failure notice|系统退信|退信(通知)?\s*([:：]|$)|邮件退回|配信不能|配達不能)",
    re.IGNORECASE,
)
_DOUBTED = re.compile(r"\bdmarc\s*=\s*(fail|permerror)\b", re.IGNORECASE)
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
_SUPPRESSED = frozenset({"all", "oof", "autoreply"})
_MARKS = ("x-autoreply", "x-autorespond", "x-autoreply-from", "x-loop", "list-id", "x-failed-recipients")


def reason_to_ignore(
    mail: Mail, *, own_addresses: frozenset[str], sent_last_hour: int, max_per_hour: int = MAX_PER_HOUR
) -> str | None:
    """Return why a mail is nothing that a person has written, or one too many; None for what is taken.

    sent_last_hour: how many mails of this sender were read in the last hour, this one not.
    """
    if reason := _not_by_a_person(mail, own_addresses):
        return reason
    if sent_last_hour >= max_per_hour:
        return f"more than {max_per_hour} mails within an hour from this sender"
    return None


def ticket_number(mail: Mail) -> str | None:
    """Return the number of the ticket that a mail is about: by its subject, else by the mail that it answers."""
    for text in (mail.subject, *mail.answers):
        if found := _NUMBER.search(text):
            return found[1].upper()
    return None


def marking_of(mail: Mail) -> str | None:
    """Return the marking of a state secret that a mail bears, which keeps it out of the desk (S6)."""
    texts = (mail.subject, mail.text, *(file.name for file in mail.files))
    return next((marking for one in texts if (marking := marking_in(one))), None)


def forgery_of(mail: Mail, checked_by: str) -> str | None:
    """Return why the sender of a mail is doubted, when our mail server has found so (RFC 8601, RFC 7489).

    checked_by: the name under which our server writes its findings; without one nothing is doubted. Only the topmost
    header is believed, since everything below it may have come with the mail.
    """
    server, _, findings = mail.headers.get("authentication-results", "").partition(";")
    if not checked_by or server.split()[:1] != [checked_by]:
        return None
    doubted = _DOUBTED.search(findings)
    return f"our mail server doubts that {mail.sender} has sent it ({doubted[0]})" if doubted else None


def _not_by_a_person(mail: Mail, own_addresses: frozenset[str]) -> str | None:
    if mail.sender in own_addresses:
        return "loop: it comes from our own address"
    return _bounce(mail) or _machine(mail)


def _bounce(mail: Mail) -> str | None:
    if mail.is_report:
        return "bounce: a delivery report"
    if "return-path" in mail.headers and mail.headers["return-path"].replace(" ", "") == "<>":
        return "bounce: its Return-Path is empty"
    if _MACHINES.fullmatch(mail.sender):
        return f"a machine's address: {mail.sender.partition('@')[0]}"
    return "bounce: by its subject" if _BOUNCED.match(mail.subject) else None


def _machine(mail: Mail) -> str | None:
    submitted = mail.headers.get("auto-submitted", "no").partition(";")[0].strip().lower()
    if submitted != "no":
        return f"automatic: Auto-Submitted is {submitted[:40]}"
    precedence = mail.headers.get("precedence", "").strip().lower()
    if precedence in _BULK:
        return f"automatic: Precedence is {precedence}"
    suppressed = {one.strip().lower() for one in mail.headers.get("x-auto-response-suppress", "").split(",")}
    if suppressed & _SUPPRESSED:
        return "automatic: X-Auto-Response-Suppress"
    for mark in _MARKS:
        if mark in mail.headers:
            return f"automatic: it has {mark}"
    return "automatic: an out-of-office reply by its subject" if _AWAY.match(mail.subject) else None

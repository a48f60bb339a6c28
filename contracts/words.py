"""Closed lists of words that facts of several services share."""

from __future__ import annotations

from contracts.fact import Word

#: The alert that always fires, to prove the whole way. Others' monitoring has one of that name too.
WATCHDOG = "Watchdog"
#: What our own alerts are about, in the label `about`, when the platform itself is meant.
LIAISON = "liaison"
#: Where alerts come from that Alertmanager told the gateway; no publisher can take a source under /liaison.
ALERTS_SOURCE = "/liaison/alerts"


def is_our_watchdog(alert: str | None, about: str | None, source: str) -> bool:
    """Tell whether an alert is our own that always fires, of which nobody is told.

    That of another system says nothing about our way: not through Alertmanager and the gateway, nor as a publisher's
    event.
    """
    return (alert, about, source) == (WATCHDOG, LIAISON, ALERTS_SOURCE)


class Channel(Word):
    """The way in by which a request came (T1); each has its own targets."""

    HOTLINE = "hotline"
    CHAT = "chat"
    MAIL = "mail"
    WEB = "web"
    SPECIALIST = "specialist"
    EVENT = "event"
    OTHER = "other"


class TicketState(Word):
    """Where a ticket stands; people see 待处理, 处理中 or 已解决 (T5)."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    AWAITING_USER = "awaiting_user"
    AWAITING_PROBLEM = "awaiting_problem"
    AWAITING_VENDOR = "awaiting_vendor"
    AWAITING_EVIDENCE = "awaiting_evidence"
    RESOLVED = "resolved"
    CLOSED = "closed"
    OTHER = "other"


class Secrecy(Word):
    """How far what a ticket says may go (S6): 公开, 内部, 敏感. Events of a sensitive one carry no text."""

    PUBLIC = "public"
    INTERNAL = "internal"
    SENSITIVE = "sensitive"
    OTHER = "other"


class FeedbackClass(Word):
    """What becomes of a piece of feedback (T9); people see 可改进, 需协调, 已解决."""

    IMPROVABLE = "improvable"
    NEEDS_COORDINATION = "needs_coordination"
    SETTLED = "settled"
    OTHER = "other"


class FeedbackStatus(Word):
    """What the author of feedback is told (T9): 已受理, 需补充信息, 已解决."""

    ACCEPTED = "accepted"
    NEEDS_INFORMATION = "needs_information"
    RESOLVED = "resolved"
    OTHER = "other"


class FeedbackWay(Word):
    """How feedback came in (T9): by the form, the paper box (线下意见箱), a chat group, or another system."""

    WEB = "web"
    PAPER_BOX = "paper_box"
    CHAT_GROUP = "chat_group"
    EVENT = "event"
    OTHER = "other"


class Severity(Word):
    """How urgent an alert of the platform is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    OTHER = "other"

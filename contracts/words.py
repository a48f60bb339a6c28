"""Closed lists of words that facts of several services share."""

from __future__ import annotations

from contracts.fact import Word


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

"""When each alert fires, and when it does not: a table of series, a sample a minute in promtool's notation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SERVICES = ("gateway", "tickets", "training", "knowledge", "notify", "metrics")
#: What is there while all is well; a story replaces some of it.
WELL: Mapping[str, str] = {
    **{f'up{{job="{name}", instance="a"}}': "1x60" for name in (*SERVICES, "facts", "rabbitmq")},
    'liaison_watchdog_age_seconds{job="notify", instance="a"}': "30x60",
}
ILL = "1x4 0x9 1x30"  # ill from minute 5 to minute 14
GROWS = "0+60x30 0x29"  # an age: a minute each minute, well again at minute 31


@dataclass(frozen=True)
class Fires:
    """Quiet at `before`, firing at `at`, over at `after` (minutes). labels: those that are not of the rule."""

    alert: str
    series: Mapping[str, str]
    before: int
    at: int
    after: int
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Quiet:
    """Never fires, as near as it may look."""

    alert: str
    series: Mapping[str, str]


def _buckets(name: str, job: str, bounds: tuple[str, str, str], below: str, above: str) -> dict[str, str]:
    """Return a histogram whose observations lie between the second bound and the third."""
    labels = f'job="{job}", instance="a"'
    low, middle, high = bounds
    return {
        f'{name}_bucket{{{labels}, le="{low}"}}': below,
        f'{name}_bucket{{{labels}, le="{middle}"}}': below,
        f'{name}_bucket{{{labels}, le="{high}"}}': above,
        f'{name}_bucket{{{labels}, le="+Inf"}}': above,
    }


def _deliveries(accepted: str, **others: str) -> dict[str, str]:
    labels = 'job="facts", window="1h", medium="mail"'
    return {
        f'liaison_notify_deliveries_recent{{{labels}, outcome="{outcome}"}}': values
        for outcome, values in {"accepted": accepted, **others}.items()
    }


def _sla(window: str, breaches: str, targets: str) -> dict[str, str]:
    return {
        f'liaison_sla_breaches_recent{{job="facts", window="{window}", target="solution", priority="2"}}': breaches,
        f'liaison_sla_targets_recent{{job="facts", window="{window}", target="solution", priority="2"}}': targets,
    }


def _ready(job: str, check: str, values: str, instance: str = "a") -> dict[str, str]:
    return {f'liaison_ready{{job="{job}", instance="{instance}", check="{check}"}}': values}


def _alarm(name: str) -> dict[str, str]:
    return {f'rabbitmq_alarms_{name}{{job="rabbitmq", instance="a"}}': "0x4 1x9 0x30"}


_TICKETS = {"job": "tickets"}
_QUEUE = 'rabbitmq_detailed_queue_messages_ready{job="queues", vhost="liaison", queue="%s"}'
_PENDING = 'liaison_notify_oldest_pending_age_seconds{job="notify", instance="a", medium="mail", state="%s"}'
_TICKETS_DOWN = "服务 tickets 不可用 / tickets is down"
_FACTS = {"job": "facts"}
_FACTS_DOWN = "服务 facts 不可用 / facts is down"
_FACTS_UP = 'up{job="facts", instance="a"}'
_METRICS_WELL = _ready("metrics", "database", "1x60")
_TICKETS_LATE = "tickets 的定时任务滞后 / timers are late at tickets"
_BROKER = "消息代理停止收发 / the broker is away or blocks publishers"
_MAIL = "消息发送失败:mail / messages by mail do not get out"
_SEARCH = "知识检索不可用或索引落后 / search is away or its index is behind"
_SEARCH_UP = 'liaison_knowledge_search_up{job="knowledge", instance="a"}'
_INDEX_MISSING = 'liaison_knowledge_index_missing{job="knowledge", instance="a"}'
_SILENT = "告警通路中断 / alerts do not come through"

STORIES: tuple[Fires | Quiet, ...] = (
    Fires("ServiceDown", {'up{job="tickets", instance="a"}': ILL}, 5, 7, 16, _TICKETS_DOWN, _TICKETS),
    Fires("ServiceDown", {'up{job="tickets", instance="a"}': "1x4 _x15 1x30"}, 8, 12, 22, _TICKETS_DOWN, _TICKETS),
    Fires("ServiceDown", _ready("tickets", "consumers", ILL), 5, 7, 16, _TICKETS_DOWN, _TICKETS),
    Fires("ServiceDown", {_FACTS_UP: ILL} | _METRICS_WELL, 5, 7, 16, _FACTS_DOWN, _FACTS),
    Fires("ServiceDown", {_FACTS_UP: "1x4 _x15 1x30"}, 8, 12, 22, _FACTS_DOWN, _FACTS),
    # One scrape in ten is missed while the page is slow; the database and the process have alerts of their own.
    Quiet("ServiceDown", {_FACTS_UP: "1x9 0 1x9 0 1x40"} | _METRICS_WELL),
    Quiet("ServiceDown", {_FACTS_UP: "1x4 0x50"} | _ready("metrics", "database", "1x4 0x50")),
    Quiet("ServiceDown", {'up{job="tickets", instance="b"}': "0x60"}),
    Quiet("ServiceDown", _ready("tickets", "rpc", "0x60") | _ready("tickets", "rpc", "1x60", "b")),
    Quiet("ServiceDown", _ready("tickets", "database", "0x60") | _ready("tickets", "consumers", "0x60")),
    Quiet("ServiceDown", _ready("tickets", "rpc", "0x60") | {'up{job="rabbitmq", instance="a"}': "0x60"}),
    Quiet("ServiceDown", {'up{job="tickets", instance="a"}': "1x4 0 1x55"}),
    Fires(
        "EventsLate",
        _buckets("liaison_event_lag_seconds", "tickets", ("15", "60", "300"), "0x60", "0+10x20 200x39"),
        3,
        10,
        40,
        "事件处理滞后 / events are late: tickets",
        _TICKETS,
    ),
    Fires(
        "EventsLate",
        {_QUEUE % "tickets.1.0": "0x4 5000x15 0x30"},
        9,
        17,
        30,
        "事件处理滞后 / events are late: tickets.1.0",
        {"queue": "tickets.1.0"},
    ),
    Quiet("EventsLate", _buckets("liaison_event_lag_seconds", "tickets", ("1", "15", "60"), "0x60", "0+10x60")),
    Quiet("EventsLate", {_QUEUE % "tickets.1.0": "0x4 5000x2 0x50", _QUEUE % "verdicts.erp": "5000x60"}),
    Fires(
        "OutboxStuck",
        {'liaison_outbox_age_seconds{job="tickets", instance="a"}': "0x4 90+60x8 0x30"},
        6,
        9,
        16,
        "tickets 的事件发不出去 / events do not leave tickets",
        _TICKETS,
    ),
    Quiet("OutboxStuck", {'liaison_outbox_age_seconds{job="tickets", instance="a"}': "0x4 90 0x50"}),
    Fires(
        "DeadEventsWaiting",
        {'liaison_dead_oldest_age_seconds{job="tickets", instance="a"}': GROWS},
        16,
        18,
        32,
        "tickets 有无法处理的事件 / dead events wait at tickets",
        _TICKETS,
    ),
    Quiet("DeadEventsWaiting", {'liaison_dead_oldest_age_seconds{job="tickets", instance="a"}': "0+60x14 0x45"}),
    Fires(
        "HeldEventsWaiting",
        {'liaison_held_oldest_age_seconds{job="tickets", instance="a"}': GROWS},
        16,
        18,
        32,
        "tickets 有事件搁置过久 / events have been held for long at tickets",
        _TICKETS,
    ),
    Quiet("HeldEventsWaiting", {'liaison_held_oldest_age_seconds{job="tickets", instance="a"}': "0+60x14 0x45"}),
    Fires(
        "TimersLate",
        _buckets("liaison_timer_lateness_seconds", "tickets", ("2.5", "5", "15"), "0x60", "0+10x20 200x39"),
        3,
        10,
        40,
        _TICKETS_LATE,
        _TICKETS,
    ),
    Fires(
        "TimersLate",
        {'liaison_timer_overdue_age_seconds{job="tickets", instance="a"}': GROWS},
        6,
        8,
        32,
        _TICKETS_LATE,
        _TICKETS,
    ),
    Quiet("TimersLate", _buckets("liaison_timer_lateness_seconds", "tickets", ("0.5", "1", "5"), "0x60", "0+10x60")),
    Quiet("TimersLate", {'liaison_timer_overdue_age_seconds{job="tickets", instance="a"}': "0+60x4 0x50"}),
    *(
        Fires("DeliveriesFailing", series, before, at, after, _MAIL, {"medium": "mail"})
        for series, before, at, after in (
            (_deliveries("5x60", failed="0x4 3x20 0x30"), 8, 12, 30),
            (_deliveries("5x60", unknown="0x4 3x20 0x30"), 8, 12, 30),
            (_deliveries("5x60", failed="0x4 1x20 0x30", unknown="0x4 2x20 0x30"), 8, 12, 30),
            ({_PENDING % "pending": GROWS}, 20, 22, 32),
            ({_PENDING % "sending": GROWS}, 20, 22, 32),
        )
    ),
    Quiet("DeliveriesFailing", _deliveries("0x60", failed="2x60")),
    Quiet("DeliveriesFailing", _deliveries("0x60", unknown="2x60")),
    Quiet("DeliveriesFailing", _deliveries("100x60", failed="3x60", unknown="3x60")),
    Quiet("DeliveriesFailing", {_PENDING % "waiting_contact": "0+60x60"}),
    Fires(
        "MailboxAway",
        {'liaison_gateway_mailbox_up{job="gateway", instance="a"}': "1x4 0x20 1x30"},
        14,
        17,
        27,
        "邮箱无法读取 / the mailbox cannot be read",
    ),
    Quiet("MailboxAway", {'liaison_gateway_mailbox_up{job="gateway", instance="a"}': "1x4 0x8 1x40"}),
    Fires(
        "IndexBehind",
        {'liaison_knowledge_index_oldest_age_seconds{job="knowledge", instance="a"}': GROWS},
        10,
        13,
        32,
        _SEARCH,
    ),
    Fires("IndexBehind", {_SEARCH_UP: "1x4 0x15 1x30"}, 9, 12, 22, _SEARCH),
    Quiet("IndexBehind", {_SEARCH_UP: "1x4 0x3 1x50"}),
    Fires("IndexBehind", {_INDEX_MISSING: "0x4 3x15 0x30"}, 9, 12, 22, _SEARCH),
    Quiet("IndexBehind", {_INDEX_MISSING: "0x4 3x3 0x50"}),
    Quiet("IndexBehind", {'liaison_knowledge_index_oldest_age_seconds{job="knowledge", instance="a"}': "0+60x6 0x50"}),
    Fires("BrokerBlocked", {'up{job="rabbitmq", instance="a"}': ILL}, 5, 7, 16, _BROKER, {"job": "rabbitmq"}),
    Fires(
        "BrokerBlocked", {'up{job="rabbitmq", instance="a"}': "1x4 _x15 1x30"}, 8, 12, 22, _BROKER, {"job": "rabbitmq"}
    ),
    Fires("BrokerBlocked", _alarm("memory_used_watermark"), 5, 7, 16, _BROKER, {"job": "rabbitmq"}),
    Fires("BrokerBlocked", _alarm("free_disk_space_watermark"), 5, 7, 16, _BROKER, {"job": "rabbitmq"}),
    Fires("BrokerBlocked", _alarm("file_descriptor_limit"), 5, 7, 16, _BROKER, {"job": "rabbitmq"}),
    Quiet("BrokerBlocked", {'rabbitmq_alarms_memory_used_watermark{job="rabbitmq", instance="a"}': "0x4 1 0x50"}),
    Fires(
        "DatabaseDown",
        _ready("tickets", "database", ILL),
        5,
        7,
        16,
        "tickets 的数据库连接不上 / the database of tickets is away",
        _TICKETS,
    ),
    Quiet("DatabaseDown", _ready("tickets", "consumers", "0x60") | _ready("tickets", "database", "1x4 0 1x50")),
    Fires(
        "WatchdogSilent",
        {'liaison_watchdog_age_seconds{job="notify", instance="a"}': "30+60x12 30x40"},
        6,
        8,
        14,
        _SILENT,
    ),
    Fires(
        "WatchdogSilent",
        {'liaison_watchdog_age_seconds{job="notify", instance="a"}': "30x4 _x15 30x30"},
        8,
        12,
        22,
        _SILENT,
    ),
    Quiet("WatchdogSilent", {'liaison_watchdog_age_seconds{job="notify", instance="a"}': "30+60x3 30x50"}),
    Fires(
        "SlaBudgetBurning",
        _sla("1d", "0x4 3x20 0x30", "10x60"),
        8,
        12,
        30,
        "1d 内 SLA 违约过多 / too many SLA breaches within 1d",
        {"window": "1d"},
    ),
    Fires(
        "SlaBudgetBurning",
        _sla("7d", "0x4 6x20 0x30", "50x60"),
        8,
        12,
        30,
        "7d 内 SLA 违约过多 / too many SLA breaches within 7d",
        {"window": "7d"},
    ),
    # One ticket of one, two of two: too few to say anything. And many, but within the budget.
    Quiet("SlaBudgetBurning", _sla("1d", "2x60", "2x60") | _sla("7d", "4x60", "4x60")),
    Quiet("SlaBudgetBurning", _sla("1d", "4x60", "20x60") | _sla("7d", "10x60", "100x60")),
    Quiet("SlaBudgetBurning", _sla("1h", "9x60", "9x60")),
)

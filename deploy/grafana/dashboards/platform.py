"""平台: whether events, timers, messages and the servers beneath them are well.

The names are those of `eventkit/telemetry.py`, `eventkit/page.py` and RabbitMQ's own page. Source: issue 4.
"""

from __future__ import annotations

from deploy.grafana.dashboards.panels import (
    NONE_WANTED,
    ON_OFF,
    Board,
    Card,
    Query,
    Section,
    bars,
    label_variable,
    lines,
    number,
)

_OF = 'job=~"$job",instance=~"$instance"'
_CHOSEN = "只看上方选择的服务（Job）与进程（Instance）。"
_ALL = "整个平台，与上方的选择无关。"


def _rate(metric: str) -> str:
    return f"sum by (job) (rate(liaison_{metric}_total{{{_OF}}}[$__rate_interval]))"


def _largest(metric: str) -> str:
    return f"max by (job) (liaison_{metric}{{{_OF}}})"


def _quantile(share: str, metric: str) -> str:
    buckets = f"rate(liaison_{metric}_bucket{{{_OF}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, job) ({buckets}))"


def _ready(check: str) -> str:
    return f'min by (job) (liaison_ready{{{_OF},check="{check}"}})'


_HEALTH = Section(
    "健康",
    [
        number("RabbitMQ", f"1 为在线，0 为不在线。{_ALL}", "none", 'max(up{job="rabbitmq"})', steps=ON_OFF),
        number(
            "数据库",
            f"所有服务都能连上自己的数据库时为 1，否则为 0。{_CHOSEN}",
            "none",
            f'min(liaison_ready{{{_OF},check="database"}})',
            steps=ON_OFF,
        ),
        number(
            "检索服务器",
            f"1 为在线，0 为不在线：此时不能检索，也没有推荐。{_ALL}",
            "none",
            "max(liaison_knowledge_search_up)",
            steps=ON_OFF,
        ),
        number(
            "检索索引",
            f"最早一条等待写入检索索引的文章已等待的时间；检索服务器不在时会一直增长。{_ALL}",
            "s",
            "max(liaison_knowledge_index_oldest_age_seconds)",
            steps=((None, "green"), (300.0, "red")),
        ),
        number(
            "告警",
            f"正在触发的告警数，不含一直触发的 Watchdog。{_ALL}",
            "none",
            'count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)',
            steps=NONE_WANTED,
        ),
        number(
            "巡检回路",
            f"通知服务上次收到 Watchdog 至今的时间；超过 5 分钟说明告警送不到人。{_ALL}",
            "s",
            "max(liaison_watchdog_age_seconds)",
            steps=((None, "green"), (300.0, "red")),
        ),
        number(
            "死信事件",
            f"等待人工处理的事件数，见 liaison dead list。{_CHOSEN}",
            "none",
            f"sum(max by (job) (liaison_dead_events{{{_OF}}}))",
            steps=NONE_WANTED,
        ),
        bars(
            "服务在线",
            f"1 为在线，0 为不在线。{_CHOSEN}",
            "none",
            f"max by (job) (up{{{_OF}}})",
            "{{job}}",
            steps=ON_OFF,
        ),
        bars(
            "就绪检查",
            f"各项就绪检查：1 为通过，0 为未通过（与 /ready 相同）。{_CHOSEN}",
            "none",
            f"min by (job, check) (liaison_ready{{{_OF}}})",
            "{{job}} {{check}}",
            steps=ON_OFF,
        ),
        bars(
            "正在触发的告警",
            f"按名称与严重程度。{_ALL}",
            "none",
            'count by (alertname, severity) (ALERTS{alertstate="firing"})',
            "{{alertname}} {{severity}}",
        ),
    ],
)

_EVENTS = Section(
    "事件",
    [
        lines(
            "事件延迟 p99",
            f"从事件到达至在本服务提交的秒数。{_CHOSEN}",
            "s",
            Query(_quantile("0.99", "event_lag_seconds"), "{{job}}"),
        ),
        lines("处理", f"每秒首次处理的事件数。{_CHOSEN}", "ops", Query(_rate("events_handled"), "{{job}}")),
        lines("重复", f"每秒因重复而丢弃的事件数。{_CHOSEN}", "ops", Query(_rate("events_repeated"), "{{job}}")),
        lines(
            "等待中的事件",
            f"等待依赖恢复或等待前面事件的数目。{_CHOSEN}",
            "none",
            Query(_largest("held_events"), "{{job}}"),
        ),
        lines(
            "最早的等待",
            f"等待最久的事件已等待的时间。{_CHOSEN}",
            "s",
            Query(_largest("held_oldest_age_seconds"), "{{job}}"),
        ),
        lines("死信事件走势", f"等待人工处理的事件数。{_CHOSEN}", "none", Query(_largest("dead_events"), "{{job}}")),
        lines(
            "转入等待与死信",
            f"每秒转入等待（held）与死信（dead）的事件数。{_CHOSEN}",
            "ops",
            Query(_rate("events_held"), "{{job}} held"),
            Query(_rate("events_dead"), "{{job}} dead"),
        ),
        lines(
            "发件箱时长",
            f"最早一条未被消息服务器确认的事件已等待的时间。{_CHOSEN}",
            "s",
            Query(_largest("outbox_age_seconds"), "{{job}}"),
        ),
        lines(
            "发件箱数目", f"未被消息服务器确认的事件数。{_CHOSEN}", "none", Query(_largest("outbox_depth"), "{{job}}")
        ),
    ],
)

_WORK = Section(
    "定时与调用",
    [
        lines(
            "定时延迟 p99",
            f"从应触发至实际触发的秒数。{_CHOSEN}",
            "s",
            Query(_quantile("0.99", "timer_lateness_seconds"), "{{job}}"),
        ),
        lines(
            "到期未触发",
            f"最早一个到期而未触发的定时已等待的时间。{_CHOSEN}",
            "s",
            Query(_largest("timer_overdue_age_seconds"), "{{job}}"),
        ),
        lines(
            "对外调用 p99",
            f"一次对外调用（如发邮件）的秒数。{_CHOSEN}",
            "s",
            Query(_quantile("0.99", "job_duration_seconds"), "{{job}}"),
        ),
        lines(
            "问答 p99",
            f"从请求到达至回答的秒数。{_CHOSEN}",
            "s",
            Query(_quantile("0.99", "rpc_duration_seconds"), "{{job}}"),
        ),
        lines(
            "统计页耗时 p99",
            f"读出数字并生成 /facts 页的秒数。{_CHOSEN}",
            "s",
            Query(_quantile("0.99", "facts_scrape_duration_seconds"), "{{job}}"),
        ),
        lines(
            "待发通知",
            f"还没有结果的通知数，按状态。{_ALL}",
            "none",
            Query("sum by (state) (liaison_notify_pending)", "{{state}}"),
        ),
    ],
)

_BROKER = Section(
    "消息服务器",
    [
        Card(
            "lines",
            "队列深度",
            f"各队列中等待投递的消息数。{_ALL}",
            "none",
            [Query("sum by (queue) (rabbitmq_detailed_queue_messages_ready)", "{{queue}}")],
            width=12,
        ),
        Card(
            "lines",
            "未确认的消息",
            f"已投递但未确认的消息数。{_ALL}",
            "none",
            [Query("sum by (queue) (rabbitmq_detailed_queue_messages_unacked)", "{{queue}}")],
            width=12,
        ),
        Card(
            "bars",
            "消息服务器告警",
            f"内存、磁盘、文件句柄不足时为 1，此时发布被阻塞。{_ALL}",
            "none",
            [
                Query('max(rabbitmq_alarms_memory_used_watermark{job="rabbitmq"})', "内存"),
                Query('max(rabbitmq_alarms_free_disk_space_watermark{job="rabbitmq"})', "磁盘"),
                Query('max(rabbitmq_alarms_file_descriptor_limit{job="rabbitmq"})', "文件句柄"),
            ],
            steps=NONE_WANTED,
        ),
        lines(
            "连接", f"消息服务器上的连接数。{_ALL}", "none", Query('max(rabbitmq_connections{job="rabbitmq"})', "连接")
        ),
        lines(
            "消息服务器内存",
            f"常驻内存。{_ALL}",
            "bytes",
            Query('max(rabbitmq_process_resident_memory_bytes{job="rabbitmq"})', "内存"),
        ),
    ],
)

BOARD = Board(
    uid="liaison-platform",
    title="Liaison 平台",
    description="事件、定时、通知与底层服务器是否健康；出了什么事、怎么办，见 deploy/RUNBOOK.md。",
    tags=["liaison", "platform"],
    since="now-6h",
    variables=[
        label_variable("job", "label_values(liaison_ready, job)"),
        label_variable("instance", 'label_values(liaison_ready{job=~"$job"}, instance)'),
    ],
    sections=[_HEALTH, _EVENTS, _WORK, _BROKER],
)

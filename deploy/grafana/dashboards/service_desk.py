"""服务台: what came in, how quickly people were helped, and what they thought of it.

A number about a span of time is an exact count over the facts in the window that ends with the chosen range
(`$window`); only the shapes of lines are estimated by Prometheus. Source: issue 4; notes/notify-metrics.md 3.4.
"""

from __future__ import annotations

from deploy.grafana.dashboards.panels import (
    NONE_WANTED,
    Board,
    Card,
    Query,
    Section,
    bars,
    lines,
    number,
    window_variable,
)

_W = 'window="$window"'
_EXACT = "截至所选时间范围末尾、向前 $window 之内的精确数目（按事件发生时刻统计，不含导入的历史）。"
_NOW = "所选时间范围末尾时刻的现状，包括导入的历史。"
_SHAPE = "只看走势：由 Prometheus 估算，不是精确数目；精确数目见上方数字。"


def _sum(metric: str, *by: str) -> str:
    grouped = f"sum by ({', '.join(by)}) " if by else "sum"
    return f"{grouped}(liaison_{metric}_recent{{{_W}}})"


def _grown(metric: str, *by: str) -> str:
    grouped = f"sum by ({', '.join(by)}) " if by else "sum"
    return f"{grouped}(increase(liaison_{metric}_total[$__rate_interval]))"


def _met_share(*by: str) -> str:
    # Without an ended clock there is no share: the comparison leaves nothing, and the panel shows its dash.
    return f"1 - {_sum('sla_breaches', *by)} / ({_sum('sla_targets', *by)} > 0)"


def _durations(metric: str) -> list[Query]:
    named = {"50": "p50", "90": "p90"}
    return [
        Query(f'max(liaison_ticket_{metric}_recent_seconds{{{_W},priority="all",percentile="{value}"}})', legend)
        for value, legend in named.items()
    ]


_TICKETS = Section(
    "工单",
    [
        number("新开工单", f"新开的工单数。{_EXACT}", "none", _sum("tickets_opened")),
        number(
            "解决", f"给出解决方案的次数；同一工单重开后再解决会再计一次。{_EXACT}", "none", _sum("tickets_resolved")
        ),
        number("重新打开", f"解决方案没有奏效的次数。{_EXACT}", "none", _sum("tickets_reopened"), steps=NONE_WANTED),
        number("未完成工单", f"既未解决也未关闭的工单数。{_NOW}", "none", "sum(liaison_tickets_open)"),
        number(
            "无人负责", f"没有负责人的未完成工单数。{_NOW}", "none", "max(liaison_tickets_unowned)", steps=NONE_WANTED
        ),
        number(
            "SLA 达成率", f"已结束的时限中按时完成的比例；没有已结束的时限时为 —。{_EXACT}", "percentunit", _met_share()
        ),
        bars("未完成工单（按状态）", _NOW, "none", "sum by (state) (liaison_tickets_open)", "{{state}}"),
        bars(
            "未完成工单（按时长）",
            f"从开单到现在的时间。{_NOW}",
            "none",
            "sum by (age) (liaison_tickets_open_by_age)",
            "{{age}}",
        ),
        bars(
            "最早的未完成工单",
            f"每个优先级中最早一张未完成工单的时长；没有时为 0。{_NOW}",
            "s",
            "max by (priority) (liaison_ticket_oldest_open_age_seconds)",
            "P{{priority}}",
        ),
        bars("新开工单（按渠道）", _EXACT, "none", _sum("tickets_opened", "channel"), "{{channel}}"),
        lines(
            "工单走势",
            _SHAPE,
            "none",
            Query(_grown("tickets_opened"), "新开"),
            Query(_grown("tickets_resolved"), "解决"),
            Query(_grown("tickets_reopened"), "重新打开"),
        ),
        lines("未完成工单走势", _NOW, "none", Query("sum by (state) (liaison_tickets_open)", "{{state}}")),
    ],
)

_SPEED = Section(
    "响应与服务级别",
    [
        Card(
            "number",
            "首次响应时长",
            f"从开单到首次答复的自然时间：中位数与第 90 百分位；没有时为 0。{_EXACT}",
            "s",
            _durations("first_response"),
            height=6,
        ),
        Card(
            "number",
            "解决时长",
            f"从开单到给出解决方案的自然时间：中位数与第 90 百分位；没有时为 0。{_EXACT}",
            "s",
            _durations("resolution"),
            height=6,
        ),
        Card(
            "bars",
            "解决时长 p90（按优先级）",
            f"没有时为 0。{_EXACT}",
            "s",
            [
                Query(
                    f"max by (priority) (liaison_ticket_resolution_recent_seconds"
                    f'{{{_W},priority!="all",percentile="90"}})',
                    "P{{priority}}",
                )
            ],
            height=6,
        ),
        bars(
            "SLA 达成率（按优先级）",
            f"没有已结束的时限时不显示。{_EXACT}",
            "percentunit",
            _met_share("priority"),
            "P{{priority}}",
        ),
        bars(
            "SLA 违约（按优先级）",
            f"到期时刻落在窗口内的违约数。{_EXACT}",
            "none",
            _sum("sla_breaches", "priority"),
            "P{{priority}}",
            steps=NONE_WANTED,
        ),
        bars(
            "SLA 违约（按目标）",
            f"first_response 为首次响应，solution 为解决。{_EXACT}",
            "none",
            _sum("sla_breaches", "target"),
            "{{target}}",
            steps=NONE_WANTED,
        ),
        lines(
            "SLA 走势",
            _SHAPE,
            "none",
            Query(_grown("sla_targets"), "结束的时限"),
            Query(_grown("sla_breaches"), "违约"),
        ),
        lines(
            "首次响应分布",
            "每段时间内首次响应的自然时间（由直方图估算，只看走势）。",
            "s",
            Query(
                "histogram_quantile(0.9, sum by (le) (rate("
                "liaison_ticket_first_response_duration_seconds_bucket[$__rate_interval])))",
                "p90",
            ),
        ),
    ],
)

_TRAINING = Section(
    "培训",
    [
        number("首次完成课程", f"每人每门课第一次通过的人次。{_EXACT}", "none", _sum("course_completions")),
        number("报名", f"报名人次。{_EXACT}", "none", _sum("enrolments_confirmed")),
        number("补训", f"因未通过而安排的补训次数。{_EXACT}", "none", _sum("retrainings_assigned")),
        number(
            "总完成率",
            f"已报名的人次中通过的比例；没有报名时为 —。{_NOW}",
            "percentunit",
            "sum(liaison_course_enrolments_completed) / (sum(liaison_course_enrolments) > 0)",
        ),
        bars(
            "完成课程（按部门）",
            f"人数最多的 50 个部门，其余计入 other。{_EXACT}",
            "none",
            _sum("course_completions", "department"),
            "{{department}}",
        ),
        bars(
            "完成率（按部门）",
            f"人数最多的 50 个部门，其余计入 other。{_NOW}",
            "percentunit",
            "sum by (department) (liaison_course_enrolments_completed)"
            " / (sum by (department) (liaison_course_enrolments) > 0)",
            "{{department}}",
        ),
        lines(
            "培训走势",
            _SHAPE,
            "none",
            Query('sum(increase(liaison_course_completions_total{first="true"}[$__rate_interval]))', "首次完成"),
            Query(_grown("enrolments_confirmed"), "报名"),
            Query(_grown("retrainings_assigned"), "补训"),
        ),
    ],
)

_FEEDBACK = Section(
    "反馈与知识",
    [
        number("收到反馈", f"收到的反馈数。{_EXACT}", "none", _sum("feedback_received")),
        number("未了结反馈", f"状态还不是“已解决”的反馈数。{_NOW}", "none", "sum(liaison_feedback_open)"),
        number("缺少答案", f"发现知识库缺少答案的次数。{_EXACT}", "none", _sum("searches_missed"), steps=NONE_WANTED),
        number(
            "推荐命中率",
            f"推荐中至少给出一篇文章的比例；没有推荐时为 —。{_EXACT}",
            "percentunit",
            f'sum(liaison_answers_suggested_recent{{{_W},found="true"}}) / ({_sum("answers_suggested")} > 0)',
        ),
        bars(
            "反馈（按类别）",
            f"窗口内收到的反馈，按现在的类别。{_EXACT}",
            "none",
            _sum("feedback_received", "feedback_class"),
            "{{feedback_class}}",
        ),
        bars(
            "反馈（按状态）",
            f"窗口内收到的反馈，按现在的状态。{_EXACT}",
            "none",
            _sum("feedback_received", "status"),
            "{{status}}",
        ),
        bars("评分", f"1 最差，5 最好。{_EXACT}", "none", _sum("feedback_scores", "score"), "{{score}} 分"),
        bars(
            "缺少答案（按来源）",
            f"search 搜索无结果，breach 违约，feedback 反馈。{_EXACT}",
            "none",
            _sum("searches_missed", "missed_by"),
            "{{missed_by}}",
        ),
        lines(
            "文章走势",
            _SHAPE,
            "none",
            Query(_grown("articles_drafted"), "起草"),
            Query(_grown("articles_published"), "发布"),
            Query(_grown("articles_retired"), "下架"),
        ),
    ],
)

_DELIVERIES = Section(
    "通知",
    [
        bars(
            "通知（按结果）",
            f"accepted 对方已接收，failed 失败，unknown 不确定。{_EXACT}",
            "none",
            _sum("notify_deliveries", "outcome"),
            "{{outcome}}",
        ),
        bars(
            "通知（按渠道）", _EXACT, "none", _sum("notify_deliveries", "medium", "outcome"), "{{medium}} {{outcome}}"
        ),
        lines("通知走势", _SHAPE, "none", Query(_grown("notify_deliveries", "outcome"), "{{outcome}}")),
    ],
)

BOARD = Board(
    uid="liaison-service-desk",
    title="Liaison 服务台",
    description="工单、服务级别、培训、反馈、知识与通知。数目精确到条；走势只供参考。",
    tags=["liaison", "business"],
    since="now-1d",
    variables=[window_variable()],
    sections=[_TICKETS, _SPEED, _TRAINING, _FEEDBACK, _DELIVERIES],
)

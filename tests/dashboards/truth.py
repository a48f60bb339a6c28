"""What the panels of the service desk must show: SQL over the journal, by the title of the panel.

Each query gives the values of the panel's labels and, last, the number; :begin and :now bound the window.
"""

from __future__ import annotations

from collections.abc import Mapping

_HEAD = """
with said as (
  select type, source, subject, sequence, history, time, convert_from(body, 'UTF8')::jsonb as d from journal
), live as (
  select * from said where not history
), ticket as (
  select distinct on (subject) d from said where d ? 'opened_at' order by subject, sequence desc
), enrolment as (
  select distinct on (subject) subject, coalesce(d->>'department', 'other') as department from said
  where source = '/liaison/training' order by subject, sequence desc
), passed as (
  select subject, cast(d->>'completed_at' as timestamptz) as at, history from said
  where type = 'liaison.course.completed.v1' and coalesce((d->>'first')::boolean, true)
), feedback as (
  select distinct on (subject) subject, d, cast(d->>'received_at' as timestamptz) as at from said
  where type like 'liaison.feedback.%' and source = '/liaison/tickets' order by subject, sequence desc
), fresh as (
  select d from feedback where at > :begin and at <= :now
  and not exists (select from said where said.subject = feedback.subject and said.history)
), clock as (
  select d, type, cast(coalesce(d->>'stopped_at', d->>'due_at') as timestamptz) as at from live
  where type in ('liaison.sla.met.v1', 'liaison.sla.breached.v1')
), ended as (
  select d, type = 'liaison.sla.breached.v1' as breached from clock where at > :begin and at <= :now
)
"""
_OPEN = "d->>'state' not in ('resolved', 'closed')"


def _live(fact: str, moment: str, *labels: str) -> str:
    at = "time" if moment == "time" else f"cast(d->>'{moment}' as timestamptz)"
    return _counted(f"from live where type = 'liaison.{fact}.v1' and {at} > :begin and {at} <= :now", *labels)


def _counted(source: str, *labels: str) -> str:
    named = "".join(f"{label}, " for label in labels)
    grouped = " group by " + ", ".join(str(number + 1) for number in range(len(labels))) if labels else ""
    return f"select {named}count(*) {source}{grouped}"


def _ranks(fact: str, moment: str, by: str = "", share: float = 0.5) -> str:
    at = f"cast(d->>'{moment}' as timestamptz)"
    took = f"greatest(extract(epoch from {at} - cast(d->>'opened_at' as timestamptz)), 0)"
    return (
        f"select {by + ', ' if by else ''}percentile_disc({share}) within group (order by {took}) from live"
        f" where type = 'liaison.{fact}.v1' and {at} > :begin and {at} <= :now {'group by 1' if by else ''}"
    )


_SHARE = "select {}1 - (count(*) filter (where breached))::float / nullif(count(*), 0) from ended {}"
_AGE = (
    "case when now_s <= 4 * 3600 then '0-4h' when now_s <= 24 * 3600 then '4-24h' when now_s <= 72 * 3600 then '1-3d'"
    " when now_s <= 168 * 3600 then '3-7d' when now_s <= 720 * 3600 then '7-30d' else 'over_30d' end"
)
_SECONDS_OPEN = "extract(epoch from cast(:now as timestamptz) - cast(d->>'opened_at' as timestamptz))"
_CLASS = "coalesce(d->>'feedback_class', 'unclassified')"
_FOUND = "coalesce(jsonb_array_length(d->'suggestions'), 0) > 0"
_SETTLED = "from live where source = '/liaison/notify' and time > :begin and time <= :now"
_OUTCOME = (
    "case when d->>'outcome' in ('failed', 'unknown') then d->>'outcome' when d ? 'outcome' then 'other'"
    " else 'accepted' end"
)
_DONE = "from passed join enrolment using (subject) where not history and at > :begin and at <= :now"

#: By panel and number of the query: the labels that its series have, and the SQL.
TRUTHS: Mapping[tuple[str, int], tuple[tuple[str, ...], str]] = {
    ("新开工单", 0): ((), _live("ticket.opened", "opened_at")),
    ("解决", 0): ((), _live("ticket.resolved", "resolved_at")),
    ("重新打开", 0): ((), _live("ticket.reopened", "reopened_at")),
    ("未完成工单", 0): ((), _counted(f"from ticket where {_OPEN}")),
    ("无人负责", 0): ((), _counted(f"from ticket where {_OPEN} and d->>'assignee' is null")),
    ("SLA 达成率", 0): ((), _SHARE.format("", "")),
    ("未完成工单（按状态）", 0): (("state",), _counted(f"from ticket where {_OPEN}", "d->>'state'")),
    ("未完成工单（按时长）", 0): (
        ("age",),
        _counted(f"from (select {_SECONDS_OPEN} as now_s from ticket where {_OPEN}) as open", _AGE),
    ),
    ("最早的未完成工单", 0): (
        ("priority",),
        f"select d->>'priority', max({_SECONDS_OPEN}) from ticket where {_OPEN} group by 1",
    ),
    ("新开工单（按渠道）", 0): (("channel",), _live("ticket.opened", "opened_at", "d->>'channel'")),
    ("首次响应时长", 0): ((), _ranks("ticket.responded", "responded_at", share=0.5)),
    ("首次响应时长", 1): ((), _ranks("ticket.responded", "responded_at", share=0.9)),
    ("解决时长", 0): ((), _ranks("ticket.resolved", "resolved_at", share=0.5)),
    ("解决时长", 1): ((), _ranks("ticket.resolved", "resolved_at", share=0.9)),
    ("解决时长 p90（按优先级）", 0): (
        ("priority",),
        _ranks("ticket.resolved", "resolved_at", "d->>'priority'", 0.9),
    ),
    ("SLA 达成率（按优先级）", 0): (("priority",), _SHARE.format("d->>'priority', ", "group by 1")),
    ("SLA 违约（按优先级）", 0): (("priority",), _counted("from ended where breached", "d->>'priority'")),
    ("SLA 违约（按目标）", 0): (("target",), _counted("from ended where breached", "d->>'target'")),
    ("首次完成课程", 0): ((), _counted(_DONE)),
    ("报名", 0): ((), _live("enrolment.confirmed", "enrolled_at")),
    ("补训", 0): ((), _live("retraining.assigned", "time")),
    ("总完成率", 0): (
        (),
        "select (select count(distinct subject) from passed)::float / count(*) from enrolment",
    ),
    ("完成课程（按部门）", 0): (("department",), _counted(_DONE, "department")),
    ("完成率（按部门）", 0): (
        ("department",),
        "select department, count(p.subject)::float / count(*) from enrolment"
        " left join (select distinct subject from passed) as p using (subject) group by 1",
    ),
    ("收到反馈", 0): ((), _counted("from fresh")),
    ("未了结反馈", 0): ((), _counted("from feedback where d->>'status' <> 'resolved'")),
    ("缺少答案", 0): ((), _live("search.missed", "time")),
    ("推荐命中率", 0): (
        (),
        f"select (count(*) filter (where {_FOUND}))::float / nullif(count(*), 0) from live"
        " where type = 'liaison.answer.suggested.v1' and time > :begin and time <= :now",
    ),
    ("反馈（按类别）", 0): (("feedback_class",), _counted("from fresh", _CLASS)),
    ("反馈（按状态）", 0): (("status",), _counted("from fresh", "d->>'status'")),
    ("评分", 0): (("score",), _counted("from fresh where d ? 'score'", "d->>'score'")),
    ("缺少答案（按来源）", 0): (("missed_by",), _live("search.missed", "time", "d->>'missed_by'")),
    ("通知（按结果）", 0): (("outcome",), _counted(_SETTLED, _OUTCOME)),
    ("通知（按渠道）", 0): (("medium", "outcome"), _counted(_SETTLED, "d->>'medium'", _OUTCOME)),
}


#: Panels that draw present numbers as lines: which panel shows the same as it is now.
DRAWN: Mapping[str, tuple[str, int]] = {"未完成工单走势": ("未完成工单（按状态）", 0)}


def sql(panel: str, index: int) -> str:
    """Return the whole query of a panel's truth."""
    return _HEAD + TRUTHS[panel, index][1]

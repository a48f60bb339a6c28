"""Row 6, in earnest: SLA clocks, each of a ticket, and told as `sla.breached` when its target is missed."""

from __future__ import annotations

from bench import timers
from bench.figures import Figure
from bench.lab import Lab
from bench.plan import Plan
from bench.tickets import POLICY
from contracts.tickets import SlaBreached
from eventkit import topology
from liaison import services

ROW = "clocks"
#: Open tickets with a solution clock each, that has warned already and is missed when it falls due.
_ARM = """
with due as (
  select 'T2020-' || %(name)s || n as number, to_timestamp(%(begin)s + n * %(step)s) as due_at, n
  from generate_series(0, %(count)s - 1) n
), opened as (
  insert into ticket (number, title, description, state, state_since, priority, channel, requester, requester_known,
    assignee, group_name, region, opened_at, changed_at, solution, due_solution_at, due_next_at, reopen_count,
    next_response_cycle, occurrences, history, support_level, support_cycle, waits, fields, secrecy, watchers)
  select number, '第 ' || n || ' 号：VPN 断开', '', 'in_progress', now() - interval '4 hours', mod(n, 4) + 1, 'web',
    'E' || mod(n, 500), true, 'E' || mod(n, 30), '华东支持组', '华东', now() - interval '4 hours',
    now() - interval '4 hours', '', due_at, due_at, 0, 0, 1, false, 2, 0, false, '{}', 'internal', '{}'
  from due
), running as (
  insert into clock (id, number, target, cycle, started_at, target_s, calendar, level, due_at, spent_s, pauses, told)
  select number || '/solution/1', number, 'solution', 1, now() - interval '4 hours', 14400, '7x8', 'all', due_at, 0,
    '[]', '[0.75]'
  from due
)
insert into eventkit.timer (kind, key, subject, due_at, payload)
select 'sla_breach', number || '/solution/1', number, due_at,
  jsonb_build_object('number', number, 'target', 'solution', 'cycle', 1)
from due
"""


def _prepare(lab: Lab) -> str:
    lab.tap(SlaBreached.TYPE)
    lab.service_queues("tickets", topology.handled_types(services.definition("tickets")))
    return lab.database("tickets", folder=services.folder("tickets"))


CLOCKS = timers.Due(
    row=ROW,
    told_as="clocks",
    service=services.HOSTED["tickets"],
    prepare=_prepare,
    arm=_ARM,
    # A clock is missed once in its row; whoever was told of it twice would have two events.
    late=(
        "select o.aggregateid as key,"
        " cast(extract(epoch from pg_xact_commit_timestamp(c.xmin) - c.due_at) * 1000 as float8) as late_ms"
        " from eventkit.outbox o join clock c on c.number = o.aggregateid"
        f" where o.type = '{SlaBreached.TYPE}'"
    ),
    count="select count(*) from clock where missed_due_at is not null",
    environment={"LIAISON_TICKETS_POLICY": str(POLICY)},
)


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Measure the clocks of a desk."""
    return timers.measured(CLOCKS, lab, plan)

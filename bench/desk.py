"""The desk over a million tickets: lists by view, statistics of a month, and tickets opened by calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg2

from bench.figures import Figure, console, quantile, spread
from bench.lab import Lab, environment_of
from bench.plan import Plan
from bench.tickets import POLICY
from eventkit import broker, topology
from eventkit.errors import DeadlinePassed, Unavailable
from eventkit.rpc import RpcClient
from liaison import services

ROW = "desk"
_TICKETS = 1_000_000
_CALLERS = 8
_ALL = {"kind": "all"}
_GROUP = {"kind": "group", "person": "E7", "groups": ["华东支持组"]}
_DAY = timedelta(days=1)
#: Two of a hundred tickets are open; a tenth of the finished ones were late. One a minute, the newest now.
_FILL = """
insert into ticket (number, title, description, state, state_since, priority, channel, requester, requester_known,
  assignee, group_name, region, category, problem_code, opened_at, changed_at, resolved_at, solution, due_solution_at,
  due_next_at, reopen_count, next_response_cycle, occurrences, history, support_level, support_cycle, waits, fields,
  secrecy, watchers)
select 'T2020-' || lpad(n::text, 7, '0'), '第 ' || n || ' 号：VPN 断开', '',
  case when n % 50 = 0 then 'new' else 'closed' end, at, n % 4 + 1, 'web', 'E' || n % 5000, true,
  case when n % 500 = 0 then null else 'E' || n % 30 end,
  (array['华东支持组', '华南支持组', '服务台'])[n % 3 + 1], '华东', (array['网络', '打印', '账号'])[n % 3 + 1],
  'P-' || n % 40, at, at, case when n % 50 = 0 then null else at + interval '2 hours' end, '', at + interval '4 hours',
  case when n % 50 = 0 then at + interval '4 hours' end, 0, 0, 1, false, 2, 0, n % 500 = 0, '{}', 'internal', '{}'
from (select n, now() - make_interval(mins => :count - n) as at from generate_series(1, :count) n) numbered;
insert into clock (id, number, target, cycle, started_at, target_s, calendar, level, due_at, spent_s, pauses, told,
  stopped_at, missed_due_at)
select number || '/solution/1', number, 'solution', 1, opened_at, 14400, '7x24', 'all', due_solution_at, 0, '[]', '[]',
  resolved_at, case when right(number, 1) = '7' then due_solution_at end from ticket;
insert into ticket_change (number, at, field, after, reason)
select number, opened_at, 'state', 'new', '' from ticket
union all select number, opened_at, 'assignee', assignee, '' from ticket
union all select number, resolved_at, 'state', 'closed', '' from ticket where resolved_at is not null;
analyze
"""


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Fill a desk, then ask it as its pages do, one question after the other; and open tickets from several callers."""
    count = 20_000 if plan.quick else _TICKETS
    uri = lab.database("tickets", folder=services.folder("tickets"))
    _fill(uri, count)
    lab.clear_broker()
    lab.tap("#")
    lab.service_queues("tickets", topology.handled_types(services.definition("tickets")))
    for exchange in (broker.RPC, broker.REPLIES):
        lab.admin.declare(topology.Exchange(exchange, "direct"))
    lab.admin.declare(topology.Binding(broker.RPC, broker.rpc_queue("tickets"), True, "tickets"))
    environment = {**environment_of(lab, uri), "LIAISON_TICKETS_POLICY": str(POLICY)}
    with lab.process("tickets", "bench.ours", services.HOSTED["tickets"], **environment) as process:
        client = RpcClient(lab.uri, "gateway")
        try:
            lab.until(lambda: _answers(client), within_s=60, what="the service answers", process=process)
            figures = _asked(client, plan, count)
            figures.append(_opened(client, 200 if plan.quick else 2_000))
        finally:
            client.close()
    return figures


def _fill(uri: str, count: int) -> None:
    began = time.monotonic()
    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(_FILL.replace(":count", str(count)))
    console.print(f"  {count:,} tickets written in {time.monotonic() - began:.0f} s")


def _answers(client: RpcClient) -> bool:
    try:
        client.call("tickets", "list_tickets", {"scope": _ALL, "limit": 1}, deadline_s=1)
    except (Unavailable, DeadlinePassed):
        return False
    return True


def _asked(client: RpcClient, plan: Plan, count: int) -> list[Figure]:
    now = datetime.now(UTC)
    month = {"begin_at": (now - 30 * _DAY).isoformat(), "end_at": now.isoformat()}
    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "本组 by remaining time": ("list_tickets", {"scope": _GROUP, "view": "group", "sort": "due"}),
        "即将超时": ("list_tickets", {"scope": _ALL, "view": "due_soon", "sort": "due"}),
        "待分派": ("list_tickets", {"scope": _ALL, "view": "unassigned", "sort": "due"}),
        "the newest of a requester": ("list_tickets", {"scope": {"kind": "own", "person": "E4711"}}),
        "words, the newest": ("list_tickets", {"scope": _ALL, "filters": {"q": "77 号"}}),
        "words of one ticket": ("list_tickets", {"scope": _ALL, "filters": {"q": f"第 {count // 2} 号"}}),
        "statistics of a month": ("ticket_statistics", {"scope": _ALL, **month}),
    }
    figures = []
    for what, (method, arguments) in questions.items():
        ask = partial(client.call, "tickets", method, arguments, deadline_s=60)
        taken = [_ms(ask) for _ in range(20)]
        plan.details.setdefault(ROW, {})[what] = taken
        console.print(f"  {what}: {spread(taken)}")
        figures.append(Figure(ROW, f"{what} of {count:,} tickets, p99", quantile(taken, 0.99), "ms"))
    return figures


def _ms(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def _opened(client: RpcClient, count: int) -> Figure:
    """Open tickets from several callers at once, each waiting for its answer."""

    def open_one(number: int) -> None:
        wish = {"scope": _ALL, "title": f"第 {number} 号：打不开", "priority": number % 4 + 1, "region": "华东"}
        client.call("tickets", "open_ticket", wish, key=f"bench-{number}", deadline_s=60)

    with ThreadPoolExecutor(_CALLERS) as callers:
        began = time.perf_counter()
        list(callers.map(open_one, range(count)))
        per_second = count / (time.perf_counter() - began)
    return Figure(ROW, f"tickets opened by calls, {_CALLERS} callers", per_second, "/s")

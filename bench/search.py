"""Row 9: how long a search takes among 100,000 articles at 50 questions a second: at the index, and at the door."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
from sqlalchemy import text

from bench import articles, whole
from bench.figures import Figure, console, percentiles, quantile, spread
from bench.lab import Ended, Lab
from bench.load import paced
from bench.plan import WARM_S, Plan
from eventkit.database import open_engine
from liaison.tokens import new_token
from services.gateway.rules import Role
from services.knowledge import asking, querying
from services.knowledge.rebuild import rebuild
from services.knowledge.search import SearchIndex
from services.knowledge.settings import SEARCH_PREFIX

ROW = "search"
PARTS = whole.PARTS
_ARTICLES, _QUICK_ARTICLES = 100_000, 2_000
_PER_SECOND = 50
_BAR_MS, _GOAL_MS = 50, 20
_ASKERS = 16
_MOST_EMPTY = 0.02
_PATIENCE_S = 30.0
# The search server's Java needs many questions until it is compiled.
_WARM_UP_S, _QUICK_WARM_UP_S = 20.0, 1.0
Ask = Callable[[str], int]


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Fill the index, then hold the questions at the index alone and through the gateway."""
    count = _QUICK_ARTICLES if plan.quick else _ARTICLES
    index = _index(lab)
    lines = []
    with whole.all_services(lab) as running, client_of(lab, "bench-reader", Role.LEAD) as client:
        # What a row before has left to do would be measured with the search.
        whole.settle(lab)
        rebuilt_s = fill(lab, count)
        plan.details[ROW] = {"articles": count, "rebuilt s": rebuilt_s}
        console.print(f"  {count:,} articles: index rebuilt in {rebuilt_s:.1f} s")
        places: tuple[tuple[str, Ask], ...] = (
            ("at the index alone", partial(_at_index, index)),
            ("through the gateway", partial(_at_door, client)),
        )
        _held(places[-1][1], count, _QUICK_WARM_UP_S if plan.quick else _WARM_UP_S)
        for place, ask in places:
            with whole.cores_used(lab, running) as cores:
                taken = _held(ask, count, plan.hold_s)
            plan.details[ROW][place] = {"cores used": cores} | percentiles(taken)
            console.print(f"  {place}: {spread(taken)}")
            console.print("  cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in cores.items()))
            lines += _lines(place, count, taken)
    index.close()
    return [*lines, Figure(ROW, f"index of {count:,} articles rebuilt", rebuilt_s, "s")]


def client_of(lab: Lab, name: str, role: Role) -> httpx.Client:
    """Return a client of the gateway with a token of its own."""
    engine = open_engine(lab.installation.database_uri("gateway"), name="bench tokens")
    with engine.begin() as connection:
        connection.execute(text("update token set revoked_at = now() where name = :name"), {"name": name})
        token = new_token(connection, name, str(role), person="E2000", groups=("华东支持组",), department="财务部")
    engine.dispose()
    return httpx.Client(
        base_url=lab.installation.gateway_url,
        headers={"authorization": f"Bearer {token}"},
        timeout=_PATIENCE_S,
        trust_env=False,
    )


def fill(lab: Lab, count: int) -> float:
    """Publish so many articles and build the index anew, as an operator would; return the seconds that this took."""
    uri = lab.installation.database_uri("knowledge")
    articles.publish(uri, count)
    engine = open_engine(uri, name="bench rebuild")
    index = _index(lab)
    begun = time.monotonic()
    rebuild(engine, index)
    taken = time.monotonic() - begun
    index.close()
    engine.dispose()
    return taken


def _index(lab: Lab) -> SearchIndex:
    return SearchIndex(lab.installation.search_url("knowledge"), SEARCH_PREFIX, timeout_s=_PATIENCE_S)


def _at_index(index: SearchIndex, asked: str) -> int:
    wanted = asking.question_of({"q": asked})
    question = querying.question(querying.asked(wanted.text, wanted.families), wanted.filters, limit=wanted.limit)
    return len(index.ask(question, timeout_s=_PATIENCE_S))


def _at_door(client: httpx.Client, asked: str) -> int:
    answer = client.get("/v1/search", params={"q": asked})
    answer.raise_for_status()
    return len(answer.json()["items"])


def _held(ask: Ask, count: int, hold_s: float) -> list[float]:
    """Ask at a steady pace; return the milliseconds that each answer took since its question was due, but the first."""

    def timed(number: int, due: float) -> tuple[float, int]:
        found = ask(articles.question(number, count))
        return (time.perf_counter() - due) * 1000, found

    numbers = paced(int((hold_s + WARM_S) * _PER_SECOND), _PER_SECOND)
    with ThreadPoolExecutor(_ASKERS) as askers:
        asked = [askers.submit(timed, number, time.perf_counter()) for number in numbers]
        answers: list[tuple[float, int]] = [one.result() for one in asked]
    empty = sum(not found for _, found in answers)
    # Words that were joined anew may be cut anew; nearly all questions must find something all the same.
    if empty > _MOST_EMPTY * len(answers):
        raise Ended(f"{empty} of {len(answers)} questions found nothing")
    return [taken for taken, _ in answers[int(WARM_S * _PER_SECOND) :]]


def _lines(place: str, count: int, taken: list[float]) -> list[Figure]:
    what = f"search of {count:,} articles at {_PER_SECOND}/s {place}"
    p50, p99 = quantile(taken, 0.5), quantile(taken, 0.99)
    bar, goal = f"≤ {_BAR_MS} ms", f"≤ {_GOAL_MS} ms"
    return [
        Figure(ROW, f"{what}, p50", p50, "ms"),
        Figure(ROW, f"{what}, p99", p99, "ms", bar=bar, goal=goal, kept=p99 <= _BAR_MS),
    ]

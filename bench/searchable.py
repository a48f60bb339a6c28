"""Row 8: from publishing to being found, while 100 requests for tickets a second come in and every service is up.

Two ways into the search: an article that its reviewer publishes, and a material of a course that somebody completes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from bench import whole
from bench.door import at_the_door, attributes_of, by_amqp
from bench.figures import Figure, console, percentiles, quantile, spread
from bench.lab import Ended, Lab
from bench.load import Publisher, paced
from bench.mail import IN_TIME_MS, warm_up
from bench.plan import WARM_S, Plan, Steady
from bench.search import client_of
from contracts.gateway import CourseCompletionReported
from eventkit import broker
from eventkit.envelope import encode_data
from liaison.publishers import PublisherAccount
from services.gateway.rules import Role

ROW = "searchable"
PARTS = whole.PARTS
_EACH_PER_SECOND = 1
_CATEGORY = "操作指南"
# Each look is a search: more of them would be the load that is measured.
_LOOK_S = 0.25
# Longer than any bar: a figure that misses it is one, too.
_PATIENCE_S = 300.0
_LOOKERS = 16
_BUSY = 503


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Publish one of each a second and look until it is found. Milliseconds until the answer that holds it."""
    count = int(plan.hold_s * _EACH_PER_SECOND)
    with whole.all_services(lab) as running, client_of(lab, "bench-editor", Role.ADMIN) as client:
        warm_up(lab, running, plan, ROW)
        account = whole.publisher(lab)
        articles = [_submitted(client, number) for number in range(count)]
        courses = [_planned(client, number) for number in range(count)]
        with whole.cores_used(lab, running) as cores, _requests(account, plan.steady()):
            time.sleep(WARM_S)
            taken = _found(client, account, articles, courses)
    return _lines(plan, taken, cores)


def _lines(plan: Plan, taken: dict[str, list[float]], cores: dict[str, float]) -> list[Figure]:
    plan.details[ROW] = {"cores used": cores} | {what: percentiles(found) for what, found in taken.items()}
    console.print("  cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in cores.items()))
    lines = []
    for what, found in taken.items():
        console.print(f"  {what}: {spread(found)}")
        p50, p99 = quantile(found, 0.5), quantile(found, 0.99)
        told = f"{what} at {plan.per_second:g} requests/s"
        lines.append(Figure(ROW, f"{told}, p50", p50, "ms"))
        lines.append(Figure(ROW, f"{told}, p99", p99, "ms", bar="≤ 5 s", kept=p99 <= IN_TIME_MS))
    return lines


@contextmanager
def _requests(account: PublisherAccount, steady: Steady) -> Iterator[None]:
    """Have requests come in, from a thread, during the block and for as long as was planned."""
    failed: list[BaseException] = []

    def publish() -> None:
        try:
            for _ in by_amqp(account, steady, ROW):
                pass
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=publish, name="requests")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise Ended(f"the requests ended: {failed[0]}") from failed[0]


def _found(
    client: httpx.Client, account: PublisherAccount, articles: Sequence[str], courses: Sequence[str]
) -> dict[str, list[float]]:
    """Publish in turn and return how long each took to be found, in milliseconds."""
    publisher = Publisher(account.amqp_uri)
    waiting: dict[str, list[Future[float]]] = {
        "article published → searchable": [],
        "course completed at the AMQP door → material searchable": [],
    }
    by_article, by_course = waiting.values()
    with ThreadPoolExecutor(_LOOKERS) as lookers:
        try:
            for step in paced(2 * len(articles), 2 * _EACH_PER_SECOND):
                number, is_course = divmod(step, 2)
                if not is_course:
                    by_article.append(lookers.submit(_publish_and_look, client, articles[number], number))
                    continue
                message = at_the_door(*_completion(account, courses[number], number))
                begun = time.perf_counter()
                publisher.publish(message, broker.INTAKE, CourseCompletionReported.TYPE)
                one = f"{courses[number]}/M1"
                by_course.append(lookers.submit(_look, client, one, {"q": f"讲义 kbcourse{number:06d}"}, begun))
        finally:
            # Whoever only waits answers no heartbeat: the broker would end the connection.
            publisher.close()
        return {what: [one.result() for one in found] for what, found in waiting.items()}


def _publish_and_look(client: httpx.Client, article: str, number: int) -> float:
    begun = time.perf_counter()
    _said(client.post(f"/v1/articles/{article}/publish", json={}))
    return _look(client, article, {"q": f"手册 kbarticle{number:06d}", "category": _CATEGORY}, begun)


def _look(client: httpx.Client, one: str, asked: dict[str, str], begun: float) -> float:
    """Return the milliseconds since `begun` when a search for something names it. Raises Ended when it never does."""
    while time.perf_counter() < begun + _PATIENCE_S:
        answer = client.get("/v1/search", params=asked)
        # The search may say that it is too busy: then it has not found it yet.
        found = [] if answer.status_code == _BUSY else _said(answer)["items"]
        if any(item["id"] == one for item in found):
            return (time.perf_counter() - begun) * 1000
        time.sleep(_LOOK_S)
    raise Ended(f"{one} is not found after {_PATIENCE_S:.0f} s")


def _submitted(client: httpx.Client, number: int) -> str:
    """Write an article, ask for its review, and return its id."""
    wish = {
        "title": f"手册 kbarticle{number:06d}：VPN 断开后怎样重新登录",
        "body": "先退出客户端，确认网络可用，再用工号重新登录；仍然失败时请重置令牌。",
        "category": _CATEGORY,
    }
    article = str(_said(client.post("/v1/articles", json=wish))["id"])
    _said(client.post(f"/v1/articles/{article}/submit"))
    return article


def _planned(client: httpx.Client, number: int) -> str:
    """Write a course with one material and return its code."""
    code = f"KB-{number:06d}"
    material = {"material_id": "M1", "title": f"讲义 kbcourse{number:06d}", "url": f"https://lms.invalid/{code}"}
    _said(client.put(f"/v1/courses/{code}", json={"title": f"第 {number} 课", "materials": [material]}))
    return code


def _completion(account: PublisherAccount, course: str, number: int) -> tuple[dict[str, str], bytes]:
    report = CourseCompletionReported(course=course, learner=f"E{2000 + number % 500}", score=0.9)
    return attributes_of(account, report.TYPE, f"{ROW}-{course}"), encode_data(report)


def _said(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise Ended(f"{answer.request.method} {answer.request.url} answers {answer.status_code}: {answer.text[:300]}")
    return answer.json()

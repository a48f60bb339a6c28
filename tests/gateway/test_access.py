"""Authorisation: every route, every role, against the table; what declares nothing is shut."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from eventkit.links import TICKET, Links
from services.gateway import rules
from services.gateway.access import ACTION, guarded_router
from services.gateway.rules import Role, Scope
from services.gateway.web import create_app
from tests.gateway.desk_stub import Tickets
from tests.gateway.door import LINK_KEY, Door, attributes, data
from tests.gateway.knowledge_stub import Asked
from tests.gateway.training_stub import Training

BODIES: dict[str, Any] = {
    "/v1/events": {**attributes(), "data": data()},
    "/v1/tickets": {"title": "打印机坏了"},
    "/v1/tickets/{number}/respond": {},
    "/v1/tickets/{number}/resolve": {"solution": "换了硒鼓"},
    "/v1/tickets/{number}/reopen": {"reason": "又坏了"},
    "/v1/tickets/{number}/close": {},
    "/v1/tickets/{number}/comments": {"body": "请重启"},
    "/v1/tickets/{number}": {"priority": 2},
    "/v1/tickets/bulk/change": {"numbers": ["T1"], "change": {"assignee": "E2"}},
    "/v1/tickets/bulk/close": {"numbers": ["T1"]},
    "/v1/tickets/{number}/links": {"kind": "child_of", "target": "T2"},
    "/v1/tickets/{number}/merge": {"into": "T2"},
    "/v1/tickets/{number}/watchers": {},
    "/v1/quick-texts/{name}": {"body": "请重启"},
    "/v1/tickets/{number}/escalate": {"reason": "要厂商"},
    "/v1/tickets/{number}/diagnosis": {"mode": "remote"},
    "/v1/tickets/{number}/vendor": {"vendor_number": "V-1"},
    "/v1/tickets/{number}/attachments": {"a file": "of JSON"},
    "/v1/register": {"kind": "problem", "title": "打印慢", "owner": "E1", "impact": 3},
    "/v1/register/{entry}": {"status": "closed"},
    "/v1/duty/roster": {"sheet": "组,级别,工号,开始,结束"},
    "/v1/duty/swaps": {
        "group": "网络组",
        "level": 2,
        "giver": "E1",
        "taker": "E2",
        "begin_at": "2026-03-02T01:00:00Z",
        "end_at": "2026-03-02T09:00:00Z",
    },
    "/v1/courses/{code:path}": {"title": "总账月结"},
    "/v1/courses/{code:path}/enrolments": {},
    "/v1/training/contacts/{department:path}": {"employee_number": "E1033"},
    "/v1/articles": {"title": "VPN 配置", "body": "安装客户端。"},
    "/v1/articles/{article_id}": {"version": 1},
    "/v1/articles/{article_id}/publish": {},
    "/v1/articles/{article_id}/retire": {},
    "/v1/articles/{article_id}/rate": {"score": 4},
    "/v1/feedback": {"text": "打印太慢"},
    "/v1/feedback/status": {"code": "0000-0000-0000-0000-0000-0000"},
    "/v1/feedback/information": {"code": "0000-0000-0000-0000-0000-0000", "text": "三楼那台"},
    "/v1/feedback/{feedback_id}/classify": {"class": "improvable"},
    "/v1/feedback/{feedback_id}/answer": {"status": "resolved", "answer": "已换新机"},
    "/v1/feedback/{feedback_id}/assign": {"owner": "E1002"},
    "/v1/feedback/{feedback_id}/information": {"text": "三楼那台"},
}


def routes(app: FastAPI) -> list[tuple[str, str, str | None]]:
    """Return (method, path, declared action) of every route of an app."""
    found = []
    for route in iter_route_contexts(app.routes):
        action = (getattr(route, "openapi_extra", None) or {}).get(ACTION)
        found += [(method, route.path or "", action) for method in sorted(route.methods or {"?"})]
    return found


def undeclared(app: FastAPI) -> list[str]:
    """Return the routes that declare no action of the table."""
    known = {*rules.TABLE, rules.PUBLIC}
    return [f"{method} {path}" for method, path, action in routes(app) if action not in known]


ROUTES = routes(create_app(None))  # type: ignore[arg-type]  # No request is served by this one.


def send(door: Door, method: str, path: str, token: str | None) -> int:
    """Send a plausible request to a route and return the status."""
    headers = {"content_type": "application/cloudevents+json"} if path == "/v1/events" else {}
    place = (
        path.replace("/attachments", "/attachments?filename=a.json" if method == "POST" else "/attachments")
        .replace("{number}", "T2026-000001")
        .replace("{attachment_id}", "f1")
        .replace("/v1/duty", "/v1/duty?group=网络组" if path == "/v1/duty" else "/v1/duty")
        .replace("{feedback_id}", "F2026-000001")
        .replace("{article_id}", "A-000001")
        .replace("{token}", Links([LINK_KEY], TICKET, valid_days=1).token({"n": "T2026-000001", "c": 1, "p": "E7"}))
        .replace("{name}", "restart")
        .replace("{entry}", "R2026-0001")
        .replace("/statistics/tickets", "/statistics/tickets?begin_at=2026-01-01T00:00:00Z&end_at=2026-02-01T00:00:00Z")
        .replace("{event_id:path}", "never")
        .replace("{code:path}", "FIN-01")
        .replace("{department:path}", "集团/财务部")
        .replace("{employee_number}", "E1001")
    )
    return door.ask(method, place, token, None if method == "GET" else BODIES.get(path), **headers).status_code


def test_every_route_declares_its_action() -> None:
    assert undeclared(create_app(None)) == []  # type: ignore[arg-type]  # No request is served by this one.
    assert {action for _, _, action in ROUTES} == {*rules.TABLE, rules.PUBLIC}


def test_a_route_that_declares_nothing_is_noticed() -> None:
    app = create_app(None)  # type: ignore[arg-type]  # No request is served by this one.
    app.add_api_route("/planted", lambda: None)
    assert undeclared(app) == ["GET /planted"]


def test_a_route_that_declares_nothing_is_shut(door: Door) -> None:
    router = guarded_router()
    router.add_api_route("/planted", lambda: "open")
    app = door.gateway._server.config.app
    assert isinstance(app, FastAPI)
    app.include_router(router)
    try:
        assert door.ask("GET", "/planted", None).status_code == 401
        assert door.ask("GET", "/planted", door.token("admin")).status_code == 403
    finally:
        app.router.routes.pop()


@pytest.fixture
def holders(door: Door) -> dict[str, str | None]:
    made: dict[str, str | None] = {str(role): door.token(str(role)) for role in Role if role is not Role.PUBLISHER}
    return made | {"publisher": door.erp.token}


def test_every_route_lets_in_exactly_whom_the_table_names(
    door: Door, tickets: Tickets, training: Training, knowledge: Asked, holders: dict[str, str | None]
) -> None:
    wrong = []
    for method, path, action in ROUTES:
        for role in Role:
            status = send(door, method, path, holders[role])
            is_shut = action != rules.PUBLIC and rules.scope_of(role, str(action)) is Scope.NONE
            if is_shut != (status == 403) or status in (401, 500, 503):
                wrong.append((method, path, str(role), status))
    assert wrong == []


@pytest.mark.parametrize(("method", "path", "action"), ROUTES)
def test_without_a_good_token_only_public_routes_answer(
    door: Door, request: pytest.FixtureRequest, method: str, path: str, action: str
) -> None:
    if action == rules.PUBLIC:
        # Some of them pass the question on.
        request.getfixturevalue("tickets")
    revoked = door.token("admin", name="gone")
    with door.engine.begin() as connection:
        connection.exec_driver_sql("update token set revoked_at = now() where name = 'gone'")
    for token in (None, "liaison_guessed", revoked):
        status = send(door, method, path, token)
        # A form of the page behind a link is answered by an address to go to.
        # A browser is sent to where it can sign in.
        shut = 303 if path.startswith("/desk/") else 401
        assert status in (200, 303) if action == rules.PUBLIC else status == shut


def test_the_challenge_names_the_scheme(door: Door) -> None:
    answer = door.ask("GET", "/v1/tickets", None)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:liaison:problem:unauthorised"


@pytest.mark.parametrize(
    ("role", "kind"), [("requester", "own"), ("engineer", "group"), ("lead", "group"), ("manager", "department")]
)
def test_the_scope_goes_with_the_call(door: Door, tickets: Tickets, role: str, kind: str) -> None:
    assert door.ask("GET", "/v1/tickets/T2026-000001", door.token(role)).status_code == 200
    [(_, arguments, actor)] = tickets.asked
    assert arguments["scope"] == {"kind": kind, "person": "E1001", "groups": ["网络组"], "department": "信息部"}
    assert actor == "E1001"


@pytest.mark.parametrize("step", ["respond", "resolve", "escalate"])
def test_a_requester_who_is_a_key_user_works_on_their_own_tickets_only(door: Door, tickets: Tickets, step: str) -> None:
    path = f"/v1/tickets/{{number}}/{step}"
    assert send(door, "POST", path, door.token("requester")) == 200
    [(method, arguments, _)] = tickets.asked
    assert (method, arguments["scope"]["kind"]) == (f"{step}_ticket", "own")
    assert send(door, "POST", path, door.token("manager")) == 403


@pytest.mark.parametrize(
    ("role", "lacks"),
    [("requester", {"person": None}), ("engineer", {"groups": []}), ("manager", {"department": None})],
)
def test_a_token_that_lacks_what_its_scope_needs_reaches_nothing(door: Door, role: str, lacks: dict[str, Any]) -> None:
    assert door.ask("GET", "/v1/tickets", door.token(role, **lacks)).status_code == 403

"""The gateway as a process: it starts, tells the truth about itself, outlives outages and stops by finishing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

import httpx
import pytest

from deploy.local.accounts import provision_databases
from deploy.local.servers import running_servers
from eventkit.process import ProcessSettings
from services.gateway.service import Gateway
from services.gateway.settings import Settings
from tests.eventkit.desk import eventually
from tests.gateway.door import FOLDER, LOCKED_OUT, Door, as_json, attributes, data

_PROGRAM = "import sys; from services.gateway import service; sys.exit(service.run())"

# The signal comes while the start is under way, as from a supervisor that changes its mind.
_TOLD_TO_STOP_AT_ITS_START = """
import os, signal, sys
from services.gateway import service
start = service.Gateway.start
def interrupted(gateway):
    os.kill(os.getpid(), signal.SIGTERM)
    start(gateway)
service.Gateway.start = interrupted
sys.exit(service.run())
"""


def start(env: Mapping[str, str], program: str = _PROGRAM) -> subprocess.Popen[str]:
    """Start a gateway of its own in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
        cwd=FOLDER.parents[1],
    )


def told(process: subprocess.Popen[str], message: str) -> dict[str, object]:
    """Return the log line with this message."""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, object] = json.loads(line)
        if found["message"] == message:
            return found
    raise AssertionError(f"it ended without {message!r}")


def test_it_runs_from_the_environment_and_ends_with_0_at_sigterm(door: Door) -> None:
    installation = door.installation
    env = {"AMQP_URI": installation.amqp_uri("gateway"), "DATABASE_URI": installation.database_uri("gateway")}
    process = start(env)
    try:
        url = f"http://127.0.0.1:{told(process, 'doors open')['http_port']}"
        eventually(lambda: httpx.get(f"{url}/live", trust_env=False).status_code == 200)
        headers = {"authorization": f"Bearer {door.erp.token}", "content-type": "application/cloudevents+json"}
        body = as_json({**attributes(), "data": data()})
        assert httpx.post(f"{url}/v1/events", content=body, headers=headers, trust_env=False).status_code == 202
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert time.monotonic() - began < 10
        assert "张" not in rest
        assert door.erp.token not in rest
    finally:
        process.kill()
        process.wait()


def test_told_to_stop_while_it_starts_it_ends_as_orderly_as_later(door: Door) -> None:
    installation = door.installation
    env = {"AMQP_URI": installation.amqp_uri("gateway"), "DATABASE_URI": installation.database_uri("gateway")}
    process = start(env, _TOLD_TO_STOP_AT_ITS_START)
    try:
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    messages = [json.loads(line)["message"] for line in said.splitlines()]
    assert "doors open" in messages
    assert messages[-1] == "stopped"


def test_it_does_not_start_as_it_is_configured_wrong() -> None:
    for env, reason in (
        ({"AMQP_URI": "", "HTTP_PORT": "x", "DATABASE_URI": ""}, "HTTP_PORT"),
        ({"AMQP_URI": "", "DATABASE_URI": "", "LIAISON_MAPPINGS": "/nowhere"}, "/nowhere"),
    ):
        process = start(env)
        assert reason in str(told(process, "cannot start")["problem"])
        process.communicate(timeout=10)
        assert process.returncode == 2


def test_health_and_pages_tell_what_is_there(door: Door) -> None:
    for path in ("/live", "/ready"):
        assert door.http.get(path).json() == {"problems": {}}
    assert "/docs" in door.http.get("/").text
    page = door.http.get("/docs").text
    assert "/v1/tickets/{number}/close" in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_openapi_document_is_whole(door: Door) -> None:
    document = door.http.get("/openapi.json").json()
    text = json.dumps(document)
    for name in ("ProblemDocument", "Ticket", "TicketPage", "TicketWish", "EventReport", "Verdicts"):
        assert name in document["components"]["schemas"]
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"], reference
    for path, operations in document["paths"].items():
        for method, one in operations.items():
            assert one["summary"], (method, path)
            assert "HTTPValidationError" not in json.dumps(one)


def test_a_database_or_broker_that_is_away_is_a_503_and_nothing_is_lost() -> None:
    with running_servers() as servers:
        installation = servers.installation
        provision_databases(installation, ["gateway"])
        door = Door(installation)
        try:
            assert door.post_structured(attributes(id="before"), data()).status_code == 202
            servers.kill9("postgresql")
            answer = door.post_structured(attributes(id="during"), data())
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.headers["content-type"] == "application/problem+json"
            assert "database" in door.http.get("/ready").json()["problems"]
            assert door.http.get("/live").status_code == 200
            headers = {f"ce-{name}": value for name, value in attributes(id="waiting").items()}
            door.publish(door.erp, LOCKED_OUT, headers, as_json(data()), content_type="application/json")
            servers.start("postgresql")
            # The pool's connections are from before; nobody should notice.
            assert door.post_structured(attributes(id="during"), data()).status_code == 202
            door.engine.dispose()
            arrived = "select array_agg(id order by id) from accepted"
            eventually(lambda: door.one(arrived) == ["before", "during", "waiting"], 40)
            # In order: a queue declared a moment before a kill -9 stays unusable on 3.10, and this one is that young.
            servers.stop("rabbitmq")
            assert door.post_structured(attributes(id="after"), data()).status_code == 202
            answer = door.ask("GET", "/v1/tickets", door.token("admin"))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            eventually(lambda: door.http.get("/ready").status_code == 503)
            servers.start("rabbitmq")
            eventually(lambda: door.http.get("/ready").status_code == 200, 40)
            eventually(lambda: door.one("select count(*) from eventkit.outbox where sent_at is null") == 0, 20)
        finally:
            door.close()


def test_a_taken_port_is_told_and_nothing_is_left_running(door: Door) -> None:
    process = ProcessSettings(door.gateway._settings.process.amqp_uri, door.gateway._settings.process.database_uri, 0)
    second = Gateway(Settings(process, "127.0.0.1", door.gateway.port, FOLDER / "mappings"))
    with pytest.raises(OSError, match="in use"):
        second.start()

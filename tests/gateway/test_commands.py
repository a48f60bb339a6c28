"""The commands of operators: publishers, tokens, and checking a file offline."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import amqp
import pytest
from amqp.exceptions import AccessRefused
from click.testing import CliRunner, Result

from contracts.gateway import TicketUpdateRequested
from eventkit import broker, topology
from liaison.events_check import check
from liaison.publishers import KEPT_VERDICTS, publishers
from liaison.tokens import tokens
from tests.eventkit.desk import eventually
from tests.gateway.door import LOCKED_OUT, REQUESTED, Door, as_json, attributes, data
from tests.house.source import ROOT


@pytest.fixture
def run(door: Door, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LIAISON_HOME", str(door.installation.home))

    def invoke(command: Any, *arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def value(output: str, label: str) -> str:
    """Return what `publishers add` prints behind a label."""
    found = re.search(rf"^{label}:\s+(\S+)$", output, re.MULTILINE)
    assert found, output
    return found[1]


def test_a_publisher_is_added_with_all_it_needs(door: Door, run: Any) -> None:
    result = run(publishers, "add", "oa", "--may", "oa.*", "--may", "liaison.person.changed.v1")
    assert result.exit_code == 0, result.output
    assert value(result.output, "reply queue") == "verdicts.oa"
    [curl] = [line for line in result.output.splitlines() if line.startswith("curl")]
    headers = dict(part.split(": ", 1) for part in shlex.split(curl) if ": " in part and not part.startswith("{"))
    assert headers["Authorization"] == f"Bearer {value(result.output, 'token')}"
    assert (headers["ce-source"], headers["ce-type"]) == ("/oa", "oa.example")
    row = door.rows("select * from publisher where name = 'oa'")[0]
    assert (row.source, row.may, row.history) == ("/oa", ["oa.*", "liaison.person.changed.v1"], False)


def test_what_is_printed_to_copy_works_as_it_is(door: Door, run: Any) -> None:
    result = run(publishers, "add", "crm", "--may", "crm.*", "--may", REQUESTED, "--shared")
    lines = [shlex.split(line) for line in result.output.splitlines() if line.startswith(("export", "curl"))]
    [[_, *exported], curl] = lines
    found = dict(one.split("=", 1) for one in exported)
    assert (found["LIAISON_TOKEN"], found["LIAISON_AMQP"]) == (
        value(result.output, "token"),
        value(result.output, "AMQP"),
    )
    # The first try is of a type that the door knows.
    assert f"ce-type: {REQUESTED}" in curl


def test_the_command_in_the_clients_text_works_beside_others_that_ask_for_tickets(door: Door, run: Any) -> None:
    text = (ROOT / "clients" / "python" / "README.md").read_text("utf-8")
    [command] = re.findall(r"`liaison publishers (add [^`]+)`", text)
    result = run(publishers, *shlex.split(command))
    assert result.exit_code == 0, result.output
    assert REQUESTED in door.rows("select may from publisher where name = 'crm'")[0].may


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["erp", "--may", "x.*"], "already"),
        (["erp2", "--may", "erp.user.*"], "overlaps with 'erp.*' of erp"),
        (["erp2", "--may", REQUESTED], "overlaps"),
        (["erp2", "--may", "x.*", "--source", "/erp"], "source of erp"),
        (["tickets", "--may", "x.*"], "Liaison itself"),
        (["x", "--may", "*"], "not a pattern"),
    ],
)
def test_what_would_collide_is_refused_and_leaves_nothing(
    door: Door, run: Any, arguments: list[str], reason: str
) -> None:
    result = run(publishers, "add", *arguments)
    assert result.exit_code == 1
    assert reason in result.output
    assert door.rows("select name from publisher") == [("erp",)]
    assert door.rows("select name from token") == [("erp",)]


def test_rotating_voids_the_old_password_and_token(door: Door, run: Any) -> None:
    old = door.add("oa", "oa.*")
    open_before = broker.connect(old.amqp_uri, name="test oa")
    result = run(publishers, "rotate", "oa")
    assert result.exit_code == 0, result.output
    token = value(result.output, "token")
    path = "/v1/publishers/me/events/x"
    assert door.ask("GET", path, old.token).status_code == 401
    assert door.ask("GET", path, token).status_code == 404
    with pytest.raises(AccessRefused):
        door.publish(old, "oa.x", {}, b"{}")
    with pytest.raises(broker.LOST):
        open_before.channel()
    broker.close_quietly(open_before)
    assert run(publishers, "rotate", "nobody").exit_code == 1


def test_a_removed_publisher_can_do_nothing_any_more_and_what_it_sent_stays(door: Door, run: Any) -> None:
    # Given a publisher with an event accepted, a refusal in its queue, and a connection open
    oa = door.add("oa", TicketUpdateRequested.TYPE, "oa.*")

    def send(event_type: str) -> int:
        given = attributes(source="/oa", type=event_type)
        return door.post_structured(given, {"number": "T1", "comment": "还是不行"}, account=oa).status_code

    assert send(TicketUpdateRequested.TYPE) == 202
    assert send("oa.x") == 422
    open_before = broker.connect(oa.amqp_uri, name="test oa")
    # When it is removed, which asks first
    assert run(publishers, "remove", "oa").exit_code == 1
    assert door.rows("select name from publisher order by name") == [("erp",), ("oa",)]
    result = run(publishers, "remove", "oa", "--yes")
    assert result.exit_code == 0, result.output
    # Then both doors are shut, and neither its row, nor its account, nor its queue is there
    assert send(TicketUpdateRequested.TYPE) == 401
    with pytest.raises(AccessRefused):
        door.publish(oa, "oa.x", {}, b"{}")
    with pytest.raises(broker.LOST):
        open_before.channel()
    broker.close_quietly(open_before)
    assert door.rows("select name from publisher") == [("erp",)]
    assert "oa" not in run(publishers, "list").output.split()
    assert oa.reply_queue not in {queue.name for queue in door.admin.found().queues}
    # But what it sent is kept, and the other publisher goes on
    assert door.rows("select source, publisher from accepted") == [("/oa", "oa")]
    assert door.rows("select publisher, type from refusal") == [("oa", "oa.x")]
    assert door.post_structured(attributes(), data()).status_code == 202
    # And its name, source and types are free
    assert run(publishers, "add", "oa", "--may", "oa.*").exit_code == 0


def test_a_removal_that_was_cut_off_is_finished_by_the_next(door: Door, run: Any) -> None:
    door.add("oa", "oa.*")
    door.admin.revoke("oa")
    assert run(publishers, "remove", "oa", "--yes").exit_code == 0
    nobody = run(publishers, "remove", "oa", "--yes")
    assert (nobody.exit_code, "there is no publisher 'oa'" in nobody.output) == (1, True)


def test_a_reply_queue_that_nobody_reads_keeps_the_newest_verdicts(door: Door) -> None:
    oa = door.add("oa", "oa.*")
    channel = broker.connect(door.installation.amqp_admin_uri, name="test verdicts").channel()
    for number in range(KEPT_VERDICTS + 5):
        channel.basic_publish(amqp.Message(str(number)), exchange=topology.VERDICTS, routing_key="oa")
    eventually(lambda: channel.queue_declare(oa.reply_queue, passive=True).message_count >= KEPT_VERDICTS)
    oldest = channel.basic_get(oa.reply_queue, no_ack=True)
    assert oldest is not None
    eventually(lambda: channel.queue_declare(oa.reply_queue, passive=True).message_count == KEPT_VERDICTS - 1)
    assert oldest.body == "5"
    broker.close_quietly(channel.connection)


def test_publishers_are_listed_without_secrets(door: Door, run: Any) -> None:
    output = run(publishers, "list").output
    assert "erp" in output
    assert door.erp.token not in output


def test_a_token_is_shown_once_and_works_until_it_is_revoked(door: Door, run: Any) -> None:
    arguments = ["add", "王芳", "--role", "engineer", "--person", "E1002", "--group", "网络组", "--group", "桌面组"]
    token = run(tokens, *arguments).output.strip()
    row = door.rows("select * from token where name = '王芳'")[0]
    assert (row.role, row.person, row.groups) == ("engineer", "E1002", ["网络组", "桌面组"])
    assert token not in str(row)
    assert "王芳" in run(tokens, "list").output
    assert door.ask("GET", "/v1/tickets?limit=0", token).status_code == 422
    assert run(tokens, *arguments).exit_code == 1
    assert run(tokens, "revoke", "王芳").exit_code == 0
    assert door.ask("GET", "/v1/tickets?limit=0", token).status_code == 401
    assert run(tokens, "revoke", "王芳").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--role", "requester"], "--person"),
        (["--role", "engineer", "--person", "E1"], "--group"),
        (["--role", "manager"], "--department"),
        (["--role", "publisher"], "publisher"),
    ],
)
def test_a_token_needs_what_its_role_reaches_by(run: Any, arguments: list[str], reason: str) -> None:
    result = run(tokens, "add", "x", *arguments)
    assert result.exit_code == 2
    assert reason in result.output


GOOD = {**attributes(id="good"), "data": data()}
BAD = {**attributes(id="bad"), "data": data(login=None)}


@pytest.mark.parametrize(
    ("content", "lines", "code"),
    [
        pytest.param(as_json(GOOD), ["1: good: ok"], 0, id="one event"),
        pytest.param(json.dumps(GOOD, indent=2).encode(), ["1: good: ok"], 0, id="one event over several lines"),
        pytest.param(as_json([GOOD, BAD]), ["1: good: ok", "2: bad: data.title: "], 1, id="a list"),
        pytest.param(as_json(BAD) + b"\n\n" + as_json(GOOD), ["1: bad: ", "3: good: ok"], 1, id="JSON lines"),
        pytest.param(b'{"id"\n', ["1: ?: event: not a JSON object"], 1, id="no JSON"),
    ],
)
def test_a_file_of_events_is_checked_offline(
    run: Any, tmp_path: Path, content: bytes, lines: list[str], code: int
) -> None:
    file = tmp_path / "events.json"
    file.write_bytes(content)
    result = run(check, str(file))
    assert result.exit_code == code, result.output
    for expected, line in zip(lines, result.output.splitlines(), strict=True):
        assert line.startswith(f"{file}:{expected}"), line


def test_checking_gives_the_doors_own_verdict(door: Door, run: Any, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    for event in (BAD, {**attributes(time="now"), "data": data()}, {**attributes(), "data": data(employee=7)}):
        file.write_bytes(as_json(event))
        [refusal] = door.post(event, {"content-type": "application/cloudevents+json"}).json()["errors"]
        assert f"{refusal['field']}: {refusal['reason']}" in run(check, str(file)).output


def test_checking_for_a_publisher_knows_its_patterns(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(as_json(GOOD))
    assert run(check, str(file), "--publisher", "erp", "--may", LOCKED_OUT).exit_code == 0
    result = run(check, str(file), "--publisher", "erp", "--may", "erp.printer.*")
    assert (result.exit_code, "type: erp may send" in result.output) == (1, True)
    (tmp_path / "wrong.yaml").write_text("types: {}\n")
    assert "wrong.yaml:1" in run(check, str(file), "--mappings", str(tmp_path)).output

"""`liaison-publish`: what it prints, what it returns, and where it finds the password."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from liaison_client.command import main
from liaison_client.settings import Settings
from liaison_client.spool import Refusal, Spool

from tests.eventkit.desk import eventually
from tests.gateway.door import LOCKED_OUT, Door, data

EVENT = {"specversion": "1.0", "type": LOCKED_OUT, "data": data()}
OTHER = {**EVENT, "id": "two"}


@pytest.fixture
def away(offline: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return in_environment(offline, monkeypatch)


def in_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LIAISON_AMQP", settings.amqp_uri)
    monkeypatch.setenv("LIAISON_SPOOL", str(settings.spool))
    return settings


def test_events_of_a_file_arrive(
    door: Door, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    in_environment(settings, monkeypatch)
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps({**EVENT, 'id': f'n{number}'})}\n" for number in range(1200)), "utf-8")
    assert main(["publish", str(file)]) == 0
    told = capsys.readouterr().out
    assert "1200 events are safe" in told
    assert "the broker has them all" in told
    eventually(lambda: door.one("select count(*) from accepted") == 1200)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param(json.dumps(EVENT), 1, id="an object"),
        pytest.param(json.dumps(EVENT, indent=2), 1, id="an object over several lines"),
        pytest.param(json.dumps([EVENT, OTHER]), 2, id="a list"),
        pytest.param(json.dumps([EVENT, OTHER], indent=1), 2, id="a list over several lines"),
        pytest.param(f"{json.dumps(EVENT)}\n\n{json.dumps(OTHER)}\n", 2, id="lines"),
        pytest.param("", 0, id="nothing"),
    ],
)
def test_every_form_is_read_and_kept_while_the_broker_is_away(
    away: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any, text: str, count: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["publish", "-", "--wait", "0.3"]) == (3 if count else 0)
    assert f"{count} events are safe" in capsys.readouterr().out
    assert Spool.of(away).status().events == count


def test_a_wrong_line_names_itself_and_what_was_taken(
    away: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{json.dumps(EVENT)}\n{{]\n"))
    assert main(["publish", "-"]) == 1
    assert "event 2: not JSON" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{json.dumps(EVENT)}\n" * 500 + '{"data": 1}\n'))
    assert main(["publish", "-"]) == 1
    assert "event 501: type: is required; 500 events before it were taken" in capsys.readouterr().err


def test_the_status_tells_people_and_programs(away: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert main(["status"]) == 0
    assert "0 events" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(EVENT)))
    main(["publish", "-", "--wait", "0.5"])
    capsys.readouterr()
    assert main(["status"]) == 3
    told = capsys.readouterr().out
    assert "waiting   1 events" in told
    assert "cannot be reached" in told
    assert main(["status", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["events"] == 1
    assert "secret" not in told


def test_what_was_left_is_drained(door: Door, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    in_environment(settings, monkeypatch)
    monkeypatch.setenv("LIAISON_AMQP", "amqp://erp:x@127.0.0.1:1/liaison")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(EVENT)))
    assert main(["publish", "-", "--wait", "0"]) == 3
    in_environment(settings, monkeypatch)
    assert main(["drain"]) == 0
    assert "has them all" in capsys.readouterr().out
    eventually(lambda: door.one("select count(*) from accepted") == 1)


def test_refusals_and_what_was_set_aside_are_listed(away: Settings, capsys: Any) -> None:
    spool = Spool.of(away)
    spool.add_refusal("m", Refusal("e1", LOCKED_OUT, "data.title", "missing", 1.0))
    assert main(["refusals"]) == 0
    assert json.loads(capsys.readouterr().out)["field"] == "data.title"
    assert main(["publish", __file__]) == 1
    capsys.readouterr()
    assert main(["aside", "--discard", "nobody"]) == 1
    assert main(["aside", "--retry"]) == 0
    assert "0 events wait again" in capsys.readouterr().out
    assert main(["aside"]) == 0


def test_it_says_what_is_not_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.delenv("LIAISON_AMQP", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["status"]) == 1
    assert "LIAISON_AMQP is not set" in capsys.readouterr().err

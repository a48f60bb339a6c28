"""The README's three first events and its commands for ops, run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from liaison.publishers import PublisherAccount, add_publisher
from liaison.sample_events import PUBLISHERS
from tests.eventkit.desk import eventually
from tests.flows.enterprise import Enterprise
from tests.system import System

README = Path(__file__).resolve().parents[2] / "README.md"
_AMQP_CLIENT = "com.rabbitmq:amqp-client:5.25.0"
_SLF4J = "org.slf4j:slf4j-api:1.7.36"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def crm(system: System) -> PublisherAccount:
    """The publisher of the text, made beside the sample day's own by the command that stands there."""
    add_publisher(system.installation, "oa", PUBLISHERS["oa"])
    [command] = [line for line in README.read_text("utf-8").splitlines() if " publishers add crm " in line]
    words = shlex.split(command)
    may = [word for flag, word in pairwise(words) if flag == "--may"]
    return add_publisher(system.installation, "crm", may, shared="--shared" in words)


@pytest.fixture
def environment(system: System, crm: PublisherAccount) -> Mapping[str, str]:
    return os.environ | {
        "LIAISON_TOKEN": crm.token,
        "LIAISON_AMQP": crm.amqp_uri,
        "LIAISON_URL": system.installation.gateway_url,
    }


def for_ops() -> list[str]:
    """Return the commands of ours that stand in the text for ops."""
    section = README.read_text("utf-8").partition("## For ops")[2].partition("\n## ")[0]
    return re.findall(r"`(\.venv/bin/[^`]+)`", section)


def run(command: list[str], environment: Mapping[str, str], **options: object) -> str:
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=90, check=False, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def has_ticket(system: System, title: str) -> bool:
    return bool(system.one("tickets", "select count(*) from ticket where title = :title", title=title))


def test_the_curl_example_makes_a_ticket_and_reads_its_verdict(system: System, environment: Mapping[str, str]) -> None:
    [script] = [block for block in blocks("sh") if "curl -sS -X POST" in block]
    said = run(["bash", "-euc", script], environment)
    assert "accepted" in said
    eventually(lambda: has_ticket(system, "客户资料打不开"))


def test_the_python_example_makes_a_ticket_and_reads_its_verdict(
    system: System, environment: Mapping[str, str]
) -> None:
    [script] = blocks("python")
    assert "accepted" in run([sys.executable, "-c", script], environment)
    eventually(lambda: has_ticket(system, "报表导出失败"))


def test_the_java_example_reads_its_refusal_with_field_and_reason(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    [source] = blocks("java")
    (tmp_path / "FirstEvent.java").write_text(source, "utf-8")
    jars = tmp_path / "jars"
    for artifact in (_AMQP_CLIENT, _SLF4J):
        run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={jars}"], environment)
    classpath = f"{jars}/*:{tmp_path}"
    run(
        ["javac", "-encoding", "UTF-8", "-cp", classpath, "-d", str(tmp_path), str(tmp_path / "FirstEvent.java")],
        environment,
    )
    said = run(["java", "-Dfile.encoding=UTF-8", "-cp", classpath, "FirstEvent"], environment)
    assert "title" in said
    assert "crm-3" in said


def test_the_commands_for_ops_run_and_write_the_boards_that_are_there(
    system: System, environment: Mapping[str, str]
) -> None:
    boards = sorted((README.parent / "deploy/grafana/boards").glob("*.json"))
    before = [board.read_bytes() for board in boards]
    commands = for_ops()
    assert len(commands) == 2
    for command in commands:
        program, *arguments = command.replace("NAME", "ops").split()
        known = {**environment, "LIAISON_HOME": str(system.installation.home)}
        run([str(Path(sys.executable).with_name(Path(program).name)), *arguments], known, cwd=README.parent)
    assert [board.read_bytes() for board in boards] == before
    assert system.one("gateway", "select role from token where name = 'ops'") == "trainer"


def test_an_article_is_found_once_a_lead_has_published_it(system: System) -> None:
    enterprise = Enterprise(system)
    wish = {"title": "工卡补办", "body": "到一楼服务台登记，次日领取。"}
    article = enterprise.ask("POST", "/v1/articles", wish, role="trainer")["id"]
    enterprise.ask("POST", f"/v1/articles/{article}/submit", role="trainer")
    with pytest.raises(AssertionError, match="403"):
        enterprise.ask("POST", f"/v1/articles/{article}/publish", {}, role="trainer")
    enterprise.ask("POST", f"/v1/articles/{article}/publish", {}, role="lead")
    assert enterprise.ask("GET", f"/v1/articles/{article}", role="requester")["state"] == "published"

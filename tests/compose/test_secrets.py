"""The secrets of deploy/compose: each service's settings come out of the very files, through the image's entrypoint."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.compose.__main__ import main
from liaison import services
from liaison.installation import Installation
from tests.compose.test_compose import DOCUMENT, FOLDER, PARTS
from tests.house.source import ROOT

ENTRYPOINT = FOLDER / "entrypoint.sh"
SMTP = "smtp+starttls://desk:p%40ss@mail.example.invalid"
_START = {
    "gateway": "from services.gateway.settings import Settings; Settings.from_env(os.environ)",
    "tickets": "from services.tickets.settings import Settings; Settings.from_env(os.environ)",
    "training": "from services.training.settings import Settings; Settings.from_env(os.environ)",
    "knowledge": "from services.knowledge.settings import Settings; Settings.from_env(os.environ)",
    "notify": "from services.notify.settings import Settings; Settings.from_env(os.environ)",
    "metrics": "from services.metrics.settings import Settings; Settings.from_env(os.environ)",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets") / "secrets"
    write(folder, "--smtp-uri", SMTP)
    return folder


def write(folder: Path, *options: str) -> str:
    told = CliRunner().invoke(main, ["secrets", "--folder", str(folder), *options], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.output


def test_every_secret_is_written_where_only_the_owner_enters(written: Path) -> None:
    assert stat.S_IMODE(written.stat().st_mode) == 0o700
    wanted = {Path(one["file"]).name for one in DOCUMENT["secrets"].values()}
    assert {path.name for path in written.iterdir()} == wanted
    for path in written.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444, path
        assert path.read_text("utf-8").strip()


def test_writing_again_renews_nothing_and_fills_gaps(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    write(folder)
    assert not (folder / "notify_smtp_uri").exists()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "tickets_amqp_uri").unlink()
    told = write(folder, "--smtp-uri", SMTP)
    assert "missing" not in told
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.pop("notify_smtp_uri").decode() == SMTP
    # Hashes of passwords have fresh salt.
    assert {name for name in before if before[name] != after[name]} <= {"elasticsearch_users"}


@pytest.mark.parametrize("name", services.ALL)
def test_a_service_finds_its_settings_through_the_entrypoint(written: Path, name: str) -> None:
    given = {key: str(value) for key, value in PARTS[name]["environment"].items()}
    for key, value in given.items():
        given[key] = value.replace("/run/secrets", str(written))
        if value.startswith("${"):
            given[key] = _examples()[value[2:].partition(":")[0]]
    code = (
        f"import os; {_START[name]}; from eventkit.process import ProcessSettings;"
        "print(ProcessSettings.from_env(os.environ)); print(sorted(key for key in os.environ if key.endswith('_FILE')))"
    )
    told = subprocess.run(
        [ENTRYPOINT, sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert f"amqp://{name}:" in told.stdout
    assert "@rabbitmq:5672/liaison" in told.stdout
    assert f"@postgresql:5432/{name}" in told.stdout
    assert "page_port=8481" in told.stdout
    assert told.stdout.endswith("[]\n")


def _examples() -> dict[str, str]:
    lines = (FOLDER / "example.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_a_secret_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    told = subprocess.run(
        [ENTRYPOINT, "true"],
        env={"PATH": os.environ["PATH"], "AMQP_URI_FILE": str(tmp_path / "no")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "AMQP_URI_FILE" in told.stderr


def test_the_operator_finds_the_parts_where_the_containers_are(written: Path) -> None:
    kept = json.loads((written / "installation.json").read_text("utf-8"))
    assert kept["hosts"]["postgresql"] == "postgresql"
    assert kept["ports"]["rabbitmq_management"] == 15672
    installation = Installation.load(written)
    assert installation.management_url == "http://rabbitmq:15672"
    assert "@postgresql:5432/" in installation.postgres_admin_uri
    assert installation.ready_url("tickets") == "http://tickets:8481/ready"
    assert installation.passwords["postgresql:postgres"] == (written / "postgresql_password").read_text("utf-8")
    assert PARTS["migrate"]["environment"]["LIAISON_HOME"] == "/run/liaison"
    administrator = (written / "rabbitmq_administrator.conf").read_text("utf-8")
    assert installation.management_auth[1] in administrator
    [search] = written.glob("*_elasticsearch_url")
    assert search.read_text("utf-8").startswith("http://knowledge:")
    assert search.read_text("utf-8").endswith("@elasticsearch:9200")

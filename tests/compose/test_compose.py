"""deploy/compose is whole: what it names exists, what it sets is read, what it promises is written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.__main__ import PLACES
from deploy.local import elasticsearch, prometheus
from deploy.local.program import GIVE_WAY
from liaison import services
from liaison.installation import Installation
from tests.house.source import ROOT

FOLDER = ROOT / "deploy" / "compose"
DOCUMENT: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
PARTS: dict[str, dict[str, Any]] = DOCUMENT["services"]
OURS = set(services.ALL)
ONE_SHOTS = {"migrate", "topology", "operator"}
#: Elasticsearch writes its keystore beside its configuration.
WRITES_ITS_ROOT = {"elasticsearch"}


def names_read_by(*folders: str) -> set[str]:
    """Return what looks like the name of a setting in the sources of some folders."""
    texts = [path.read_text("utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {name for text in texts for name in re.findall(r'"([A-Z][A-Z]*(?:_[A-Z]+)+)"', text)}


def test_every_part_is_there_and_only_they() -> None:
    servers = {"rabbitmq", "postgresql", "elasticsearch", "prometheus", "alertmanager", "grafana"}
    assert set(PARTS) == OURS | ONE_SHOTS | servers


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_part_is_bound_as_tightly_as_it_can_be(name: str) -> None:
    part = PARTS[name]
    uid = int(part["user"].partition(":")[0])
    assert uid > 0
    assert part["read_only"] is (name not in WRITES_ITS_ROOT)
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert part["mem_limit"]
    assert part["cpus"]
    assert part["pids_limit"]
    assert part["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped")
    assert ("healthcheck" in part) is (name not in ONE_SHOTS)
    image, _, tag = part["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-management)?|\$\{LIAISON_VERSION:-\d+\.\d+\.\d+\}", tag), part["image"]
    assert "." not in image.partition("/")[0], "images come without a host"


def test_what_gives_way_on_one_machine_gives_way_here_too() -> None:
    assert {name for name, part in PARTS.items() if "cpu_shares" in part} == GIVE_WAY - {"smtp"} | {"grafana"}


def test_nothing_named_is_missing() -> None:
    for name, part in PARTS.items():
        assert set(part["networks"]) <= set(DOCUMENT["networks"]), name
        wanted = {one if isinstance(one, str) else one["source"] for one in part.get("secrets", ())}
        assert wanted <= set(DOCUMENT["secrets"]), name
        assert set(part.get("depends_on", ())) <= set(PARTS), name
        for volume in part.get("volumes", ()):
            source = volume.split(":")[0]
            assert (FOLDER / source).exists() if source.startswith(".") else source in DOCUMENT["volumes"], volume
        if "build" in part:
            assert (FOLDER / part["build"]["context"] / part["build"]["dockerfile"]).is_file()
            assert part["build"]["args"]["SERVICE"] == ("operator" if name in ONE_SHOTS else name)
    used = {
        one if isinstance(one, str) else one["source"] for part in PARTS.values() for one in part.get("secrets", ())
    }
    assert used == set(DOCUMENT["secrets"])


def test_only_the_doors_and_the_dashboards_are_reachable() -> None:
    reachable = {name: part["ports"] for name, part in PARTS.items() if "ports" in part}
    assert set(reachable) == {"gateway", "rabbitmq", "grafana"}
    assert all(port.startswith("${LIAISON_BIND:-127.0.0.1}:") for ports in reachable.values() for port in ports)
    outwards = {name for name, part in PARTS.items() if "outside" in part["networks"]}
    assert outwards == {"notify", "alertmanager"}
    assert {name for name, network in DOCUMENT["networks"].items() if not network.get("internal")} == {
        "door",
        "outside",
    }


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_setting_of_a_service_is_one_that_it_reads(name: str) -> None:
    given = {one.removesuffix("_FILE") for one in PARTS[name]["environment"]}
    read = names_read_by(f"services/{name}", "eventkit")
    assert given <= read, given - read


def test_the_other_parts_find_what_they_read() -> None:
    assert PARTS["elasticsearch"]["image"] == f"elasticsearch:{elasticsearch.VERSION}"
    datasource = (ROOT / "deploy/grafana/provisioning/datasources/liaison.yaml").read_text("utf-8")
    for name in re.findall(r"\$\{(\w+)\}", datasource):
        assert name in PARTS["grafana"]["environment"]
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/liaison.yaml").read_text("utf-8"))
    boards = provider["providers"][0]["options"]["path"]
    assert f"../grafana/boards:{boards}:ro" in PARTS["grafana"]["volumes"]
    alerting = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text("utf-8"))
    webhook = alerting["receivers"][0]["webhook_configs"][0]
    assert webhook["url"].startswith("http://gateway:8480/")
    [token] = PARTS["alertmanager"]["secrets"]
    assert webhook["http_config"]["authorization"]["credentials_file"] == token["target"]
    for part, (host, _) in PLACES.items():
        assert host in PARTS, part


def test_the_prometheus_of_the_containers_reads_what_the_local_one_reads(tmp_path: Path) -> None:
    installation = Installation.open_or_make(tmp_path, free_ports=True)
    local = yaml.safe_load(prometheus.configuration(installation, prometheus.targets(installation)))
    ours = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    assert {one["job_name"]: _job(one) for one in ours["scrape_configs"]} == {
        one["job_name"]: _job(one) for one in local["scrape_configs"]
    }
    assert ours["global"] == local["global"]
    for job in ours["scrape_configs"]:
        for target in (one for group in job["static_configs"] for one in group["targets"]):
            host, _, port = target.partition(":")
            assert (host, int(port)) in PLACES.values() or host in ("prometheus", "alertmanager"), target
            assert "watch" in PARTS[host]["networks"], target
            assert PARTS[host].get("environment", {}).get("PAGE_PORT", port) == port


def _job(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if name != "static_configs"}


def test_promtool_takes_the_configuration(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus.yml").read_text("utf-8")
    rules = (ROOT / "deploy" / "prometheus").as_posix()
    moved = tmp_path / "prometheus.yml"
    moved.write_text(text.replace("/etc/prometheus/rules", rules), "utf-8")
    told = subprocess.run(["promtool", "check", "config", str(moved)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_dockerfile_takes_the_service_and_ends_without_rights() -> None:
    text = (FOLDER / "Dockerfile").read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    bases = [words[1] for words in lines if words[0] == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])
    assert ["ARG", "SERVICE"] in lines
    assert [words for words in lines if words[0] == "USER"][-1] == ["USER", "10001:10001"]
    assert all(PARTS[name]["user"] == "10001:10001" for name in OURS)
    copied = [words[1] for words in lines if words[0] == "COPY" and not words[1].startswith("--")]
    assert all((ROOT / name).exists() for name in copied)
    ignore = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert {f"!{name}" for name in copied} == {line for line in ignore if line.startswith("!")}
    assert "deploy/compose/secrets" in ignore
    assert "--require-hashes" in text


def compose_tool() -> list[str]:
    """Return the command that reads compose files, which `make setup` installs: the plugin, or the older program."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    return ["docker-compose"]


def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    copied = tmp_path / "deploy"
    for name in ("compose", "grafana", "alertmanager", "prometheus"):
        shutil.copytree(ROOT / "deploy" / name, copied / name)
    (copied / "compose" / "secrets").mkdir(exist_ok=True)
    for secret in DOCUMENT["secrets"].values():
        (copied / "compose" / secret["file"]).write_text("x")
    command = [*compose_tool(), "--env-file", "compose/example.env", "-f", "compose/compose.yaml", "config"]
    told = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert told.returncode == 0, told.stderr
    assert set(yaml.safe_load(told.stdout)["services"]) >= set(PARTS) - {"operator"}

"""An installation keeps its secrets to itself and its addresses over restarts."""

import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import elasticsearch
from deploy.local.account import UnixAccount
from deploy.local.leftovers import only_run
from deploy.local.ports import move_taken_ports
from deploy.local.refusals import AlreadyRunning, PortTaken
from liaison.installation import SERVICES, Installation, NoInstallation, free_port, is_free


def test_loading_where_there_is_none_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoInstallation, match="make run"):
        Installation.load(tmp_path)


def test_a_second_start_finds_the_same_secrets_and_ports(tmp_path: Path) -> None:
    first = Installation.open_or_make(tmp_path)
    assert Installation.open_or_make(tmp_path) == Installation.load(tmp_path) == first
    assert first.secrets_path.stat().st_mode & 0o777 == 0o600
    assert not any(password in repr(first) for password in first.passwords.values())


def test_a_keystore_from_before_is_kept_from_the_group_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIAISON_PARTS", str(tmp_path))
    shipped, kept = (
        tmp_path / f"elasticsearch-{elasticsearch.VERSION}" / "config",
        tmp_path / "home" / "elasticsearch" / "config",
    )
    for folder, name in ((shipped, "role_mapping.yml"), (shipped, "jvm.options"), (kept, "elasticsearch.keystore")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch(0o660)
    elasticsearch.prepare(Installation.open_or_make(tmp_path / "home"), UnixAccount.ourselves())
    assert (kept / "elasticsearch.keystore").stat().st_mode & 0o777 == 0o600


def test_a_service_that_comes_later_gets_accounts_in_an_old_installation(tmp_path: Path) -> None:
    old = Installation.open_or_make(tmp_path)
    new = Installation.open_or_make(tmp_path, services=[*SERVICES, "survey"])
    assert new.database_uri("survey").endswith("/survey")
    assert new.amqp_uri("survey") != new.amqp_uri("tickets") == old.amqp_uri("tickets")
    assert new.page_port("survey") not in old.ports.values()


def test_no_two_parts_share_a_port(tmp_path: Path) -> None:
    for free_ports in (False, True):
        ports = Installation.open_or_make(tmp_path / str(free_ports), free_ports=free_ports).ports
        assert len(set(ports.values())) == len(ports)


def test_two_runs_that_start_together_do_not_choose_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = "from liaison.installation import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", choose], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        taken = int(other.stdout.readline())
        assert is_free(taken)
        thrown = iter([taken, *range(20_000, 32_000)])
        monkeypatch.setattr(random.SystemRandom, "randrange", lambda *_: next(thrown))
        assert free_port(avoiding=range(20_000, taken)) > taken
        other.communicate(b"\n")


def test_a_port_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIAISON_PORT_SMTP", "2599")
    assert Installation.open_or_make(tmp_path).smtp_uri == "smtp://127.0.0.1:2599"


def test_a_port_of_another_program_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation.open_or_make(tmp_path, free_ports=True)
    with socket.create_server(("127.0.0.1", installation.ports["smtp"])):
        moved, [sentence] = move_taken_ports(installation, ["smtp", "smtp_page"])
        assert moved.ports["smtp"] != installation.ports["smtp"]
        assert str(moved.ports["smtp"]) in sentence
        assert Installation.load(tmp_path) == moved
        monkeypatch.setenv("LIAISON_PORT_SMTP", str(installation.ports["smtp"]))
        with pytest.raises(PortTaken, match="LIAISON_PORT_SMTP"):
            move_taken_ports(installation, ["smtp"])


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with only_run(tmp_path), pytest.raises(AlreadyRunning, match=str(os.getpid())), only_run(tmp_path):
        pass

"""Configuration: environment before file, secrets only where nobody else reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from liaison_client import BadSettings, Settings

AMQP = "amqp://crm:old@broker:5672/liaison"


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def test_an_address_is_enough() -> None:
    found = Settings.of(AMQP)
    assert (found.account, found.source, found.reply_queue) == ("crm", "/crm", "verdicts.crm")
    assert found.spool.name == "crm.spool"
    assert "old" not in repr(found)


@pytest.mark.parametrize("uri", ["", "http://crm:x@host/", "amqp://host/liaison", "amqp://crm@host/liaison"])
def test_an_address_without_account_or_password_is_refused(uri: str) -> None:
    with pytest.raises(BadSettings, match="account:password"):
        Settings.of(uri)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = secret(tmp_path / "c.toml", f'amqp = "{AMQP}"\nsource = "/file"\nlimit_events = 5\nreply_queue = "mine"\n')
    password = secret(tmp_path / "password", "p@ss/word\n")
    env = {
        "LIAISON_CLIENT_CONFIG": str(file),
        "LIAISON_SOURCE": "/env",
        "LIAISON_SPOOL": str(tmp_path / "s"),
        "LIAISON_SPOOL_LIMIT_BYTES": "1000",
        "LIAISON_AMQP_PASSWORD_FILE": str(password),
    }
    found = Settings.load(env)
    assert found == Settings(
        "amqp://crm:p%40ss%2Fword@broker:5672/liaison", "crm", "/env", tmp_path / "s", 5, 1000, "mine"
    )
    assert Settings.load({**env, "LIAISON_REPLY_QUEUE": ""}).reply_queue == ""


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (f'amqp = "{AMQP}"', 0o640, "chmod 600"),
        (f'amqp = "{AMQP}"', 0o604, "chmod 600"),
        ("amqp = ", 0o600, "c.toml"),
        (f'amqp = "{AMQP}"\npasword = "x"', 0o600, "unknown: pasword"),
        (f'amqp = "{AMQP}"\nlimit_events = "many"', 0o600, "limit_events: 'many'"),
        (f'amqp = "{AMQP}"\nlimit_events = 0', 0o600, "more than 0"),
        ('source = "/x"', 0o600, "LIAISON_AMQP is not set"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, mode: int, reason: str) -> None:
    file = secret(tmp_path / "c.toml", text, mode)
    with pytest.raises(BadSettings, match=reason):
        Settings.load({"LIAISON_CLIENT_CONFIG": str(file)})


def test_a_file_in_its_usual_place_is_found_and_need_not_be_there(tmp_path: Path) -> None:
    secret(tmp_path / "liaison-client.toml", f'amqp = "{AMQP}"')
    assert Settings.load({"XDG_CONFIG_HOME": str(tmp_path)}).account == "crm"
    with pytest.raises(BadSettings, match="LIAISON_AMQP"):
        Settings.load({"XDG_CONFIG_HOME": str(tmp_path / "nowhere")})
    with pytest.raises(BadSettings, match="nowhere"):
        Settings.load({"LIAISON_CLIENT_CONFIG": str(tmp_path / "nowhere")})

"""A private Elasticsearch of one node: password on, TLS off since it listens on loopback only."""

import hashlib
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.local.account import UnixAccount
from deploy.local.program import Program, required
from deploy.local.refusals import NotInstalled
from liaison.installation import HOST, Installation

PORTS = ("elasticsearch", "elasticsearch_transport")
VERSION = "8.19.21"
#: Services with an account and indices of their own.
SEARCHERS = ("knowledge",)
_HASH_ROUNDS = 10_000
_CHECKOUT = Path(__file__).resolve().parents[2]


def distribution() -> Path:
    """Return the folder of the unpacked server; LIAISON_PARTS moves it out of the checkout.

    Raises: NotInstalled with the command that installs it.
    """
    parts = Path(os.environ.get("LIAISON_PARTS") or _CHECKOUT / ".liaison" / "parts").absolute()
    folder = parts / f"elasticsearch-{VERSION}"
    if not folder.is_dir():
        raise NotInstalled(f"{folder} is missing: run deploy/local/install.sh run")
    return folder


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write the configuration; put the password into a new keystore at the first start.

    Raises: subprocess.CalledProcessError if the keystore cannot be made, Unreachable, NotInstalled.
    """
    account.must_reach(distribution())
    folder = account.folder(installation.home / "elasticsearch")
    config = account.folder(folder / "config")
    for name in ("data", "logs", "tmp"):
        account.folder(folder / name)
    shutil.copy(distribution() / "config" / "role_mapping.yml", config / "role_mapping.yml")
    account.own(config / "role_mapping.yml")
    for name, text in accounts(installation).items():
        account.file(config / name, text)
    account.file(config / "jvm.options", (distribution() / "config" / "jvm.options").read_text("utf-8"))
    account.file(config / "log4j2.properties", _LOGGING)
    account.file(config / "elasticsearch.yml", _configuration(installation))
    if not _keystore(installation).exists():
        _make_keystore(installation, account)
    # The tool lets the group read it, which may be one of many people.
    _keystore(installation).chmod(0o600)


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the server (a small launcher and the server below it). ES_JAVA_OPTS, its own setting, may add options."""
    folder = installation.home / "elasticsearch"
    options = f"-Xms512m -Xmx512m {os.environ.get('ES_JAVA_OPTS', '')}".strip()
    environment = {**_java(installation), "ES_JAVA_OPTS": options}
    return (Program("elasticsearch", (str(distribution() / "bin" / "elasticsearch"),), folder, environment),)


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when the cluster is yellow (all that one node can be) or green."""
    url = f"{installation.elasticsearch_url}/_cluster/health?wait_for_status=yellow&timeout=1s"
    try:
        answer = httpx.get(url, timeout=2, trust_env=False)
    except httpx.HTTPError as error:
        return f"cluster health: {error}"
    return None if answer.status_code == 200 else f"cluster health answers {answer.status_code}: {answer.text[:200]}"


def _make_keystore(installation: Installation, account: UnixAccount) -> None:
    program = programs(installation)[0]
    tool = (str(distribution() / "bin" / "elasticsearch-keystore"), "add", "--stdin", "--force", "bootstrap.password")
    for arguments, text in (((tool[0], "create"), ""), (tool, installation.passwords["elasticsearch:elastic"])):
        subprocess.run(
            arguments,
            check=True,
            cwd=program.directory,
            env=program.full_environment(installation.home),
            input=text.encode(),
            capture_output=True,
            **account.popen_arguments(),
        )


def _keystore(installation: Installation) -> Path:
    return installation.home / "elasticsearch" / "config" / "elasticsearch.keystore"


def accounts(installation: Installation) -> Mapping[str, str]:
    """Return the files of accounts: each service that searches reaches the indices of its own name, and no others.

    In files, since the minimal distribution lacks what the index of accounts is made with.
    """
    own = "{service}:\n  indices:\n    - names: ['liaison-{service}*']\n      privileges: [read, write, manage]\n"
    return {
        "roles.yml": "".join(own.format(service=service) for service in SEARCHERS),
        "users": "".join(f"{service}:{_hash(installation, service)}\n" for service in SEARCHERS),
        "users_roles": "".join(f"{service}:{service}\n" for service in SEARCHERS),
    }


def _hash(installation: Installation, service: str) -> str:
    """Return a password's hash in the server's PBKDF2 form: SHA-512, 32 bytes of salt and of hash."""
    password, salt = installation.passwords[f"elasticsearch:{service}"], os.urandom(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ROUNDS, 32)
    return "{PBKDF2}" + "$".join((str(_HASH_ROUNDS), b64encode(salt).decode(), b64encode(digest).decode()))


def _java(installation: Installation) -> dict[str, str]:
    folder = installation.home / "elasticsearch"
    java = Path(required("/usr/bin/java", "/usr/local/bin/java", shutil.which("java") or "java")).resolve()
    return {
        "ES_JAVA_HOME": str(java.parents[1]),
        "ES_PATH_CONF": str(folder / "config"),
        "ES_TMPDIR": str(folder / "tmp"),
    }


def _configuration(installation: Installation) -> str:
    folder, ports = installation.home / "elasticsearch", installation.ports
    return f"""# Written at every start by deploy/local/elasticsearch.py.
cluster.name: liaison
node.name: liaison
discovery.type: single-node
path.data: {folder / "data"}
path.logs: {folder / "logs"}
network.host: {HOST}
http.port: {ports["elasticsearch"]}
transport.port: {ports["elasticsearch_transport"]}
# A full disk of a workstation must not turn the index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
xpack.security.enabled: true
xpack.security.autoconfiguration.enabled: false
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
"""


# To the standard output only: the supervisor keeps and rotates it.
_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""

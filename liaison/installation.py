"""One installation on this machine: where its parts listen, and the secrets that open them."""

import json
import os
import random
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

HOST = "127.0.0.1"
VHOST = "liaison"

#: Our own services; each has a broker account, a database role, a database and a metrics page.
SERVICES = ("gateway", "tickets", "training", "knowledge", "notify", "metrics")

#: The port that each part listens on unless LIAISON_PORT_<NAME> says otherwise. They keep clear of the
#: parts' usual ports and of Linux's range for outgoing connections (32768 and up).
DEFAULT_PORTS: Mapping[str, int] = {
    "gateway": 8480,
    "gateway_page": 8481,
    "tickets_page": 8482,
    "notify_page": 8483,
    "metrics_page": 8484,
    "training_page": 8485,
    "knowledge_page": 8486,
    "rabbitmq": 5673,
    "rabbitmq_management": 15673,
    "rabbitmq_prometheus": 15693,
    "rabbitmq_distribution": 25673,
    "rabbitmq_epmd": 4370,
    "postgresql": 5443,
    "elasticsearch": 9210,
    "elasticsearch_transport": 9310,
    "prometheus": 9095,
    "alertmanager": 9097,
    "smtp": 2526,
    "smtp_page": 8425,
    "imap": 1144,
}
#: The bearer token with which our own Alertmanager comes through the gateway's door.
ALERTMANAGER_TOKEN = "gateway:alertmanager"
#: The password of the mailbox that tests have.
MAILBOX_PASSWORD = "dovecot:desk"
_SERVER_SECRETS = (
    "liaison:links",
    "rabbitmq:admin",
    "postgresql:postgres",
    "elasticsearch:elastic",
    "elasticsearch:knowledge",
    ALERTMANAGER_TOKEN,
    MAILBOX_PASSWORD,
)
_CHECKOUT = Path(__file__).resolve().parents[1]


class NoInstallation(Exception):
    """There is no usable installation in the folder: the message says what to run."""


def default_home(env: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder: LIAISON_HOME, or `.liaison/run` in the checkout."""
    return Path(env.get("LIAISON_HOME") or _CHECKOUT / ".liaison" / "run").absolute()


@dataclass(frozen=True, slots=True)
class Installation:
    """Addresses and secrets of one installation, as kept in `installation.json` (mode 0600).

    home: the folder that holds all state.
    ports: part name (a key of DEFAULT_PORTS or `<service>_page`) to TCP port on the loopback address.
    passwords: `<server>:<account>` to password.
    hosts: part name to host, for parts that are not on this machine (deploy/compose).
    """

    home: Path
    ports: Mapping[str, int]
    passwords: Mapping[str, str] = field(repr=False)
    hosts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Path | None = None) -> "Installation":
        """Read the installation in `home` (default: `default_home()`).

        Raises: NoInstallation if there is none, or if it is not ours to read.
        """
        path = (home or default_home()) / "installation.json"
        try:
            kept = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise NoInstallation(f"no installation at {path}: start one with `make run`, or set LIAISON_HOME") from None
        except PermissionError:
            raise NoInstallation(f"{path} belongs to another user: run this as that user or as root") from None
        return cls(path.parent, kept["ports"], kept["passwords"], kept.get("hosts", {}))

    @classmethod
    def open_or_make(
        cls, home: Path, *, services: Iterable[str] = SERVICES, free_ports: bool = False
    ) -> "Installation":
        """Read the installation in `home`, or make one; give new services their accounts and ports.

        free_ports: choose every new port at random instead of by DEFAULT_PORTS (for tests).
        """
        try:
            kept = cls.load(home)
        except NoInstallation:
            if (home / "installation.json").exists():
                raise
            kept = cls(home.absolute(), {}, {})
        services = tuple(services)
        complete = kept._with_ports(services, free_ports=free_ports)._with_passwords(services)
        if complete != kept:
            complete.save()
        return complete

    def save(self) -> Path:
        """Write `installation.json` in one step, readable by its owner only, and return its path."""
        self.home.mkdir(parents=True, exist_ok=True)
        path, fresh = self.secrets_path, self.home / f"installation.json.{os.getpid()}"
        owner = path.stat() if path.exists() else None
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            document = {"ports": dict(self.ports), "passwords": dict(self.passwords)}
            json.dump(document | ({"hosts": dict(self.hosts)} if self.hosts else {}), out, indent=2)
            out.flush()
            os.fsync(out.fileno())
        if owner is not None and os.geteuid() == 0:
            os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.rename(path)
        return path

    @property
    def secrets_path(self) -> Path:
        """The file that holds every address and password."""
        return self.home / "installation.json"

    def amqp_uri(self, account: str) -> str:
        """Return the broker address of a service's account, with its password."""
        return self._uri("amqp", "rabbitmq", account, f"rabbitmq:{account}") + f"/{VHOST}"

    @property
    def amqp_admin_uri(self) -> str:
        """The broker address of the administrator."""
        return self.amqp_uri("admin")

    @property
    def management_url(self) -> str:
        """The broker's management page and HTTP API, without credentials (see `management_auth`)."""
        return self._http("rabbitmq_management")

    @property
    def management_auth(self) -> tuple[str, str]:
        """Account and password of the broker's administrator."""
        return "admin", self.passwords["rabbitmq:admin"]

    def database_uri(self, service: str) -> str:
        """Return the address of a service's own database, as its own role."""
        return self._uri("postgresql", "postgresql", service, f"postgresql:{service}") + f"/{service}"

    @property
    def postgres_admin_uri(self) -> str:
        """The address of the maintenance database, as superuser."""
        return self.database_uri("postgres")

    @property
    def elasticsearch_url(self) -> str:
        """The search server, with the `elastic` account and its password."""
        return self._uri("http", "elasticsearch", "elastic", "elasticsearch:elastic")

    def search_url(self, service: str) -> str:
        """Return the search server's address for a service, whose account reaches only its own indices."""
        return self._uri("http", "elasticsearch", service, f"elasticsearch:{service}")

    @property
    def prometheus_url(self) -> str:
        """Prometheus, without login."""
        return self._http("prometheus")

    @property
    def alertmanager_url(self) -> str:
        """Alertmanager, without login."""
        return self._http("alertmanager")

    @property
    def blobs_folder(self) -> Path:
        """Where the gateway keeps attachments; in the folder of our own processes' account."""
        return self.home / "services" / "blobs"

    @property
    def smtp_uri(self) -> str:
        """The mail server that keeps what it gets."""
        return f"smtp://{HOST}:{self.ports['smtp']}"

    @property
    def smtp_page_url(self) -> str:
        """The page that shows the kept mails."""
        return self._http("smtp_page")

    @property
    def gateway_url(self) -> str:
        """The HTTP door."""
        return self._http("gateway")

    def page_port(self, service: str) -> int:
        """Return the port of a service's own page: `/metrics`, `/ready`, `/live`."""
        return self.ports[f"{service}_page"]

    def ready_url(self, service: str) -> str:
        """Return the address that answers 200 while the service can do its work."""
        return f"{self.gateway_url if service == 'gateway' else self._http(f'{service}_page')}/ready"

    def _http(self, part: str) -> str:
        return f"http://{self.hosts.get(part, HOST)}:{self.ports[part]}"

    def _uri(self, scheme: str, part: str, account: str, secret: str) -> str:
        password = quote(self.passwords[secret], safe="")
        return f"{scheme}://{quote(account, safe='')}:{password}@{self.hosts.get(part, HOST)}:{self.ports[part]}"

    def _with_passwords(self, services: tuple[str, ...]) -> "Installation":
        wanted = [*_SERVER_SECRETS, *(f"{server}:{s}" for s in services for server in ("rabbitmq", "postgresql"))]
        new = {name: secrets.token_urlsafe(24) for name in wanted if name not in self.passwords}
        return replace(self, passwords={**self.passwords, **new})

    def _with_ports(self, services: tuple[str, ...], *, free_ports: bool) -> "Installation":
        ports = dict(self.ports)
        for name in (*DEFAULT_PORTS, *(f"{service}_page" for service in services)):
            asked = os.environ.get(f"LIAISON_PORT_{name.upper()}")
            if asked and not free_ports:
                ports[name] = int(asked)
            elif name not in ports:
                default = None if free_ports else DEFAULT_PORTS.get(name)
                ports[name] = default or free_port(avoiding=ports.values())
        return replace(self, ports=ports)


def is_free(port: int) -> bool:
    """Tell whether nobody listens on `port` of the loopback address."""
    with socket.socket() as probe:
        # Connections that are closing do not count: the servers bind with the same option.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(avoiding: Iterable[int] = ()) -> int:
    """Return a free port that no other process of ours will choose while this one lives.

    It lies below Linux's range for outgoing connections, so that none of those can take it.
    """
    avoided = set(avoiding)
    while (port := random.SystemRandom().randrange(20000, 32000)) in avoided or not is_free(port) or not _claim(port):
        pass
    return port


def _claim(port: int) -> bool:
    """Claim a port until this process ends. Between choosing it and listening on it seconds may pass."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        # A name that is in no folder, and goes with the socket.
        claim.bind(f"\0liaison port {port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


_claims: list[socket.socket] = []

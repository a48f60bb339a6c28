"""Where every part of an installation is, and whether it is well."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.local.pages import unanswered_because
from deploy.local.parts import SERVERS
from liaison.installation import HOST, SERVICES, VHOST, Installation


@dataclass(frozen=True, slots=True)
class Part:
    """One part: a service of ours, or a server.

    url: its address, without account and password.
    reason: why it is not healthy, else None.
    """

    name: str
    url: str
    healthy: bool
    reason: str | None


def parts(installation: Installation) -> list[Part]:
    """Ask every part, all at the same time; answers within about 4 s."""
    names = (*SERVICES, *sorted(SERVERS, key=lambda server: server != "prometheus"))
    with ThreadPoolExecutor(len(names)) as asking:
        reasons = asking.map(lambda name: unhealthy_because(installation, name), names)
        return [
            Part(name, url(installation, name), reason is None, reason)
            for name, reason in zip(names, reasons, strict=True)
        ]


def unhealthy_because(installation: Installation, name: str) -> str | None:
    """Return None when the named part is healthy, else the reason."""
    if server := SERVERS.get(name):
        return server.unhealthy_because(installation)
    return unanswered_because(installation.ready_url(name))


def url(installation: Installation, name: str) -> str:
    """Return the address of the named part, without account and password."""
    addresses: dict[str, Callable[[Installation], str]] = {
        "gateway": lambda at: at.gateway_url,
        "rabbitmq": lambda at: f"amqp://{HOST}:{at.ports['rabbitmq']}/{VHOST}",
        "postgresql": lambda at: f"postgresql://{HOST}:{at.ports['postgresql']}",
        "elasticsearch": lambda at: f"http://{HOST}:{at.ports['elasticsearch']}",
        "smtp": lambda at: at.smtp_uri,
    }
    if name in addresses:
        return addresses[name](installation)
    return f"http://{HOST}:{installation.ports[name if name in SERVERS else f'{name}_page']}"

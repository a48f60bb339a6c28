"""The servers by name."""

from collections.abc import Mapping

from deploy.local import alertmanager, dovecot, elasticsearch, postgresql, prometheus, rabbitmq, smtp
from deploy.local.program import Server

#: In the order in which they are started; none waits for another.
SERVERS: Mapping[str, Server] = {
    "rabbitmq": rabbitmq,
    "postgresql": postgresql,
    "elasticsearch": elasticsearch,
    "prometheus": prometheus,
    "alertmanager": alertmanager,
    "smtp": smtp,
}

#: Those that only tests need as well.
ALL_SERVERS: Mapping[str, Server] = {**SERVERS, "dovecot": dovecot}

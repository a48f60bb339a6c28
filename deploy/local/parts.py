"""The servers by name."""

from collections.abc import Mapping

from deploy.local import alertmanager, elasticsearch, postgresql, prometheus, rabbitmq, smtp
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

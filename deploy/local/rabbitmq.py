"""A private RabbitMQ node: own name, ports, cookie, plugins and port mapper (epmd)."""

import json

import httpx

from deploy.local.account import UnixAccount
from deploy.local.program import Program, required
from liaison.installation import HOST, VHOST, Installation

PORTS = (
    "rabbitmq",
    "rabbitmq_management",
    "rabbitmq_prometheus",
    "rabbitmq_distribution",
    "rabbitmq_epmd",
)
_PLUGINS = "[rabbitmq_management,rabbitmq_prometheus,rabbitmq_consistent_hash_exchange].\n"


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write configuration and plugin list; the data folder is made by the server."""
    folder = account.folder(installation.home / "rabbitmq")
    account.file(folder / "rabbitmq.config", _configuration(installation))
    account.file(folder / "enabled_plugins", _PLUGINS)
    account.file(folder / "rabbitmq-env.conf", "# Empty, so that the machine's own file is not read.\n")


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the port mapper, which would otherwise outlive the server as a daemon, and the server."""
    folder, ports = installation.home / "rabbitmq", installation.ports
    epmd_settings = {"ERL_EPMD_PORT": str(ports["rabbitmq_epmd"]), "ERL_EPMD_ADDRESS": HOST}
    epmd = Program("epmd", (required("/usr/bin/epmd", "/usr/local/bin/epmd"),), folder, epmd_settings, stop_wait_s=2)
    environment = {
        **epmd_settings,
        "RABBITMQ_NODENAME": "liaison@localhost",
        "RABBITMQ_DIST_PORT": str(ports["rabbitmq_distribution"]),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.config"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "no-advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # The script then becomes the server, instead of waiting in front of it: signals and waits reach the server.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    server = Program(
        "rabbitmq", (required("/usr/lib/rabbitmq/bin/rabbitmq-server"),), folder, environment, stop_wait_s=30
    )
    return epmd, server


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when clients are served and no alarm (memory, disk) holds publishers back."""
    checks = (f"port-listener/{installation.ports['rabbitmq']}", "local-alarms")
    try:
        for check in checks:
            url = f"{installation.management_url}/api/health/checks/{check}"
            answer = httpx.get(url, auth=installation.management_auth, timeout=2, trust_env=False)
            if answer.status_code != 200:
                return f"check {check} answers {answer.status_code}: {answer.text[:200]}"
    except httpx.HTTPError as error:
        return f"management API: {error}"
    return None


def _configuration(installation: Installation) -> str:
    """Return the configuration as Erlang terms.

    This older form is read as it is; the newer one is first translated, which costs a second at every start.
    The administrator is made at the first start in place of the guest account.
    """
    ports, (admin, password) = installation.ports, installation.management_auth
    listener = f'[{{ip, "{HOST}"}}, {{port, %d}}]'
    return f"""%% Written at every start by deploy/local/rabbitmq.py.
[
 {{rabbit, [
   {{tcp_listeners, [{{"{HOST}", {ports["rabbitmq"]}}}]}},
   {{default_vhost, <<"{VHOST}">>}},
   {{default_user, <<{json.dumps(admin)}>>}},
   {{default_pass, <<{json.dumps(password)}>>}},
   {{default_user_tags, [administrator]}},
   {{loopback_users, []}}
 ]}},
 {{rabbitmq_management, [{{tcp_config, {listener % ports["rabbitmq_management"]}}}]}},
 {{rabbitmq_prometheus, [{{tcp_config, {listener % ports["rabbitmq_prometheus"]}}}]}}
].
"""

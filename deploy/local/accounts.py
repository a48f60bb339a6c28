"""Accounts of our services in PostgreSQL and RabbitMQ; every function may be repeated."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
import psycopg2
from psycopg2 import sql

from liaison.installation import SERVICES, VHOST, Installation


@dataclass(frozen=True, slots=True)
class AccountRights:
    """What one broker account may do in our vhost, as regular expressions over names; "" is nothing.

    topic_rights: topic exchange to (write, read) over routing keys.
    """

    name: str
    configure: str = ""
    write: str = ""
    read: str = ""
    topic_rights: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class BrokerRefused(Exception):
    """The broker's management API refused a request: the message has its answer."""


def provision_databases(installation: Installation, services: Iterable[str] = SERVICES) -> None:
    """Give each service one role and one database that only this role may enter.

    Raises: psycopg2.Error if the server refuses, KeyError for a service that the installation does not know.
    """
    with closing(psycopg2.connect(installation.postgres_admin_uri)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # By default everybody may enter every database.
            cursor.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
            for service in services:
                _provision_database(cursor, service, installation.passwords[f"postgresql:{service}"])


def _provision_database(cursor: "psycopg2.extensions.cursor", name: str, password: str) -> None:
    role = sql.Identifier(name)
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,))
    verb = sql.SQL("ALTER ROLE" if cursor.rowcount else "CREATE ROLE")
    cursor.execute(sql.SQL("{} {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
    cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
    if not cursor.rowcount:
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
    cursor.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(role))


def provision_broker(installation: Installation, rights: Iterable[AccountRights]) -> None:
    """Give each account of the installation its password and exactly these rights.

    Raises: BrokerRefused, httpx.HTTPError, and KeyError for an account that the installation does not know.
    """
    with _management(installation) as broker:
        for account in rights:
            _provision_account(broker, account, installation.passwords[f"rabbitmq:{account.name}"])


def _provision_account(broker: httpx.Client, account: AccountRights, password: str) -> None:
    name = _quoted(account.name)
    rights = {"configure": account.configure or "^$", "write": account.write or "^$", "read": account.read or "^$"}
    _must(broker.put(f"/users/{name}", json={"password": password, "tags": ""}))
    _remove_other_topic_rights(broker, account)
    for exchange, (write, read) in account.topic_rights.items():
        topic = {"exchange": exchange, "write": write or "^$", "read": read or "^$"}
        _must(broker.put(f"/topic-permissions/{VHOST}/{name}", json=topic))
    # Last, since an account without an entry for a topic exchange may use every routing key of it.
    _must(broker.put(f"/permissions/{VHOST}/{name}", json=rights))


def _remove_other_topic_rights(broker: httpx.Client, account: AccountRights) -> None:
    kept = _must(broker.get(f"/users/{_quoted(account.name)}/topic-permissions")).json()
    if {entry["exchange"] for entry in kept} - account.topic_rights.keys():
        # The API removes them all or none: without its rights the account can do nothing in between.
        _must(broker.delete(f"/permissions/{VHOST}/{_quoted(account.name)}"), missing_is_fine=True)
        _must(broker.delete(f"/topic-permissions/{VHOST}/{_quoted(account.name)}"), missing_is_fine=True)


def _management(installation: Installation) -> httpx.Client:
    address = f"{installation.management_url}/api"
    return httpx.Client(base_url=address, auth=installation.management_auth, timeout=10, trust_env=False)


def _must(answer: httpx.Response, *, missing_is_fine: bool = False) -> httpx.Response:
    if answer.is_success or (missing_is_fine and answer.status_code == httpx.codes.NOT_FOUND):
        return answer
    request = answer.request
    raise BrokerRefused(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:300]}")


def _quoted(name: str) -> str:
    return quote(name, safe="")

"""The gateway under test: a running one on real parts, and ways to publish to it and look into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import amqp
import httpx
import msgspec
from sqlalchemy import Engine, text

from eventkit import broker, schema, topology
from eventkit.blobs import FolderStore
from eventkit.consumer import Incoming
from eventkit.database import open_engine
from eventkit.envelope import encode_time
from eventkit.links import TICKET, Links
from eventkit.process import ProcessSettings
from eventkit.rpc import Call
from liaison.installation import Installation
from liaison.publishers import PublisherAccount, add_publisher
from liaison.tokens import new_token
from services.gateway.service import DEFINITION, Gateway
from services.gateway.settings import Settings
from tests.eventkit.desk import admin_of, eventually

FOLDER = Path(__file__).resolve().parents[2] / "services" / "gateway"
TAP = "gateway-test.tap"
CALLS_TAP = "gateway-test.calls"
LOCKED_OUT = "erp.user.locked_out"
REQUESTED = "liaison.ticket.requested.v1"
_numbers = count(1)
_TABLES = "accepted, refusal, eventkit.outbox, eventkit.subject_sequence"


def attributes(**changes: Any) -> dict[str, Any]:
    """Return the attributes of an event of the ERP; None leaves one out."""
    given = {
        "specversion": "1.0",
        "id": f"erp-{next(_numbers)}",
        "source": "/erp",
        "type": LOCKED_OUT,
        "time": encode_time(datetime.now(UTC)),
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def data(**changes: Any) -> dict[str, Any]:
    """Return what the ERP tells about a user who is locked out."""
    return {"case": "C-1", "login": "zhang.wei", "employee": "E1001", "level": "2 - High", "site": "上海"} | changes


def as_json(value: Any) -> bytes:
    """Return JSON bytes."""
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


#: The largest attachment, bytes: more than other bodies may have.
MAX_FILE_BYTES = 3_000_000
LINK_KEY = "for links that tests follow"
#: Whose a token is unless a test says otherwise, and the scope that services are told where it lets them see all.
HOLDER: dict[str, Any] = {"person": "E1001", "groups": ["网络组"], "department": "信息部"}
SCOPE = {"kind": "all", **HOLDER}


class Door:
    """A running gateway, its publisher `erp`, and a tap on everything that it emits."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.admin = admin_of(installation)
        topology.apply(self.admin, [DEFINITION])
        self.admin.grant(topology.rights_of(DEFINITION), installation.passwords["rabbitmq:gateway"])
        self.admin.declare(topology.Queue(TAP, quorum=False))
        self.admin.declare(topology.Binding(broker.EVENTS, TAP, True, "#"))
        self.engine: Engine = open_engine(installation.database_uri("gateway"), name="test")
        schema.migrate(self.engine, FOLDER)
        process = ProcessSettings(installation.amqp_uri("gateway"), installation.database_uri("gateway"), 0)
        links = Links([LINK_KEY], TICKET, valid_days=14)
        self.blobs = FolderStore(Path(mkdtemp(prefix="liaison-blobs-")))
        settings = Settings(process, "127.0.0.1", 0, FOLDER / "mappings", links, self.blobs, MAX_FILE_BYTES)
        self.gateway = Gateway(settings)
        self.gateway.start()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.gateway.port}", timeout=10, trust_env=False)
        self._reader = broker.connect(installation.amqp_admin_uri, name="test").channel()
        with self.engine.begin() as connection:
            connection.execute(text("truncate publisher, token"))
        self.erp = self.add("erp", "erp.*", REQUESTED)
        eventually(lambda: self.http.get("/ready").status_code == 200, what="the doors open")

    def clean(self) -> None:
        """Begin a test: nothing recorded, nothing waiting, one publisher."""
        with self.engine.begin() as connection:
            connection.execute(text(f"truncate {_TABLES}"))
            for table in ("publisher", "token"):
                connection.execute(text(f"delete from {table} where name <> 'erp'"))
        self._reader.queue_purge(TAP)
        self._reader.queue_purge(self.erp.reply_queue)

    def add(self, name: str, *may: str, **options: Any) -> PublisherAccount:
        """Add a publisher as the operator would."""
        return add_publisher(self.installation, name, may, **options)

    def close(self) -> None:
        """Stop the gateway and take away what it left on the broker."""
        self.http.close()
        self.gateway.stop()
        broker.close_quietly(self._reader.connection)
        self.admin._call("DELETE", f"/queues/{topology.VHOST}/{TAP}", ok=(204, 404))
        self.admin.close()
        self.engine.dispose()
        rmtree(self.blobs.folder)

    def post(
        self,
        body: Any,
        headers: Mapping[str, Any],
        *,
        path: str = "/v1/events",
        account: PublisherAccount | None = None,
    ) -> httpx.Response:
        """Send a request to the HTTP door as a publisher (default: the ERP)."""
        token = (account or self.erp).token
        sent = {**headers, "authorization": f"Bearer {token}"}
        encoded = {name.encode("ascii"): str(value).encode() for name, value in sent.items()}
        return self.http.post(path, content=as_json(body), headers=encoded)

    def post_binary(self, given: Mapping[str, Any], body: Any, **more: Any) -> httpx.Response:
        """Send an event over HTTP in binary mode."""
        headers = {f"ce-{name}": percent(str(value)) for name, value in given.items()}
        return self.post(body, {"content-type": "application/json", **headers}, **more)

    def post_structured(self, given: Mapping[str, Any], body: Any, **more: Any) -> httpx.Response:
        """Send an event over HTTP in structured mode."""
        return self.post({**given, "data": body}, {"content-type": "application/cloudevents+json"}, **more)

    def take(self, given: Mapping[str, Any], body: Any, **more: Any) -> list[dict[str, Any]]:
        """Hand a message to the AMQP door as its consumer would, and return the refusals for the reply queue."""
        headers = {f"ce-{name}": value for name, value in given.items()}
        key = more.pop("routing_key", given.get("type", LOCKED_OUT))
        message = Incoming(
            headers=headers,
            body=as_json(body),
            routing_key=key,
            content_type=more.pop("content_type", "application/json"),
            account=more.pop("account", None),
        )
        return [json.loads(one.body) for one in self.gateway.intake.handle([message], False)]

    def publish(self, account: PublisherAccount, key: str, headers: Any, body: bytes, **properties: Any) -> None:
        """Publish as a publisher does: own account, confirmed. Raises what the broker answers."""
        channel = broker.connect(account.amqp_uri, name="test erp").channel()
        try:
            channel.confirm_select()
            message = amqp.Message(body, application_headers=headers, delivery_mode=2, **properties)
            channel.basic_publish_confirm(message, exchange=broker.INTAKE, routing_key=key, timeout=5)
        finally:
            broker.close_quietly(channel.connection)

    def token(self, role: str, *, name: str | None = None, **options: Any) -> str:
        """Make a token; by default its holder is E1001, of group 网络组 and department 信息部."""
        with self.engine.begin() as connection:
            return new_token(connection, name or f"{role}-{next(_numbers)}", role, **HOLDER | options)

    def ask(self, method: str, path: str, token: str | None, body: Any = None, **headers: str) -> httpx.Response:
        """Send a request of a person."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return self.http.request(method, path, json=body, headers=sent)

    def emitted(self, number: int = 1) -> list[Any]:
        """Return the next events that reached the exchange, as (headers, data)."""
        found: list[Any] = []

        def more() -> bool:
            message = self._reader.basic_get(TAP, no_ack=True)
            if message is not None:
                body = message.body if isinstance(message.body, bytes) else message.body.encode()
                found.append((message.headers, json.loads(body)))
            return len(found) >= number

        eventually(more, what=f"{number} events from the relay")
        return found

    def replies(self, account: PublisherAccount, number: int = 1) -> list[Any]:
        """Return what came into a publisher's reply queue, read with its own account."""
        channel = broker.connect(account.amqp_uri, name="test replies").channel()
        found: list[Any] = []

        def more() -> bool:
            message = channel.basic_get(account.reply_queue, no_ack=True)
            if message is not None:
                found.append((message.properties.get("message_id"), json.loads(message.body)))
            return len(found) >= number

        try:
            eventually(more, what=f"{number} replies")
        finally:
            broker.close_quietly(channel.connection)
        return found

    @contextmanager
    def calls_to(self, service: str) -> Iterator[Callable[[], list[Call]]]:
        """Listen in on the calls to a service; given is what returns those that were made."""
        self.admin.declare(topology.Queue(CALLS_TAP, quorum=False))
        self.admin.declare(topology.Binding(broker.RPC, CALLS_TAP, True, service))
        try:
            yield lambda: [
                msgspec.json.decode(message.body, type=Call)
                for message in iter(lambda: self._reader.basic_get(CALLS_TAP, no_ack=True), None)
            ]
        finally:
            self.admin._call("DELETE", f"/queues/{topology.VHOST}/{CALLS_TAP}", ok=(204, 404))

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """Return the rows of a query against the gateway's database."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), values).all())

    def one(self, statement: str, **values: Any) -> Any:
        """Return the single value of a query."""
        return self.rows(statement, **values)[0][0]

    def counted(self, name: str, door: str) -> float:
        """Return a counter of the metrics page."""
        page = httpx.get(f"http://127.0.0.1:{self.gateway.page_port}/metrics", trust_env=False).text
        [line] = [
            one for one in page.splitlines() if one.startswith(f'liaison_gateway_events_{name}_total{{door="{door}"}}')
        ]
        return float(line.rpartition(" ")[2])


def percent(value: str) -> str:
    """Return a header value as the HTTP binding wants it."""
    plain = {*range(0x21, 0x7F)} - {0x22, 0x25}
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in value.encode())

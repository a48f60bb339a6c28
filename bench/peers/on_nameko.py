"""The bench handler on stock nameko: `event_handler`, a Publisher with confirms, SQLAlchemy and psycopg2.

The one thing that is not stock is that its queue is a quorum queue, as everybody's here. SETTING: workers.
"""

from __future__ import annotations

import json
import os
from typing import Any

from eventkit.green import patch

patch()

from kombu import Exchange  # noqa: E402
from nameko.events import EventHandler  # noqa: E402
from nameko.extensions import DependencyProvider  # noqa: E402
from nameko.messaging import Publisher  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402

from bench.peers import wording  # noqa: E402
from contracts.gateway import TicketRequested  # noqa: E402

_INBOX = text(wording.INBOX.format(":source", ":id", ":type"))
_ROW = text(wording.ROW.format(":id", ":subject", ":title"))
_SEQUENCE = text(wording.SEQUENCE.format(":key"))
_OUTBOX = text(wording.OUTBOX.format(":id", ":source", ":subject", ":type", ":headers", ":payload"))
_WITH_OUTBOX = bool(os.environ.get("OUTBOX"))


class _QuorumHandler(EventHandler):  # type: ignore[misc]
    def setup(self) -> None:
        super().setup()
        if not os.environ.get("CLASSIC"):
            self.queue.queue_arguments = {"x-queue-type": "quorum", "x-single-active-consumer": True}


class _Engine(DependencyProvider):  # type: ignore[misc]
    def setup(self) -> None:
        size = self.container.max_workers
        uri = os.environ["DATABASE_URI"].replace("postgresql://", "postgresql+psycopg2://", 1)
        self.engine = create_engine(uri, pool_size=size, max_overflow=0)

    def get_dependency(self, worker_ctx: Any) -> Any:
        return self.engine


class _Headers(DependencyProvider):  # type: ignore[misc]
    def get_dependency(self, worker_ctx: Any) -> Any:
        return worker_ctx.data


class PeerService:
    """The same job, one message at a time."""

    name = "peer"
    engine = _Engine()
    headers = _Headers()
    publish = Publisher(exchange=Exchange(wording.EXCHANGE, "topic", durable=True), mandatory=True)

    @_QuorumHandler.decorator("bench", TicketRequested.TYPE)
    def on_ticket_requested(self, data: dict[str, Any]) -> None:
        """Write, commit, publish; nameko acks when this returns."""
        given, body, out = self.headers, wording.told(self.headers, data), None
        with self.engine.begin() as connection:
            key = {"source": given["ce-source"], "id": given["ce-id"], "type": given["ce-type"]}
            if connection.execute(_INBOX, key).first() is not None:
                subject = given["ce-subject"]
                connection.execute(_ROW, {"id": given["ce-id"], "subject": subject, "title": data["title"]})
                out = self._headers_out(connection, given, body)
        if out is not None:
            self.publish(body, routing_key=wording.TYPE, headers=out)

    def _headers_out(self, connection: Any, given: Any, body: Any) -> dict[str, str]:
        if not _WITH_OUTBOX:
            return wording.heading(given)
        key = f"{wording.SOURCE} {given['ce-subject']}"
        out = wording.heading(given, connection.execute(_SEQUENCE, {"key": key}).scalar_one())
        values = {"id": out["ce-id"], "source": wording.SOURCE, "subject": given["ce-subject"], "type": wording.TYPE}
        values |= {"headers": json.dumps(out), "payload": json.dumps(body).encode()}
        connection.execute(_OUTBOX, values)
        return out


if __name__ == "__main__":
    from nameko.containers import ServiceContainer

    config = {"AMQP_URI": os.environ["AMQP_URI"], "max_workers": int(os.environ["SETTING"])}
    container = ServiceContainer(PeerService, config)
    container.start()
    container.wait()

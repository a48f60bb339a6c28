"""The bench handler as a bare kombu loop: 200 messages a transaction, bulk statements, pipelined publishing.

It knows no handlers, no retries, no held events and no order. SETTING: messages a transaction.
With OUTBOX=1 the outgoing events are rows of the same transaction too, and are marked when they are confirmed.
"""

from __future__ import annotations

import json
import os
import signal
from collections import deque
from typing import Any

import amqp
import psycopg2
from kombu import Connection, Consumer, Queue
from psycopg2.extras import execute_values

from bench.peers import wording

_BATCH = int(os.environ["SETTING"])
_WITH_OUTBOX = bool(os.environ.get("OUTBOX"))
_INBOX = "insert into eventkit.inbox (source, id, type, state) values %s on conflict do nothing returning source, id"
_ROW = "insert into bench_row (event_id, subject, title) values %s"
_SEQUENCE = (
    "insert into eventkit.subject_sequence as s (partitionkey, last) values %s"
    " on conflict (partitionkey) do update set last = s.last + 1 returning partitionkey, last"
)
_OUTBOX = (
    "insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload) values %s returning position"
)
_SENT = "update eventkit.outbox set sent_at = now() where position = any(%s)"


class Publishing:
    """Publishes outgoing events and counts their confirms."""

    def __init__(self, channel: Any) -> None:
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        self._channel = channel
        self.published = 0
        self.confirmed = 0
        self._early: set[int] = set()

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if multiple:
            self.confirmed = max(self.confirmed, tag)
        else:
            self._early.add(tag)
        while self.confirmed + 1 in self._early:
            self.confirmed += 1
            self._early.discard(self.confirmed)

    def publish(self, headers: dict[str, str], body: bytes) -> None:
        """Send one event without waiting for its confirm."""
        message = amqp.Message(
            body,
            application_headers=headers,
            content_type="application/json",
            delivery_mode=2,
            message_id=headers["ce-id"],
            type=wording.TYPE,
        )
        self._channel.basic_publish(message, exchange=wording.EXCHANGE, routing_key=wording.TYPE, mandatory=True)
        self.published += 1


class Loop:
    """Takes a batch, writes it, publishes, and acks the batches whose events are confirmed."""

    def __init__(self, connection: Connection, database: Any) -> None:
        self._connection = connection
        self._database = database
        self._channel = connection.channel()
        self._publishing = Publishing(connection.channel())
        self._buffer: list[Any] = []
        self._waiting: deque[tuple[int, int, list[int]]] = deque()
        queue = Queue(os.environ["QUEUE"], no_declare=True)
        self._consumer = Consumer(
            self._channel, [queue], on_message=self._buffer.append, prefetch_count=3 * _BATCH, no_ack=False
        )

    def run(self) -> None:
        """Work until killed."""
        self._consumer.consume()
        while True:
            if self._drain(0 if self._buffer else 0.2) and len(self._buffer) < _BATCH:
                continue
            if self._buffer:
                batch = self._buffer[:_BATCH]
                del self._buffer[:_BATCH]
                self._handle(batch)
            self._settle()

    def _drain(self, timeout_s: float) -> bool:
        try:
            self._connection.drain_events(timeout=timeout_s)
        except TimeoutError:
            return False
        return True

    def _handle(self, batch: list[Any]) -> None:
        with self._database, self._database.cursor() as cursor:
            keys = [(m.headers["ce-source"], m.headers["ce-id"], m.headers["ce-type"], "handled") for m in batch]
            fresh = set(execute_values(cursor, _INBOX, keys, page_size=_BATCH, fetch=True))
            news = [
                (m.headers, json.loads(m.body)) for m in batch if (m.headers["ce-source"], m.headers["ce-id"]) in fresh
            ]
            rows = [(headers["ce-id"], headers["ce-subject"], data["title"]) for headers, data in news]
            execute_values(cursor, _ROW, rows, page_size=_BATCH)
            out, positions = self._events_out(cursor, news)
        for headers, body in out:
            self._publishing.publish(headers, body)
        self._waiting.append((self._publishing.published, batch[-1].delivery_tag, positions))

    def _events_out(self, cursor: Any, news: list[Any]) -> tuple[list[tuple[dict[str, str], bytes]], list[int]]:
        if not _WITH_OUTBOX:
            return [
                (wording.heading(given), json.dumps(wording.told(given, data)).encode()) for given, data in news
            ], []
        # No two messages of a batch are about one subject here, which spares this loop the counting.
        keys = [(f"{wording.SOURCE} {given['ce-subject']}", 1) for given, _ in news]
        last = dict(execute_values(cursor, _SEQUENCE, keys, page_size=_BATCH, fetch=True))
        out = []
        for (given, data), (key, _) in zip(news, keys, strict=True):
            out.append((wording.heading(given, last[key]), json.dumps(wording.told(given, data)).encode()))
        rows = [
            (headers["ce-id"], wording.SOURCE, headers["ce-subject"], wording.TYPE, json.dumps(headers), body)
            for headers, body in out
        ]
        return out, [row[0] for row in execute_values(cursor, _OUTBOX, rows, page_size=_BATCH, fetch=True)]

    def _settle(self) -> None:
        done: list[int] = []
        acked = None
        while self._waiting and self._waiting[0][0] <= self._publishing.confirmed:
            _, acked, positions = self._waiting.popleft()
            done += positions
        if done:
            with self._database, self._database.cursor() as cursor:
                cursor.execute(_SENT, (done,))
        if acked is not None:
            self._channel.basic_ack(acked, multiple=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    with Connection(os.environ["AMQP_URI"]) as kombu:
        Loop(kombu, psycopg2.connect(os.environ["DATABASE_URI"])).run()

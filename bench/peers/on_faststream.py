"""The bench handler on FastStream with asyncpg; acked by hand after the commit and the confirm. SETTING: prefetch."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import Any

import asyncpg
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue

from bench.peers import wording

PREFETCH = int(os.environ["SETTING"])
POOL = min(PREFETCH, 20)
_INBOX = wording.INBOX.format("$1", "$2", "$3")
_ROW = wording.ROW.format("$1", "$2", "$3")
_SEQUENCE = wording.SEQUENCE.format("$1")
_OUTBOX = wording.OUTBOX.format("$1", "$2", "$3", "$4", "$5", "$6")
_WITH_OUTBOX = bool(os.environ.get("OUTBOX"))

broker = RabbitBroker(os.environ["AMQP_URI"], default_channel=Channel(prefetch_count=PREFETCH), log_level=logging.ERROR)
events = RabbitExchange(wording.EXCHANGE, declare=False)
queue = RabbitQueue(
    os.environ["QUEUE"], queue_type=QueueType.QUORUM, durable=True, arguments={"x-single-active-consumer": True}
)
app = FastStream(broker)
_pools: list[Any] = []


@app.on_startup
async def open_pool() -> None:
    """Connect before the first message comes."""
    _pools.append(await asyncpg.create_pool(os.environ["DATABASE_URI"], min_size=POOL, max_size=POOL))


@broker.subscriber(queue, ack_policy=AckPolicy.MANUAL)
async def on_ticket_requested(data: dict[str, Any], message: RabbitMessage) -> None:
    """Write, commit, publish with its confirm, ack."""
    given, body, out = message.headers, wording.told(message.headers, data), None
    async with _pools[0].acquire() as connection, connection.transaction():
        if await connection.fetchval(_INBOX, given["ce-source"], given["ce-id"], given["ce-type"]):
            await connection.execute(_ROW, given["ce-id"], given["ce-subject"], data["title"])
            out = await _headers_out(connection, given, body)
    if out is not None:
        await broker.publish(
            body,
            exchange=events,
            routing_key=wording.TYPE,
            headers=out,
            persist=True,
            message_id=out["ce-id"],
            message_type=wording.TYPE,
        )
    await message.ack()


async def _headers_out(connection: Any, given: Any, body: Any) -> dict[str, str]:
    if not _WITH_OUTBOX:
        return wording.heading(given)
    subject = given["ce-subject"]
    out = wording.heading(given, await connection.fetchval(_SEQUENCE, f"{wording.SOURCE} {subject}"))
    payload = json.dumps(body).encode()
    await connection.execute(_OUTBOX, out["ce-id"], wording.SOURCE, subject, wording.TYPE, json.dumps(out), payload)
    return out


if __name__ == "__main__":
    asyncio.run(app.run())

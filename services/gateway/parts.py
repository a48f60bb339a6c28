"""What the HTTP door stands on, in one place."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from eventkit.blobs import BlobStore
from eventkit.links import Links
from eventkit.page import Health
from services.gateway.calling import Calling
from services.gateway.files import MAX_FILE_BYTES
from services.gateway.intake import Intake

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """engine: the gateway's database. askers: threads that ask several services at once.

    blobs: where attachments lie; None without a place for them. max_file_bytes: the largest one.
    """

    engine: Engine
    intake: Intake
    rpc: Calling
    ready: Health
    live: Health
    askers: ThreadPoolExecutor
    links: Links | None = None
    blobs: BlobStore | None = None
    max_file_bytes: int = MAX_FILE_BYTES

    def read(self, question: Callable[[Connection], T]) -> T:
        """Return the answer to a question to the database. Raises the database's error when it is away."""
        try:
            return self._ask(question)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # The pool held connections from before the database's restart; the next one is fresh.
        return self._ask(question)

    def _ask(self, question: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            return question(connection)

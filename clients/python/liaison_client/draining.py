"""The background thread that empties a spool, through any outage, while this process is the spool's drainer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from liaison_client.drainer_lock import DrainerLock
from liaison_client.errors import CannotSpool
from liaison_client.session import Ending, Session
from liaison_client.spool import Spool

_STAND_BY_S = 0.5
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)

log = logging.getLogger("liaison_client")


class Draining:
    """Drains until stopped. make_session: a fresh session for each connection."""

    def __init__(self, spool: Spool, make_session: Callable[[], Session]) -> None:
        self._spool = spool
        self._make_session = make_session
        self._lock = DrainerLock(spool.path)
        self._session: Session | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="liaison-client", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that the spool has new events."""
        if (session := self._session) is not None:
            session.wake()

    def stop(self, *, timeout_s: float) -> None:
        """End the thread; what is on its way is waited for, for a moment."""
        self._stopping.set()
        if (session := self._session) is not None:
            session.stop()
        self._thread.join(timeout_s)

    def begin_after_fork(self) -> None:
        """In the child: there is no thread, and the lock is the parent's."""
        self._lock.begin_after_fork()

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stopping.is_set():
                if not self._is_drainer():
                    self._stopping.wait(_STAND_BY_S)
                    continue
                ending = self._drain()
                failures = 0 if ending.confirmed else failures + 1
                self._stopping.wait(_RETRY_S[min(failures, len(_RETRY_S)) - 1] if failures else 0.0)
        finally:
            self._lock.release()

    def _is_drainer(self) -> bool:
        try:
            self._spool.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._lock.acquire()
        except OSError as error:
            log.warning("the spool cannot be locked", extra={"problem": str(error)})
            return False

    def _drain(self) -> Ending:
        session = self._session = self._make_session()
        if self._stopping.is_set():
            return Ending(None, 0)
        try:
            ending = session.run()
        except Exception as error:
            # Whatever it is: the events are kept, and the next connection tries again.
            log.exception("sending failed")
            ending = Ending(f"sending failed: {type(error).__name__}", 0)
        finally:
            self._session = None
        if ending.problem:
            log.warning("sending pauses", extra={"problem": ending.problem})
            try:
                self._spool.note("problem", ending.problem)
            except CannotSpool as error:
                log.warning("the spool cannot be written", extra={"problem": str(error)})
        return ending

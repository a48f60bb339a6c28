"""Connections to the mail server that stay open between mails, so that each mail does not begin with a greeting."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from services.notify.settings import SmtpServer

TIMEOUT_S = 20.0
#: A connection that has not been used for this long is closed: servers do not like to be kept waiting.
IDLE_S = 30.0
#: After this many mails a connection is closed; many servers allow no more in one session.
MAILS_EACH = 100


@dataclass(slots=True)
class Connection:
    """An open connection that has said hello and logged in. mails: how many were offered over it."""

    smtp: smtplib.SMTP
    mails: int = 0
    free_since: float = 0.0

    def close(self) -> None:
        """Take leave, and close it."""
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self.smtp.putcmd("quit")
        self.smtp.close()


class Connections:
    """The connections of one process to one server: as many as mails are under way, kept for the next ones."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._tls = None if server.scheme == "smtp" else ssl.create_default_context()
        self._free: list[Connection] = []
        self._guard = threading.Lock()
        self._sweeping = False
        # A process that ends takes leave of the server.
        self._end = weakref.finalize(self, _close_all, self._free, self._guard)

    def take(self) -> Connection:
        """Return a connection that answers, a new one when none is free. Raises what smtplib raises."""
        while (free := self._pop()) is not None:
            if _answers(free):
                return free
            free.close()
        return self.opened()

    def opened(self) -> Connection:
        """Return a new connection that has said hello and logged in; a no in this part is our fault, not the mail's."""
        server = self._server
        if server.scheme == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=self._tls)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.scheme == "smtp+starttls":
                smtp.starttls(context=self._tls)
                smtp.ehlo()
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return Connection(smtp)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose dialogue is in order for the next mail."""
        if connection.mails >= MAILS_EACH or connection.smtp.sock is None:
            connection.close()
            return
        connection.smtp.sock.settimeout(TIMEOUT_S)
        with self._guard:
            connection.free_since = monotonic()
            self._free.append(connection)
            sweep_now, self._sweeping = not self._sweeping, True
        if sweep_now:
            _in(IDLE_S, weakref.WeakMethod(self._sweep))

    def close(self) -> None:
        """Close what is free."""
        _close_all(self._free, self._guard)

    def _pop(self) -> Connection | None:
        with self._guard:
            # The one that was used last, so that the others grow old when there is little to do.
            return self._free.pop() if self._free else None

    def _sweep(self) -> None:
        """Close what has been free for too long, and come back while something is free."""
        old = monotonic() - IDLE_S
        with self._guard:
            gone = [one for one in self._free if one.free_since <= old]
            self._free[:] = [one for one in self._free if one.free_since > old]
            next_s = max(self._free[0].free_since - old, 0.0) if self._free else None
            self._sweeping = next_s is not None
        for one in gone:
            one.close()
        if next_s is not None:
            _in(next_s, weakref.WeakMethod(self._sweep))


def _in(seconds: float, method: weakref.WeakMethod[Callable[[], None]]) -> None:
    """Call a method after a while, unless its object is gone by then."""

    def call() -> None:
        if (bound := method()) is not None:
            bound()

    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _answers(connection: Connection) -> bool:
    """Ask for a fresh start of the dialogue, which also tells whether the server is still there."""
    try:
        code, _ = connection.smtp.rset()
    except (OSError, smtplib.SMTPException):
        return False
    return code == 250


def _close_all(free: list[Connection], guard: threading.Lock) -> None:
    with guard:
        gone = free[:]
        free.clear()
    for one in gone:
        one.close()

"""The one place that knows eventlet: it turns a process's threads and sockets into green ones."""

from __future__ import annotations

import warnings


def patch() -> None:
    """Patch the standard library and psycopg2; call it before anything else is imported.

    Waiting for the database is bounded: eventlet's own wait callback has no timeout and may hang for ever.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import eventlet
        import eventlet.hubs

    eventlet.monkey_patch()
    import psycopg2
    from psycopg2 import extensions

    def wait(connection: object, timeout_s: float = 60.0) -> None:
        while True:
            state = connection.poll()  # type: ignore[attr-defined]
            if state == extensions.POLL_OK:
                return
            reading = state == extensions.POLL_READ
            try:
                eventlet.hubs.trampoline(
                    connection.fileno(),  # type: ignore[attr-defined]
                    read=reading,
                    write=not reading,
                    timeout=timeout_s,
                    timeout_exc=TimeoutError,
                )
            except TimeoutError:
                connection.close()  # type: ignore[attr-defined]
                raise psycopg2.OperationalError(f"the database was silent for {timeout_s:.0f} s") from None

    extensions.set_wait_callback(wait)

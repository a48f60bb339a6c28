"""A small page that shows the kept mails to a person on this machine."""

import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.local.mailbox import KeptMail, MailFolder
from liaison.installation import HOST

_SHOWN = 100
_LOCAL_NAMES = {HOST, "localhost"}


class MailPage:
    """Serves the list at `/` and 200 at `/ready`, on a thread of its own."""

    def __init__(self, folder: MailFolder, port: int) -> None:
        self._server = ThreadingHTTPServer((HOST, port), _handler_for(folder))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def page(mails: list[KeptMail], total: int) -> str:
    """Return the list as HTML; nothing of a mail is passed on unescaped."""
    rows = "".join(
        f"<details><summary>{mail.kept_at:%Y-%m-%d %H:%M:%S} UTC &nbsp; <b>{escape(mail.subject) or '(no subject)'}"
        f"</b> &nbsp; {escape(', '.join(mail.to))}</summary><pre>{escape(mail.text)}</pre></details>\n"
        for mail in mails
    )
    return (
        '<!doctype html><html><head><meta charset="utf-8"><title>Liaison 联络台: mails</title>'
        "<style>body{font:15px sans-serif;margin:2em}pre{background:#f4f4f4;padding:1em;white-space:pre-wrap}"
        "summary{padding:.4em 0;cursor:pointer}</style></head><body>"
        f"<h1>Kept mails: {total}</h1><p>The last {len(mails)}, newest first. None of them was delivered.</p>"
        f"{rows}</body></html>"
    )


def _handler_for(folder: MailFolder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A foreign page must not read mails by pointing its own name at this machine.
            if self.headers.get("Host", "").rpartition(":")[0] not in _LOCAL_NAMES:
                self._answer(421, "text/plain", "ask for 127.0.0.1\n")
            elif self.path == "/ready":
                self._answer(200, "text/plain", "ready\n")
            elif self.path == "/":
                self._answer(200, "text/html", page(folder.newest(_SHOWN), folder.count()))
            else:
                self._answer(404, "text/plain", "only / and /ready\n")

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode("utf-8", "replace")
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing: addresses and subjects do not belong in a log."""

    return Handler

"""The mailbox over TLS: read when the certificate is known, away with its reason when it is not."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.local.servers import running_servers
from eventkit.errors import Unavailable
from liaison.installation import HOST
from services.gateway.mail.mailbox import Mailbox, MailboxAddress
from tests.gateway.mailroom import Mailroom
from tests.gateway.mails import mail


@pytest.fixture(scope="module")
def mailroom() -> Iterator[Mailroom]:
    with running_servers(parts=("dovecot",)) as servers:
        yield Mailroom(servers.installation)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the loopback address, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    command: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", folder / "key", "-out", folder / "certificate"]
    subprocess.run(command, check=True, capture_output=True)
    both = folder / "both"
    both.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return both


@pytest.fixture
def address(mailroom: Mailroom, certificate: Path) -> Iterator[MailboxAddress]:
    """The mailbox behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = socket.create_server((HOST, 0))
    threading.Thread(target=_serve, args=(listening, context, mailroom.address.port), daemon=True).start()
    yield dataclasses.replace(mailroom.address, port=listening.getsockname()[1], secure=True)
    listening.close()


def _serve(listening: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            inner, _ = listening.accept()
        except OSError:
            return
        with suppress(OSError):
            outer = context.wrap_socket(inner, server_side=True)
            server = socket.create_connection((HOST, port))
            for one, other in ((outer, server), (server, outer)):
                threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_a_mailbox_is_read_over_tls(
    mailroom: Mailroom, address: MailboxAddress, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mailroom.clear()
    mailroom.put(mail("geheim"))
    mailbox = Mailbox(address)
    [uid] = mailbox.uids()
    assert b"Subject" in (mailbox.message(uid) or b"")
    mailbox.close()


def test_a_certificate_that_nobody_knows_keeps_the_password_back(address: MailboxAddress) -> None:
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        Mailbox(address)

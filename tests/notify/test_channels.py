"""What a mail server may say or leave unsaid, at every point of the dialogue, and what that means for the mail."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest

from services.notify import channels, connections
from services.notify.channels import MailChannel, without_addresses
from services.notify.rules import LEASE_S, Said
from services.notify.settings import SmtpServer
from services.notify.wording import Letter

HANG, CLOSE = "hang", "close"
POLITE: dict[str, str] = {
    "greeting": "220 hello",
    "EHLO": "250-me\r\n250 AUTH PLAIN",
    "AUTH": "235 ok",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    ".": "250 kept",
    "QUIT": "221 bye",
}
LETTER = Letter("<d1@liaison.invalid>", "王芳", "w@example.invalid", "主题", "第一行\n.\n..第二\n", is_urgent=True)


class ScriptedServer:
    """An SMTP server that answers by a script. A reply may also be HANG (silence) or CLOSE (of the connection)."""

    def __init__(self, script: dict[str, str]) -> None:
        self._script = POLITE | script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.heard: list[str] = []
        self.content = b""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop, also when the script hangs."""
        self._over.set()
        # Wakes the accept below when nobody ever connected.
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        self._thread.join(timeout=10)
        self._listening.close()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        # The client closes when it has heard what it needs; nothing more need reach it.
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            if not self._say(connection, "greeting"):
                return
            for line in lines:
                verb = line.split(b" ")[0].strip().upper().decode()
                self.heard.append(line.decode().strip())
                if not self._say(connection, verb):
                    return
                if verb == "DATA" and self._script["DATA"].startswith("354"):
                    self.content = _up_to_the_dot(lines)
                    if not self._say(connection, "."):
                        return

    def _say(self, connection: socket.socket, key: str) -> bool:
        reply = self._script[key]
        if reply == HANG:
            self._over.wait(10)
        if reply in (HANG, CLOSE):
            return False
        connection.sendall(reply.encode() + b"\r\n")
        return True


def _up_to_the_dot(lines: Any) -> bytes:
    content = b""
    for line in lines:
        if line == b".\r\n":
            break
        content += line.removeprefix(b".") if line.startswith(b".") else line
    return content


Serving = Callable[..., ScriptedServer]


@pytest.fixture
def serving() -> Iterator[Serving]:
    """A factory of scripted servers: `serving(MAIL="451 later")`."""
    servers: list[ScriptedServer] = []

    def serve(**script: str) -> ScriptedServer:
        servers.append(ScriptedServer({"." if key == "content" else key: reply for key, reply in script.items()}))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def channel_to(port: int, scheme: str = "smtp", user: str = "") -> MailChannel:
    return MailChannel(SmtpServer(scheme, "127.0.0.1", port, user, "geheim"), "联络台 <no-reply@liaison.invalid>")


def test_the_whole_mail_arrives_as_it_was_written(serving: Serving) -> None:
    server = serving()
    answer = channel_to(server.port, user="u").send(LETTER)
    assert (answer.said, answer.code) == (Said.ACCEPTED, 250)
    mail = message_from_bytes(server.content, policy=policy.default)
    assert mail["From"] == "联络台 <no-reply@liaison.invalid>"
    assert mail["To"] == "王芳 <w@example.invalid>"
    assert (mail["Subject"], mail["Message-ID"]) == ("主题", LETTER.message_id)
    assert (mail["Importance"], mail["Auto-Submitted"]) == ("high", "auto-generated")
    assert mail.get_content().replace("\r", "") == LETTER.text
    assert server.content.isascii()
    assert any(line.startswith("AUTH PLAIN") for line in server.heard)


def test_a_line_that_begins_with_a_dot_stays(serving: Serving) -> None:
    server = serving()
    text = ".hidden\n.\n..\nplain\n"
    channel_to(server.port).send(Letter("<d@x.invalid>", "", "w@example.invalid", "s", text, is_urgent=False))
    mail = message_from_bytes(server.content, policy=policy.default)
    assert mail.get_content().replace("\r", "") == text
    assert mail["Importance"] is None


@pytest.mark.parametrize(
    ("script", "said", "code"),
    [
        pytest.param({"greeting": "421 busy"}, Said.LATER, 421, id="too busy to greet"),
        pytest.param({"greeting": "554 no"}, Said.LATER, 554, id="no greeting for us, which is no fault of the mail"),
        pytest.param({"greeting": CLOSE}, Said.LATER, 0, id="closes at once"),
        pytest.param({"greeting": HANG}, Said.LATER, 0, id="never greets"),
        pytest.param({"AUTH": "535 wrong"}, Said.LATER, 535, id="login refused, which is no fault of the mail"),
        pytest.param({"MAIL": "451 later"}, Said.LATER, 451, id="sender later"),
        pytest.param({"MAIL": "550 no"}, Said.REFUSED, 550, id="sender refused"),
        pytest.param({"MAIL": "530 log in first"}, Said.LATER, 530, id="wants a login, which is no fault of the mail"),
        pytest.param({"MAIL": CLOSE}, Said.LATER, 0, id="closes at the sender"),
        pytest.param({"RCPT": "450 full"}, Said.LATER, 450, id="mailbox full"),
        pytest.param({"RCPT": "550 none"}, Said.REFUSED, 550, id="no such mailbox"),
        pytest.param({"RCPT": "251 will forward"}, Said.ACCEPTED, 250, id="forwards"),
        pytest.param({"RCPT": "421 bye"}, Said.LATER, 421, id="goes away at the recipient"),
        pytest.param({"RCPT": HANG}, Said.LATER, 0, id="hangs at the recipient"),
        pytest.param({"DATA": "451 later"}, Said.LATER, 451, id="content later"),
        pytest.param({"DATA": "554 no"}, Said.REFUSED, 554, id="content refused unseen"),
        pytest.param({"DATA": "250 what"}, Said.LATER, 250, id="nonsense instead of consent"),
        pytest.param({"DATA": CLOSE}, Said.LATER, 0, id="closes before the content"),
        pytest.param({"content": "452 disk full"}, Said.LATER, 452, id="not kept"),
        pytest.param({"content": "554 spam"}, Said.REFUSED, 554, id="refused after reading"),
        pytest.param({"content": CLOSE}, Said.UNCLEAR, 0, id="closes instead of the last answer"),
        pytest.param({"content": HANG}, Said.UNCLEAR, 0, id="never gives the last answer"),
        pytest.param({"content": "what"}, Said.UNCLEAR, 0, id="nonsense for the last answer"),
        pytest.param({"QUIT": CLOSE}, Said.ACCEPTED, 250, id="rude at the end"),
    ],
)
def test_what_each_answer_means(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, script: dict[str, str], said: Said, code: int
) -> None:
    monkeypatch.setattr(connections, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(channels, "LAST_ANSWER_S", 0.3)
    answer = channel_to(serving(**script).port, user="u").send(LETTER)
    assert (answer.said, answer.code) == (said, code)
    assert bool(answer.reason) == (said is not Said.ACCEPTED)


def test_a_process_that_was_frozen_does_not_send_the_content_any_more(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, channels.MAX_DIALOGUE_S + 1])
    monkeypatch.setattr(channels, "monotonic", lambda: next(moments))
    server = serving()
    assert channel_to(server.port).send(LETTER).said is Said.LATER
    assert server.content == b""


def test_no_mail_goes_out_in_the_clear_when_encryption_was_asked_for(serving: Serving) -> None:
    server = serving()
    answer = channel_to(server.port, "smtp+starttls", "u").send(LETTER)
    assert answer.said is Said.LATER
    assert [line.split()[0] for line in server.heard] == ["ehlo"]


@pytest.mark.parametrize(
    "address", ["a,b@c", "a b@c.d", "<a@b", "@", "a@", "王@b.invalid", "w@例.invalid", "a@b>\r\nRCPT TO:<x@y"]
)
def test_an_address_that_is_none_is_refused_before_anybody_is_asked(address: str) -> None:
    letter = Letter("<d@x.invalid>", "x", address, "s", "t", is_urgent=False)
    assert channel_to(1).send(letter).said is Said.REFUSED


def test_what_servers_say_is_kept_without_addresses(serving: Serving) -> None:
    server = serving(RCPT="550 5.1.1 <w@example.invalid>: no such user w@example.invalid here")
    assert channel_to(server.port).send(LETTER).reason == "550 5.1.1 <<address>>: no such user <address> here"
    assert without_addresses("a@b c@d.e,f") == "<address> <address>"


def test_a_call_ends_within_its_lease() -> None:
    longest_s = channels.MAX_DIALOGUE_S + 2 * connections.TIMEOUT_S + channels.LAST_ANSWER_S
    assert longest_s < LEASE_S

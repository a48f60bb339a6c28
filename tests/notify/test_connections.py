"""A connection to the mail server carries many mails, and none is lost or doubled when the server has had enough."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import pytest

from deploy.local.mailbox import MailFolder
from deploy.local.mailserver import KEEP, KEEP_AND_DROP, REFUSE, MailServer, Verdict
from liaison.installation import free_port
from services.notify import connections
from services.notify.channels import MailChannel
from services.notify.rules import Said
from services.notify.settings import SmtpServer
from services.notify.wording import Letter
from tests.eventkit.desk import eventually
from tests.notify.test_channels import POLITE, channel_to


def letter(number: int) -> Letter:
    return Letter(f"<d{number}@x.invalid>", "王芳", "w@example.invalid", str(number), f"{number}\n", is_urgent=False)


class ManyMails:
    """An SMTP server for many mails over many connections. `patience`: how many mails it takes over each."""

    def __init__(self, patience: int, farewell: str | None) -> None:
        self._patience, self._farewell = patience, farewell
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.mails: list[int] = []
        self.verbs: list[str] = []
        self.taken_leave = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.mails.append(0)
            with connection, connection.makefile("rb") as lines:
                self._talk(connection, lines)

    def _talk(self, connection: socket.socket, lines: BufferedReader) -> None:
        connection.sendall(b"220 hello\r\n")
        for line in lines:
            verb = line.split(b" ")[0].strip().upper().decode()
            self.verbs.append(verb)
            if verb == "MAIL" and self.mails[-1] >= self._patience:
                if self._farewell:
                    connection.sendall(f"{self._farewell}\r\n".encode())
                return
            if verb == "QUIT":
                self.taken_leave += 1
                return
            connection.sendall(POLITE.get(verb, "250 ok").encode() + b"\r\n")
            if verb == "DATA":
                while next(lines) != b".\r\n":
                    pass
                self.mails[-1] += 1
                connection.sendall(b"250 kept\r\n")


@contextmanager
def many_mails(patience: int = 10_000, farewell: str | None = None) -> Iterator[ManyMails]:
    server = ManyMails(patience, farewell)
    try:
        yield server
    finally:
        server.close()


def test_many_mails_go_over_one_connection_which_is_asked_before_it_is_used_again() -> None:
    with many_mails() as server:
        channel = channel_to(server.port)
        assert [channel.send(letter(n)).said for n in range(5)] == [Said.ACCEPTED] * 5
        assert server.mails == [5]
        assert server.verbs.count("RSET") == 4
        channel.close()


def test_a_connection_is_left_after_so_many_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAILS_EACH", 3)
    with many_mails() as server:
        channel = channel_to(server.port)
        assert all(channel.send(letter(n)).said is Said.ACCEPTED for n in range(7))
        assert server.mails == [3, 3, 1]
        channel.close()
        eventually(lambda: server.taken_leave == 3)


@pytest.mark.parametrize("farewell", ["421 too many mails", None])
def test_a_server_that_has_had_enough_of_a_connection_gets_the_mail_over_a_new_one(farewell: str | None) -> None:
    with many_mails(patience=2, farewell=farewell) as server:
        channel = channel_to(server.port)
        assert [channel.send(letter(n)).said for n in range(5)] == [Said.ACCEPTED] * 5
        assert server.mails == [2, 2, 1]
        channel.close()


def test_a_server_that_refuses_everybody_is_asked_once_only() -> None:
    with many_mails(patience=0, farewell="421 busy") as server:
        answer = channel_to(server.port).send(letter(1))
        assert (answer.said, answer.code) == (Said.LATER, 421)
        assert len(server.mails) == 1


def test_a_connection_that_is_idle_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.3)
    with many_mails() as server:
        channel = channel_to(server.port)
        channel.send(letter(1))
        time.sleep(0.1)
        assert server.taken_leave == 0
        eventually(lambda: server.taken_leave == 1, timeout_s=2)
        assert channel.send(letter(2)).said is Said.ACCEPTED
        assert server.mails == [1, 1]
        eventually(lambda: server.taken_leave == 2, timeout_s=2)


def test_who_forgets_a_channel_leaves_no_connection_open() -> None:
    with many_mails() as server:
        channel_to(server.port).send(letter(1))
        gc.collect()
        eventually(lambda: server.taken_leave == 1, timeout_s=5)


@contextmanager
def real_server(folder: Path, port: int, judge: Callable[..., Verdict]) -> Iterator[MailFolder]:
    mails = MailFolder(folder)
    with MailServer(mails, port, free_port(), judge):
        yield mails


def test_four_threads_send_each_mail_once_through_refusals_and_restarts_of_the_server(tmp_path: Path) -> None:
    port, refused = free_port(), set(range(0, 200, 7))
    channel = MailChannel(SmtpServer("smtp", "127.0.0.1", port), "no-reply@liaison.invalid")

    def judge(_sender: str, _to: list[str], content: bytes) -> Verdict:
        number = int(content.split(b"Subject: ")[1].split()[0])
        return REFUSE if number in refused else KEEP

    said: dict[int, Said] = {}

    def work(numbers: range) -> None:
        for number in numbers:
            said[number] = channel.send(letter(number)).said

    for half in (range(100), range(100, 200)):
        with real_server(tmp_path / "mails", port, judge) as mails:
            threads = [threading.Thread(target=work, args=(half[n::4],)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    channel.close()
    assert {number for number, one in said.items() if one is Said.REFUSED} == refused
    assert {number for number, one in said.items() if one is not Said.REFUSED} == set(range(200)) - refused
    assert set(said.values()) == {Said.REFUSED, Said.ACCEPTED}
    kept = sorted(int(mail.subject) for mail in mails.newest(1000))
    assert kept == sorted(set(range(200)) - refused)


def test_after_a_lost_answer_the_next_mail_takes_a_new_connection(tmp_path: Path) -> None:
    port, verdicts = free_port(), [KEEP, KEEP_AND_DROP, KEEP]
    channel = MailChannel(SmtpServer("smtp", "127.0.0.1", port), "no-reply@liaison.invalid")
    with real_server(tmp_path / "mails", port, lambda *_: verdicts.pop(0)) as mails:
        said = [channel.send(letter(n)).said for n in range(3)]
        channel.close()
    assert said == [Said.ACCEPTED, Said.UNCLEAR, Said.ACCEPTED]
    assert len(mails.newest(10)) == 3

"""The mail door on a real IMAP server: each mail once, whatever ends in between; what cannot be read is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from deploy.local.servers import Servers, running_servers
from eventkit.blobs import FolderStore
from eventkit.database import open_engine
from liaison.installation import Installation
from services.gateway.mail.mailbox import Mailbox
from tests.eventkit.desk import database_of
from tests.gateway.door import FOLDER
from tests.gateway.mailroom import MAX_MAIL_BYTES, Mailroom, Reader
from tests.gateway.mails import head, mail

REQUESTED, UPDATED = "ticket.requested", "ticket.update_requested"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def post() -> Iterator[Servers]:
    with running_servers(parts=("dovecot",)) as servers:
        yield servers


@pytest.fixture
def mailroom(post: Servers) -> Mailroom:
    room = Mailroom(post.installation)
    room.clear()
    return room


@pytest.fixture
def reader(installation: Installation, mailroom: Mailroom, tmp_path: Path) -> Iterator[Reader]:
    engine = open_engine(database_of(installation, "gateway_mail", FOLDER), name="test")
    yield Reader(mailroom, engine, FolderStore(tmp_path))
    engine.dispose()


def test_a_new_mail_is_a_request_with_its_files(reader: Reader) -> None:
    reader.mailroom.put(mail("VPN 连不上\n\n发自我的 iPhone", files=(("截图.png", "image/png", b"\x89PNG"),)))
    assert reader.look() == 20.0
    [(kind, data)] = reader.told()
    [row] = reader.rows()
    assert kind == REQUESTED
    assert {name: data[name] for name in ("title", "description", "channel", "mail_from")} == {
        "title": "VPN 连不上",
        "description": "VPN 连不上",
        "channel": "mail",
        "mail_from": "e2001@example.invalid",
    }
    [file] = data["attachments"]
    assert (file["name"], file["content_type"], reader.blobs.get_object(file["sha256"])) == (
        "截图.png",
        "image/png",
        b"\x89PNG",
    )
    assert (row.became, row.sender, row.repeats) == ("request", "e2001@example.invalid", 0)
    assert reader.mailroom.lying_in() == []
    assert len(reader.mailroom.lying_in("Liaison.Done")) == 1
    assert (reader.up(), reader.woken) == (1.0, 1)


def test_an_answer_is_a_comment_without_what_it_answers(reader: Reader) -> None:
    text_ = "还是不行\n\n------------------ 原始邮件 ------------------\n您的工单已解决。"
    reader.mailroom.put(mail(text_, subject="回复: [T2026-000123] VPN"))
    reader.mailroom.put(mail("谢谢", subject="Re:", in_reply_to="<T2026-000124.0199@example.invalid>"))
    reader.look()
    assert [(kind, data["number"], data["comment"]) for kind, data in reader.told()] == [
        (UPDATED, "T2026-000123", "还是不行"),
        (UPDATED, "T2026-000124", "谢谢"),
    ]
    assert [row.number for row in reader.rows()] == ["T2026-000123", "T2026-000124"]


def test_whoever_answers_their_own_mail_speaks_of_the_same_ticket(reader: Reader) -> None:
    quoted = "\n\n------------------ 原始邮件 ------------------\nVPN 连不上"
    reader.mailroom.put(mail(subject="VPN", message_id="<first@example.invalid>"))
    reader.mailroom.put(
        mail(f"补充:账号 lin{quoted}", message_id="<second@example.invalid>", in_reply_to="<first@example.invalid>")
    )
    # Some programs name only the nearest mail.
    reader.mailroom.put(mail(f"还是不行{quoted}", in_reply_to="<second@example.invalid>"))
    reader.mailroom.put(mail("不相干的邮件", in_reply_to="<elsewhere@example.invalid>"))
    reader.look()
    first = reader.rows()[0].id
    assert [(kind, data.get("number"), data.get("comment")) for kind, data in reader.told()] == [
        (REQUESTED, None, None),
        (UPDATED, None, "补充:账号 lin"),
        (UPDATED, None, "还是不行"),
        (REQUESTED, None, None),
    ]
    with reader.engine.connect() as connection:
        sent = connection.execute(text("select aggregateid, headers from eventkit.outbox order by position")).all()
    assert [(one.aggregateid, one.headers["ce-externalref"]) for one in sent[:3]] == [(first, first)] * 3


def test_an_answer_to_an_answer_that_named_the_ticket_needs_no_number(reader: Reader) -> None:
    reader.mailroom.put(mail("还是不行", subject="Re: T2026-000123", message_id="<second@example.invalid>"))
    reader.mailroom.put(mail("补充一句", subject="补充", in_reply_to="<second@example.invalid>"))
    reader.look()
    assert [data["number"] for _, data in reader.told()] == ["T2026-000123", "T2026-000123"]


def test_machines_are_ignored_and_listed_with_why(reader: Reader) -> None:
    reader.mailroom.put(
        mail(auto_submitted="auto-replied", subject="Automatic reply: T2026-000123"),
        mail(sender="MAILER-DAEMON@mx.example.invalid", subject="Undelivered Mail"),
        mail(sender="desk@example.invalid"),
    )
    reader.look()
    assert reader.told() == []
    assert {(row.became, row.reason.partition(":")[0]) for row in reader.rows()} == {
        ("ignored", "automatic"),
        ("ignored", "a machine's address"),
        ("ignored", "loop"),
    }
    assert len(reader.mailroom.lying_in("Liaison.Done")) == 3


def test_two_machines_that_answer_each_other_come_to_an_end(reader: Reader) -> None:
    reader.mailroom.put(*[mail(f"自动 {number}", sender="robot@example.invalid") for number in range(8)])
    reader.look()
    assert len(reader.told()) == 5
    assert [row.became for row in reader.rows()].count("ignored") == 3


def test_the_same_mail_twice_counts_once(reader: Reader) -> None:
    same = mail(message_id="<same@example.invalid>")
    reader.mailroom.put(same, same)
    reader.look()
    reader.mailroom.put(same)
    reader.look()
    assert [kind for kind, _ in reader.told()] == [REQUESTED]
    assert [(row.became, row.repeats) for row in reader.rows()] == [("request", 2)]


def test_a_restored_mailbox_with_other_numbers_changes_nothing(reader: Reader, post: Servers) -> None:
    reader.mailroom.put(mail(), mail(message_id=""))
    reader.look()
    with_before = Mailbox(reader.settings.address)
    with_before.close()
    reader.mailroom.restore()
    post.stop("dovecot")
    reader.mailroom.lose_numbers()
    post.start("dovecot")
    with_after = Mailbox(reader.settings.address)
    with_after.close()
    assert with_after.validity != with_before.validity
    reader.look()
    assert len(reader.told()) == 2
    assert [row.repeats for row in reader.rows()] == [1, 1]
    assert reader.mailroom.lying_in() == []


def test_killed_before_the_commit_a_mail_is_read_again(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.mailroom.put(mail(files=(("a.txt", "text/plain", b"x"),)))
    with monkeypatch.context() as patch:
        patch.setattr("services.gateway.mail.storage.MailStore.saw", _killed)
        with pytest.raises(Killed):
            reader.look()
    assert (reader.rows(), reader.told(), len(reader.mailroom.lying_in())) == ([], [], 1)
    reader.look()
    assert ([kind for kind, _ in reader.told()], len(reader.rows())) == ([REQUESTED], 1)


def test_killed_after_the_commit_a_mail_is_only_put_away(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.mailroom.put(mail())
    with monkeypatch.context() as patch:
        patch.setattr("services.gateway.mail.mailbox.Mailbox.put_away", _killed)
        with pytest.raises(Killed):
            reader.look()
    assert len(reader.mailroom.lying_in()) == 1
    reader.look()
    assert ([kind for kind, _ in reader.told()], reader.rows()[0].repeats) == ([REQUESTED], 0)
    assert reader.mailroom.lying_in() == []


def _killed(*_arguments: Any) -> None:
    raise Killed


def _only_searching(uid: Callable[..., Any]) -> Callable[..., Any]:
    def searched(command: str, *arguments: str) -> Any:
        assert command == "SEARCH"
        return uid(command, *arguments)

    return searched


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"\xff\xfe\x01 no mail at all" * 50, "no header", id="garbage"),
        pytest.param(b"Subject: who?\r\n\r\nx", "From", id="no sender"),
    ],
)
def test_what_cannot_be_read_is_shown_to_a_person_whole(reader: Reader, raw: bytes, reason: str) -> None:
    reader.mailroom.put(raw, mail())
    reader.look()
    [(kind, data), (other, _)] = reader.told()
    assert (kind, other) == (REQUESTED, REQUESTED)
    assert data["title"].startswith("无法读取的邮件")
    assert reason in data["description"]
    [file] = data["attachments"]
    kept = reader.blobs.get_object(file["sha256"])
    assert file["name"] == "原邮件.eml"
    assert kept.replace(b"\r\n", b"\n").strip() == raw.replace(b"\r\n", b"\n").strip()
    assert reader.rows()[0].became == "unreadable"
    assert len(reader.mailroom.lying_in("Liaison.Problem")) == 1


_FROM = b"From: a@example.invalid\r\n"
_NESTED = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
_HOSTILE = {
    "NUL": b"From: a\x00b@example.invalid\r\nMessage-ID: <\x00\xff@x>\r\nPrecedence: \x00bulk\r\n\r\n\x00x",
    "surrogates": _FROM + b"Subject: \xed\xa0\x80 =?utf-8?B?7aCA?=\r\n\r\n\xed\xa0\x80",
    "nested": _FROM + b"".join(_NESTED % (number, number) for number in range(3000)),
    "header without end": _FROM + b"Subject: " + b"x" * 150_000 + b"\r\n\r\nx",
}


@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in _HOSTILE.items()])
def test_hostile_mails_stop_nothing(reader: Reader, raw: bytes) -> None:
    reader.mailroom.put(raw, mail(subject="打印机"))
    reader.look()
    assert [data["title"] for _, data in reader.told()][-1] == "打印机"
    assert len(reader.rows()) == 2
    assert reader.mailroom.lying_in() == []


def test_what_nobody_foresaw_is_shown_to_a_person_and_the_next_mail_is_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(mail: Any) -> None:
        raise ZeroDivisionError

    reader.mailroom.put(mail())
    with monkeypatch.context() as patch:
        patch.setattr("services.gateway.mail.usecases.keep_out", fails)
        reader.look()
    reader.mailroom.put(mail())
    reader.look()
    assert [row.became for row in reader.rows()] == ["unreadable", "request"]
    assert "ZeroDivisionError" in reader.told()[0][1]["description"]
    assert len(reader.mailroom.lying_in("Liaison.Problem")) == 1


def test_a_mail_that_is_too_large_is_left_whole_and_told_of(reader: Reader) -> None:
    reader.mailroom.put(mail("很大", subject="大邮件", files=(("a.zip", "application/zip", b"PK" * MAX_MAIL_BYTES),)))
    reader.look()
    [(_, data)] = reader.told()
    assert (data["title"], data["mail_from"]) == ("无法读取的邮件:大邮件", "e2001@example.invalid")
    assert "bytes" in data["description"]
    assert "attachments" not in data
    [left] = reader.mailroom.lying_in("Liaison.Problem")
    assert message_from_bytes(left, policy=policy.default)["Subject"] == "大邮件"


def test_a_mail_of_thirty_mib_is_not_even_fetched(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.settings = dataclasses.replace(reader.settings, max_mail_bytes=28 * 1024 * 1024)
    reader.mailroom.put(mail("x", files=(("a.zip", "application/zip", b"PK" * (11 * 1024 * 1024)),)))
    monkeypatch.setattr("services.gateway.mail.mailbox.Mailbox.message", _killed)
    reader.look()
    assert [row.became for row in reader.rows()] == ["unreadable"]


def test_a_forged_sender_speaks_for_nobody(reader: Reader) -> None:
    guards = dataclasses.replace(reader.settings.guards, checked_by="mx.example.invalid")
    reader.settings = dataclasses.replace(reader.settings, guards=guards)
    raw = mail("请重置我的密码", subject="T2026-000123")
    reader.mailroom.put(head(raw, Authentication_Results="mx.example.invalid; dmarc=fail"))
    reader.look()
    [(kind, data)] = reader.told()
    assert (kind, data.get("mail_from")) == (REQUESTED, None)
    assert "e2001@example.invalid" in data["description"]
    assert [one["name"] for one in data["attachments"]] == ["原邮件.eml"]


def test_a_secret_stays_outside_and_a_person_is_told_with_advice(reader: Reader) -> None:
    reader.mailroom.put(
        mail("【机密】演习计划", subject="请协助"),
        mail("看附件", subject="请打印", files=(("【绝密】计划.txt", "text/plain", b"x"),)),
    )
    reader.look()
    told = reader.told()
    assert all("密级" in data["description"] and "attachments" not in data for _, data in told)
    assert not any("演习" in str(data) or "协助" in str(data) or "计划" in str(data) for _, data in told)
    assert not any(path.is_file() for path in reader.blobs.folder.rglob("*"))
    assert [(row.became, row.title) for row in reader.rows()] == [("unreadable", "")] * 2
    assert len(reader.mailroom.lying_in("Liaison.Problem")) == 2


def test_files_that_are_not_taken_are_named_with_why(reader: Reader) -> None:
    reader.mailroom.put(
        mail("见附件", files=(("发票.exe", "application/octet-stream", b"MZ"), ("a.txt", "text/plain", b"x")))
    )
    reader.look()
    [(_, data)] = reader.told()
    assert "附件未保存:发票.exe" in data["description"]
    assert [one["name"] for one in data["attachments"]] == ["a.txt"]


def test_a_long_text_goes_along_as_a_file(reader: Reader) -> None:
    long = "错误日志 " * 5_000
    reader.mailroom.put(mail(long))
    reader.look()
    [(_, data)] = reader.told()
    assert len(data["description"]) < 11_000
    [whole] = data["attachments"]
    assert reader.blobs.get_object(whole["sha256"]).decode().split() == long.split()


def test_without_a_place_for_files_a_mail_is_taken_all_the_same(reader: Reader) -> None:
    reader.blobs = None  # type: ignore[assignment]
    reader.mailroom.put(mail(files=(("a.txt", "text/plain", b"x"),)), b"\xff garbage")
    reader.look()
    assert [row.became for row in reader.rows()] == ["request", "unreadable"]
    assert "LIAISON_BLOBS" in reader.told()[0][1]["description"]


def test_a_mailbox_that_is_away_is_told_and_tried_again(reader: Reader, post: Servers) -> None:
    door = reader.door()
    assert (door.look(), reader.up()) == (20.0, 1.0)
    post.kill9("dovecot")
    assert (door.look(), reader.up()) == (30.0, 0.0)
    post.start("dovecot")
    reader.mailroom.put(mail())
    assert (door.look(), reader.up()) == (20.0, 1.0)
    door.close()
    assert [row.became for row in reader.rows()] == ["request"]


def test_where_nothing_can_be_moved_a_mail_is_marked_and_read_once(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.mailroom.put(mail(), mail())
    door = reader.door()
    door._mailbox = Mailbox(reader.settings.address)
    door._mailbox._abilities.remove(b"MOVE")
    door.look()
    assert len(reader.mailroom.lying_in()) == 2
    monkeypatch.setattr("services.gateway.mail.mailbox.Mailbox.message", _killed)
    monkeypatch.setattr(door._mailbox._server, "uid", _only_searching(door._mailbox._server.uid))
    door.look()
    door.close()
    assert [row.repeats for row in reader.rows()] == [0, 0]


def test_a_wrong_password_is_a_mailbox_that_is_away(reader: Reader) -> None:
    reader.settings = dataclasses.replace(
        reader.settings, address=dataclasses.replace(reader.settings.address, password="wrong")
    )
    reader.look()
    assert reader.up() == 0.0

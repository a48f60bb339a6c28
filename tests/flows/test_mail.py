"""Stories of mails through the whole system: a real mailbox, a real mail server, and the services in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from deploy.local.mailbox import MailFolder
from deploy.local.servers import running_servers
from liaison.installation import Installation
from liaison.mail import mail as mail_command
from liaison.people import forget_person
from tests.eventkit.desk import eventually
from tests.flows.enterprise import Enterprise, address_of
from tests.flows.test_forgetting import places_that_know
from tests.gateway.mailroom import Mailroom
from tests.gateway.mails import mail
from tests.system import System, running_system

PICTURE = b"\x89PNG what E2001 sees"


@pytest.fixture(scope="module")
def mailroom() -> Iterator[Mailroom]:
    with running_servers(parts=("dovecot",)) as servers:
        yield Mailroom(servers.installation)


@pytest.fixture(scope="module")
def system(
    installation: Installation, mails: MailFolder, mailroom: Mailroom, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    logs = Path(tmp_path_factory.mktemp("logs"))
    with running_system(installation, logs, {"gateway": mailroom.environment}) as system:
        yield system


@pytest.fixture(scope="module")
def enterprise(system: System) -> Enterprise:
    return Enterprise(system)


def ticket(system: System, title: str) -> Any:
    """Wait for a ticket and return it."""
    return eventually(lambda: system.rows("tickets", "select * from ticket where title = :title", title=title))[0]


def became(system: System, title: str) -> Any:
    """Wait until a mail was taken and return its row."""
    return eventually(lambda: system.rows("gateway", "select * from mail_in where title = :title", title=title))[0]


def from_person(number: str, text: str, **more: Any) -> bytes:
    return mail(text, sender=f"某人 <{address_of(number)}>", **more)


def test_a_mail_becomes_a_ticket_and_the_reply_to_our_mail_its_comment(
    system: System, enterprise: Enterprise, mailroom: Mailroom, mails: MailFolder
) -> None:
    # Given a mail of somebody whom HR knows, with a picture
    mailroom.put(
        from_person("E2001", "登录时报错,见图", subject="总账打不开", files=(("截图.png", "image/png", PICTURE),))
    )
    row = ticket(system, "总账打不开")
    assert (row.requester, row.channel, row.description, row.region) == ("E2001", "mail", "登录时报错,见图", "华东")
    # Then its picture comes out at the door
    [file] = enterprise.ask("GET", f"/v1/tickets/{row.number}/attachments")["items"]
    assert _downloaded(enterprise, row.number, file["id"]) == PICTURE
    # When the ticket is solved, our mail answered without a word in the subject
    enterprise.ask("POST", f"/v1/tickets/{row.number}/resolve", {"solution": "重启客户端"})
    ours = eventually(lambda: _mails_to(mails, "E2001"), what="the mail about the solution")[0]
    assert row.number in ours["Message-ID"]
    quoted = f"还是打不开\n\n{ours['From']} 于2026年3月2日周一 09:15写道:\n\n> 重启客户端"
    mailroom.put(from_person("E2001", quoted, subject="Re:", in_reply_to=ours["Message-ID"]))
    # Then the reply is a comment of the requester's, without what it quotes
    comments = eventually(lambda: enterprise.ask("GET", f"/v1/tickets/{row.number}/comments")["items"])
    assert [(one["actor"], one["body"]) for one in comments] == [("E2001", "还是打不开")]
    # And whoever holds the ticket is told of it
    [told] = eventually(lambda: [one for one in mails.newest(100) if "提出人有新的回复" in one.subject])
    assert address_of(row.assignee) in told.to
    assert "还是打不开" in told.text
    # And a stranger who has seen the number opens a ticket of their own
    mailroom.put(mail("我也是", sender="stranger@elsewhere.invalid", subject=f"回复: {row.number} 我也是"))
    other = ticket(system, f"回复: {row.number} 我也是")
    assert (other.requester, other.mail_from) == (None, "stranger@elsewhere.invalid")
    assert len(enterprise.ask("GET", f"/v1/tickets/{row.number}/comments")["items"]) == 1


def _mails_to(mails: MailFolder, number: str) -> list[Any]:
    found = [message_from_bytes(one.raw, policy=policy.default) for one in mails.newest(100)]
    return [one for one in found if address_of(number) in str(one["To"])]


def _downloaded(enterprise: Enterprise, number: str, file_id: str) -> bytes:
    headers = {"Authorization": f"Bearer {enterprise._token('admin')}"}
    url = f"{enterprise.url}/v1/tickets/{number}/attachments/{file_id}"
    return httpx.get(url, headers=headers, timeout=20, trust_env=False).content


def test_an_out_of_office_reply_is_listed_with_why_and_opens_nothing(
    system: System, enterprise: Enterprise, mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailroom.put(from_person("E2001", "休假中", subject="自动回复: 外出", auto_submitted="auto-replied"))
    assert became(system, "自动回复: 外出").became == "ignored"
    monkeypatch.setenv("LIAISON_HOME", str(system.installation.home))
    monkeypatch.setenv("COLUMNS", "200")
    told = CliRunner().invoke(mail_command, ["list", "--became", "ignored"], catch_exceptions=False).output
    assert "Auto-Submitted is auto-replied" in told
    assert system.rows("tickets", "select from ticket where title like '自动回复%'") == []


def test_a_gateway_killed_again_and_again_takes_every_mail_once(
    system: System, enterprise: Enterprise, mailroom: Mailroom
) -> None:
    wanted = {f"第 {number} 封" for number in range(25)}
    # Some of them without a Message-ID.
    changes = {title: {"message_id": ""} if "3" in title else {} for title in wanted}
    mailroom.put(*[from_person("E2009", "x", subject=title, **changes[title]) for title in sorted(wanted)])
    for _ in range(3):
        time.sleep(0.4)
        system.kill9("gateway")
        system.start(["gateway"])

    def arrived() -> bool:
        rows = system.rows("tickets", "select title from ticket where title like '第 %'")
        return {row.title for row in rows} == wanted

    eventually(arrived, timeout_s=40)
    eventually(lambda: not mailroom.lying_in())
    assert system.one("tickets", "select count(*) from ticket where title like '第 %'") == len(wanted)
    assert system.one("tickets", "select max(occurrences) from ticket") == 1


def test_garbage_is_shown_to_the_desk(system: System, enterprise: Enterprise, mailroom: Mailroom) -> None:
    mailroom.put(b"\xff\xfe\x00 nothing that is a mail")
    row = eventually(lambda: system.rows("tickets", "select * from ticket where title like '无法读取的邮件%'"))[0]
    [file] = enterprise.ask("GET", f"/v1/tickets/{row.number}/attachments")["items"]
    assert file["name"] == "原邮件.eml"
    assert b"nothing that is a mail" in _downloaded(enterprise, row.number, file["id"])


def test_a_forgotten_persons_mails_and_files_are_nowhere(
    system: System, enterprise: Enterprise, mailroom: Mailroom
) -> None:
    known = {
        "employee_number": "E9007",
        "version": 1,
        "name": "龙傲天",
        "email": "longaotian@example.invalid",
        "department": "集团",
    }
    enterprise.publish("hr", "person.changed", "person-E9007", known, subject="E9007")
    eventually(lambda: system.rows("tickets", "select from person where employee_number = 'E9007'"))
    mine, shared = b"only of E9007", b"of two people"
    files = (("私.txt", "text/plain", mine), ("共.txt", "text/plain", shared))
    mailroom.put(mail("请保密", sender="longaotian@example.invalid", subject="忘记我", files=files))
    mailroom.put(from_person("E2009", "一样的附件", subject="另一个人的", files=(("共.txt", "text/plain", shared),)))
    ticket(system, "忘记我")
    other = ticket(system, "另一个人的")
    system.settle()
    blobs = system.installation.blobs_folder
    # When the person is forgotten
    forget_person(system.installation, "E9007")
    # Then the address, the words and the file are nowhere, and what somebody else has too is still theirs
    assert places_that_know(system) == []
    assert [path for path in blobs.rglob("*") if path.is_file() and path.read_bytes() == mine] == []
    [file] = enterprise.ask("GET", f"/v1/tickets/{other.number}/attachments")["items"]
    assert _downloaded(enterprise, other.number, file["id"]) == shared

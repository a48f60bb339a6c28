"""The mail server keeps what it answers 250 to, shows it, and fails on request."""

import gc
import smtplib
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from deploy.local.mailbox import MailFolder
from deploy.local.mailserver import DROP, KEEP, KEEP_AND_DROP, REFUSE, TRY_LATER, MailServer, Verdict
from liaison.installation import free_port


def a_mail(subject: str = "工单 <42> 已受理", text: str = "您好，预计一小时内答复。\n.\n") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "desk@liaison.invalid", "lin@example.invalid", subject
    mail.set_content(text)
    return mail


def send(port: int, mail: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
        smtp.send_message(mail)


def judging(*verdicts: Verdict) -> Callable[[str, list[str], bytes], Verdict]:
    left = list(verdicts)
    return lambda _sender, _to, _content: left.pop(0)


def test_a_kept_mail_can_be_read_back(tmp_path: Path) -> None:
    port, page_port, folder = free_port(), free_port(), MailFolder(tmp_path)
    with MailServer(folder, port, page_port):
        send(port, a_mail())
        shown = httpx.get(f"http://127.0.0.1:{page_port}/", trust_env=False).text
    [mail] = folder.newest(10)
    assert (mail.subject, mail.to, mail.sender) == (
        "工单 <42> 已受理",
        ("lin@example.invalid",),
        "desk@liaison.invalid",
    )
    assert mail.text.replace("\r", "") == "您好，预计一小时内答复。\n.\n"
    assert abs(mail.kept_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert "工单 &lt;42&gt; 已受理" in shown
    assert "<42>" not in shown


def test_a_server_that_ends_leaves_no_connection_open(tmp_path: Path) -> None:
    # Given clients that have just come, so that some are being greeted and some are not known yet
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(30):
            port = free_port()
            with MailServer(MailFolder(tmp_path), port, free_port()):
                clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
            for client in clients:
                client.close()
        gc.collect()
    assert [str(one.message) for one in left if "unclosed" in str(one.message)] == []


def test_the_page_answers_only_under_local_names(tmp_path: Path) -> None:
    page_port = free_port()
    with MailServer(MailFolder(tmp_path), free_port(), page_port):
        answer = httpx.get(f"http://127.0.0.1:{page_port}/", headers={"Host": "evil.invalid:80"}, trust_env=False)
    assert answer.status_code == 421


@pytest.mark.parametrize(("verdict", "code"), [(TRY_LATER, 451), (REFUSE, 550)])
def test_a_refused_mail_is_not_kept(tmp_path: Path, verdict: Verdict, code: int) -> None:
    port, folder = free_port(), MailFolder(tmp_path)
    with MailServer(folder, port, free_port(), judging(verdict, KEEP)):
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            send(port, a_mail("first"))
        send(port, a_mail("second"))
    assert refusal.value.smtp_code == code
    assert [mail.subject for mail in folder.newest(10)] == ["second"]


@pytest.mark.parametrize(("verdict", "kept"), [(KEEP_AND_DROP, 1), (DROP, 0)])
def test_a_dropped_connection_says_nothing_about_what_was_kept(tmp_path: Path, verdict: Verdict, kept: int) -> None:
    port, folder = free_port(), MailFolder(tmp_path)
    with MailServer(folder, port, free_port(), judging(verdict)), pytest.raises(smtplib.SMTPServerDisconnected):
        send(port, a_mail())
    assert folder.count() == kept


def test_the_kept_mails_can_be_listed_in_a_terminal(tmp_path: Path) -> None:
    MailFolder(tmp_path).keep(a_mail().as_bytes(), sender="desk@liaison.invalid", to=["lin@example.invalid"])
    command = [sys.executable, "-m", "deploy.local.smtp", "list", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    assert "工单 <42> 已受理" in shown

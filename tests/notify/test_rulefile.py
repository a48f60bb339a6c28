"""A wrong rule, word or setting keeps notify from starting, and every fault is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventkit.errors import BadSettings
from services.notify.lined_yaml import Faults
from services.notify.rulefile import read_rules
from services.notify.rules import AfterCrash, Role, When
from services.notify.settings import Settings, SmtpServer
from tests.notify.test_rules import ENV

TEMPLATES = {"ticket_receipt", "ticket_task"}
GOOD = """\
rules:
  - name: receipt
    event: liaison.ticket.opened.v1
    to: [requester, desk]
    template: ticket_receipt
    priority: 3
    when: nobody_assigned
    after_crash: repeat
    waits_for: liaison.answer.suggested.v1
    at_most_s: 2.5
"""


def faults_of(path: Path, text: str) -> list[str]:
    path.write_text(text, "utf-8")
    faults = Faults()
    read_rules(path, TEMPLATES, faults)
    return [fault.removeprefix(f"{path}:") for fault in faults.found]


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path, faults = tmp_path / "rules.yaml", Faults()
    path.write_text(GOOD, "utf-8")
    book = read_rules(path, TEMPLATES, faults)
    assert not faults.found
    [rule] = book["liaison.ticket.opened.v1"]
    assert (rule.to, rule.when, rule.after_crash) == (
        (Role.REQUESTER, Role.DESK),
        When.NOBODY_ASSIGNED,
        AfterCrash.REPEAT,
    )
    assert (rule.waits_for, rule.at_most_s) == ("liaison.answer.suggested.v1", 2.5)


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (("ticket.opened.v1", "ticket.opend.v1"), 3, "unknown event type 'liaison.ticket.opend.v1'"),
        (("[requester, desk]", "[requester, boss]"), 4, "unknown recipient 'boss'"),
        (("[requester, desk]", "boss"), 4, "unknown recipient 'boss'"),
        (("[requester, desk]", "[]"), 4, "to names nobody"),
        (("[requester, desk]", "7"), 4, "unknown recipient 7"),
        (("template: ticket_receipt", "template: tickt"), 5, "there is no template 'tickt'"),
        (("priority: 3", "priority: 5"), 6, "priority must be 1, 2, 3 or 4, not 5"),
        (("priority: 3", "priority: high"), 6, "priority must be 1, 2, 3 or 4, not 'high'"),
        (("priority: 3", "priority: yes"), 6, "priority must be 1, 2, 3 or 4, not True"),
        (("priority: 3", "priorty: 3"), 2, "priority is missing"),
        (("priority: 3", "priorty: 3"), 6, "unknown key 'priorty'"),
        (("nobody_assigned", "always"), 7, "unknown when 'always'"),
        (("repeat", "twice"), 8, "unknown aftercrash 'twice'"),
        (("after_crash: repeat", "medium: pigeon"), 8, "unknown medium 'pigeon'"),
        (("after_crash: repeat", "medium: other"), 8, "unknown medium 'other'"),
        (("after_crash: repeat", "name: again"), 8, "'name' stands here twice"),
        (("name: receipt", "name: ''"), 2, "must be a text, not ''"),
        (("[requester, desk]", "[requester, learner]"), 4, "liaison.ticket.opened.v1 has no learner"),
        (("nobody_assigned", "critical"), 7, "liaison.ticket.opened.v1 has no severity, which critical asks for"),
        (("answer.suggested", "answer.sugested"), 9, "unknown event to wait for 'liaison.answer.sugested.v1'"),
        (("ticket.opened.v1", "ticket.resolved.v1"), 9, "unknown event to wait for"),
        (("2.5", "0"), 10, "must be seconds, more than 0 and at most 60, not 0"),
        (("2.5", "61"), 10, "must be seconds"),
        (("2.5", "soon"), 10, "must be seconds"),
        (("    waits_for: liaison.answer.suggested.v1\n", ""), 9, "at_most_s says nothing without waits_for"),
        (("rules:", "rulez:"), 1, "rules is missing"),
        (("rules:\n", "rules: none\nx:\n"), 1, "rules must be a list"),
        (("[requester", "[[requester"), 5, "not YAML"),
    ],
)
def test_a_wrong_rule_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], line: int, reason: str) -> None:
    found = faults_of(tmp_path / "rules.yaml", GOOD.replace(*change))
    assert any(fault.startswith(f"{line}: {reason}") for fault in found), found


def test_two_rules_of_one_name_are_a_fault(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "r.yaml", GOOD + GOOD.removeprefix("rules:\n")) == [
        "11: there is a rule named 'receipt' already"
    ]


@pytest.mark.parametrize("text", ["", "- 1", "rules: []", "\x00", "rules:\n  - 7\n"])
def test_a_file_that_is_no_rule_file_is_a_fault(tmp_path: Path, text: str) -> None:
    assert faults_of(tmp_path / "rules.yaml", text)


def test_every_fault_of_settings_and_rules_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD.replace("ticket_receipt", "nope").replace("desk]", "boss]"), "utf-8")
    env = ENV | {"LIAISON_NOTIFY_RULES": str(path), "SMTP_URI": "http://mail", "LIAISON_DESK_MAIL": "desk"}
    del env["LIAISON_MAIL_FROM"]
    with pytest.raises(BadSettings) as failure:
        Settings.from_env(env)
    told = str(failure.value)
    for part in (f"{path}:4: ", f"{path}:5: ", "LIAISON_MAIL_FROM", "SMTP_URI must be smtp://", "LIAISON_DESK_MAIL: "):
        assert part in told


def test_a_rule_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        Settings.from_env(ENV | {"LIAISON_NOTIFY_RULES": str(tmp_path / "none.yaml")})


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        ("smtp://mail", SmtpServer("smtp", "mail", 25)),
        ("smtps://u:p%40ss@mail", SmtpServer("smtps", "mail", 465, "u", "p@ss")),
        ("smtp+starttls://u:p@mail:2525", SmtpServer("smtp+starttls", "mail", 2525, "u", "p")),
    ],
)
def test_mail_server_addresses(uri: str, server: SmtpServer) -> None:
    assert SmtpServer.from_uri(uri) == server


def test_a_wrong_address_does_not_give_the_password_away() -> None:
    with pytest.raises(BadSettings) as failure:
        Settings.from_env(ENV | {"SMTP_URI": "smtpx://u:geheim@mail"})
    assert "geheim" not in str(failure.value)
    assert "geheim" not in repr(SmtpServer.from_uri("smtp://u:geheim@mail"))

"""The policy file: which service level a ticket has, and what is wrong in a wrong file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts.tickets import Target
from contracts.words import Channel
from eventkit.errors import BadSettings
from services.tickets import settings
from services.tickets.business_time.allowance import Allowance
from services.tickets.business_time.files import SHIPPED as SHIPPED_CALENDARS
from services.tickets.business_time.files import load_calendars
from services.tickets.settings import Settings
from services.tickets.sla.policy_file import read_policy

POLICY = Settings.from_env({}).policy
SHIPPED = Path(settings.__file__).with_name("policy.yaml")


def ticket(**fields: Any) -> dict[str, Any]:
    return {"channel": "web", "priority": 3, "region": "华东"} | fields


@pytest.mark.parametrize(
    ("fields", "level", "response_s", "solution_s"),
    [
        pytest.param({}, "通用", 3600, 4 * 3600, id="T2: an hour and four hours"),
        pytest.param({"priority": 2}, "通用", 1800, 4 * 3600, id="an urgent one is answered sooner"),
        pytest.param({"channel": "hotline"}, "热线与在线", 1800, 4 * 3600, id="T1: hotline within 30 minutes"),
        pytest.param({"channel": "chat"}, "热线与在线", 1800, 4 * 3600, id="T1: chat within 30 minutes"),
        pytest.param({"channel": "mail"}, "邮件", 24 * 3600, 3 * 8 * 3600, id="T1: mail within a day, 3 workdays"),
        pytest.param({"channel": "mail", "priority": 1}, "重大故障", 900, 4 * 3600, id="the first that applies"),
    ],
)
def test_a_ticket_has_the_first_level_that_applies(
    fields: dict[str, Any], level: str, response_s: int, solution_s: int
) -> None:
    aims = [POLICY.aim_of(target, ticket(**fields)) for target in (Target.FIRST_RESPONSE, Target.SOLUTION)]
    assert [(aim.level, aim.target_s) for aim in aims if aim] == [(level, response_s), (level, solution_s)]


def test_mail_is_answered_in_clock_hours_and_solved_in_workdays() -> None:
    goals = POLICY.level_for(ticket(channel="mail")).goals
    assert (goals[Target.FIRST_RESPONSE].calendar, goals[Target.SOLUTION].calendar) == ("7x24", "5x8")


def test_every_channel_and_priority_has_all_three_targets() -> None:
    for channel in Channel:
        for priority in (1, 2, 3, 4):
            assert len(POLICY.level_for(ticket(channel=str(channel), priority=priority)).goals) == 3


def test_a_region_has_its_own_form_of_a_calendar() -> None:
    assert POLICY.calendar("5x8", "新疆").name == "5x8-xinjiang"
    assert POLICY.calendar("5x8", "华东").name == "5x8"


@pytest.mark.parametrize(("region", "days"), [(None, 3 * 8), ("新疆", 3 * 8), ("工厂", 3 * 24)])
def test_a_workday_is_as_long_as_the_regions_own_calendar_has_it(region: str | None, days: int) -> None:
    aim = POLICY.aim_of(Target.SOLUTION, ticket(channel="mail", region=region))
    assert aim is not None
    assert aim.target_s == days * 3600


def test_workdays_are_refused_where_a_regions_own_calendar_has_none(tmp_path: Path) -> None:
    calendars = tmp_path / "calendars"
    shutil.copytree(SHIPPED_CALENDARS, calendars)
    (calendars / "fair.yaml").write_text(
        'base: 5x8\nregion: 展会\nweek: {mon-fri: []}\nopen: {2026-03-07: [["09:00", "12:00"]]}\n'
    )
    with pytest.raises(BadSettings, match="silence: '3 workdays': calendar 'fair' has no workdays"):
        read_policy(SHIPPED, load_calendars(calendars))


def test_a_clock_whose_calendar_was_taken_away_is_reckoned_by_the_last_level() -> None:
    assert POLICY.calendar("gone", None).name == "7x8"


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("30m", 1800), ("4h", 14400), ("1h30m", 5400), ("90s", 90), ("3 workdays", 86400), ("1 workday", 28800)],
)
def test_a_span_is_read(span: str, seconds: int) -> None:
    assert Allowance.read(span).in_s(POLICY.calendar("5x8", None)) == seconds


@pytest.mark.parametrize("span", ["", "0m", "4", "4 hours", "-1h", "h", "1.5h"])
def test_what_is_no_span_is_refused(span: str) -> None:
    with pytest.raises(ValueError, match="30m"):
        Allowance.read(span)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(("solution: 4h\n  # 邮件", "# 邮件"), None, id="a level may have fewer targets"),
        pytest.param(("first_response: 15m", "first_response: fast"), "重大故障: first_response: 'fast'", id="span"),
        pytest.param(("{2: 30m, any: 1h}", "{2: 30m}"), "priority 1 has no span", id="priority without a span"),
        pytest.param(("{2: 30m, any: 1h}", "{5: 30m, any: 1h}"), "5 is not one of", id="no such priority"),
        pytest.param(("calendar: 5x8}", "calendar: 6x9}"), "no calendar '6x9': there are 5x8,", id="calendar"),
        pytest.param(("[0.75]", "[1.5]"), "warn_at_shares", id="share above one"),
        pytest.param(("[0.75]", "[0.75, 0.5]"), "warn_at_shares: must rise", id="shares that fall"),
        pytest.param(("default_group: 服务台", "defaul_group: 服务台"), "defaul_group", id="unknown word"),
        pytest.param(("channel: mail", "channel: email"), "when.channel: email is not known", id="channel"),
        pytest.param(("channel: mail", "colour: red"), "when.colour: no such field", id="field"),
        pytest.param(("name: 邮件", "name: 通用"), "'通用' stands here twice", id="name twice"),
        pytest.param(("when: {channel: mail}\n", "\n"), "none is ever reached", id="a level that hides the others"),
        pytest.param(
            ("- name: 通用\n", "- name: 通用\n    when: {priority: 4}\n"), "must have no `when`", id="no last"
        ),
        pytest.param(("on_reopen: new", "on_reopen: never"), "on_reopen", id="habit"),
        pytest.param(("3: [2, 3, 3, 4]", "3: [2, 3, 3]"), "priority_matrix", id="matrix"),
    ],
)
def test_a_wrong_policy_file_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, change: tuple[str, str], reason: str | None
) -> None:
    shipped = SHIPPED.read_text()
    assert change[0] in shipped
    path = tmp_path / "policy.yaml"
    path.write_text(shipped.replace(*change))
    if reason is None:
        read_policy(path, load_calendars())
        return
    with pytest.raises(BadSettings) as caught:
        read_policy(path, load_calendars())
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)

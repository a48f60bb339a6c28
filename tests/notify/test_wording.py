"""Every message renders in every language; a wrong language file is named with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.gateway import AlertFired
from contracts.knowledge import Suggestion
from contracts.tickets import FeedbackReceived, SlaBreached, Target, TicketAssigned, TicketOpened, TicketResolved
from contracts.training import CourseCompleted, RetrainingAssigned
from eventkit.links import TICKET, Links
from services.gateway import html
from services.notify.lined_yaml import Faults
from services.notify.rules import EVENTS
from services.notify.settings import Settings
from services.notify.values import Reader, values_of
from services.notify.wording import (
    FORWARDED,
    Languages,
    Template,
    read_languages,
    render,
    zone_of,
)
from tests.notify.office import about, about_alert, about_course, about_feedback, example_of, suggested
from tests.notify.test_rules import ENV

SHIPPED = Settings.from_env(ENV)
KEYED = Links(["a key that only tests have"], TICKET, valid_days=1)
FOLDER = Path(__file__).parents[2] / "services" / "notify" / "templates"
USED = {(fact, rule.template) for fact in EVENTS.values() for rule in SHIPPED.rules[fact.TYPE]}


def rendered(tag: str, template: str, fact: Any, zone: str = "Asia/Shanghai", url: str = "https://desk.invalid") -> Any:
    language = SHIPPED.languages.by_tag[tag]
    values = values_of(fact, Reader(language, zone_of(zone), lambda number: f"员工 ({number})", url))
    values |= values_of(suggested(), Reader(language, zone_of(zone), str, url))
    values |= {"name": "王芳", "recipient": "E2", "subject": "原主题", "text": "原文"}
    return render(language.templates[template], values, language.words["none"])


@pytest.mark.parametrize("tag", ["zh-CN", "en", "ja"])
@pytest.mark.parametrize(("fact", "template"), [*sorted(USED, key=str), (TicketOpened, FORWARDED)])
def test_every_message_renders_in_every_language(tag: str, fact: Any, template: str) -> None:
    subject, text = rendered(tag, template, example_of(fact))
    assert "王芳" in text
    assert "—" not in subject + text.replace("——————————", "")
    assert "{" not in subject + text
    if template != FORWARDED and fact.TYPE.startswith(("liaison.ticket.", "liaison.sla.")):
        assert "T-1" in subject
        assert "打印机坏了" in subject
        assert "https://desk.invalid/desk/tickets/T-1" in text


def test_every_language_has_every_template_and_word() -> None:
    by_tag = SHIPPED.languages.by_tag
    assert set(by_tag) == {"zh-CN", "en", "ja"}
    for language in by_tag.values():
        assert set(language.templates) == set(by_tag["zh-CN"].templates)
        assert set(language.words) == set(by_tag["zh-CN"].words)


def test_a_line_without_anything_to_say_is_left_out() -> None:
    bare = about(TicketOpened, assignee=None, due_solution_at=None)
    subject, text = rendered("en", "ticket_receipt", bare, url="")
    assert "First response by: 02 Mar 2026 17:30 (Asia/Shanghai)" in text
    assert "Solution by" not in text
    assert "Follow it" not in text
    assert "Assigned to" not in text
    assert subject == "[T-1] We have your request: 打印机坏了"


def shown(fact: Any, tag: str = "zh-CN", url: str = "https://desk.invalid") -> dict[str, str]:
    return values_of(fact, Reader(SHIPPED.languages.by_tag[tag], zone_of("Asia/Shanghai"), str, url))


def test_suggestions_are_lines_of_title_and_link() -> None:
    assert shown(suggested())["suggestions"] == (
        "\n1. 打印机 不出纸\n   https://desk.invalid/v1/articles/A-1"
        "\n2. 更换墨盒\n   https://desk.invalid/v1/articles/A-2"
    )
    odd = suggested(suggestions=(Suggestion(article_id="A-3", title="x", url="javascript:alert(1)"),))
    assert shown(odd)["suggestions"] == "\n1. x"
    assert shown(suggested(), url="")["suggestions"].endswith("\n2. 更换墨盒")


@pytest.mark.parametrize(("tag", "line"), [("zh-CN", "这些文章"), ("en", "These articles"), ("ja", "役立つ")])
def test_a_receipt_without_suggestions_does_not_speak_of_them(tag: str, line: str) -> None:
    language = SHIPPED.languages.by_tag[tag]
    bare = shown(about(TicketOpened), tag) | {"name": "王芳"}
    _, text = render(language.templates["ticket_receipt"], bare, "—")
    assert line not in text
    _, text = render(language.templates["ticket_receipt"], bare | shown(suggested(), tag), "—")
    assert line in text
    assert "\n2. 更换墨盒\n   https://desk.invalid/v1/articles/A-2\n" in text


def test_the_result_of_a_course_is_shown_with_the_next_step() -> None:
    values = shown(about_course(CourseCompleted))
    assert (values["score"], values["next_course"], values["class_hours"]) == ("92%", "OA 流程进阶 (C-8)", "1.5")
    assert "next_course" not in shown(about_course(CourseCompleted, next_course=None))
    values = shown(about_course(RetrainingAssigned), "en")
    assert (values["modules"], values["due_on"]) == ("\n- 审批流\n- 表单", "30 Apr 2026")


@pytest.mark.parametrize(("tag", "status"), [("zh-CN", "已受理"), ("en", "taken up"), ("ja", "受付済み")])
def test_an_author_reads_the_status_in_their_language(tag: str, status: str) -> None:
    assert shown(about_feedback(FeedbackReceived), tag)["status"] == status
    assert shown(about_feedback(FeedbackReceived), tag)["score"] == "2 / 5"


def test_an_alert_without_a_service_or_a_description_says_what_it_knows() -> None:
    bare = about_alert(AlertFired, service=None, summary="", description="", runbook_url="")
    subject, text = rendered("zh-CN", "alert_fired", bare)
    assert subject == "[告警 严重] OutboxStuck"
    assert "—" not in text
    assert "处理手册" not in text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("deploy/RUNBOOK.md#outboxstuck", "deploy/RUNBOOK.md#outboxstuck"),
        ("https://wiki.invalid/runbook#x", "https://wiki.invalid/runbook#x"),
        ("see the\nfolder by the door", "see the folder by the door"),
    ],
)
def test_where_the_runbook_is_stays_readable_when_it_is_no_link(written: str, read: str) -> None:
    assert f"What to do: {read}" in rendered("en", "alert_fired", about_alert(AlertFired, runbook_url=written))[1]


def test_a_solution_keeps_its_lines_and_a_title_has_one() -> None:
    _, text = rendered("zh-CN", "ticket_resolved", about(TicketResolved, title="a\r\nb", solution="一\r\n二\x07"))
    assert "主题：a b\n" in text
    assert "解决办法：\n一\n二\n" in text


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("the holder left", "原因：原处理人已离职\n"),
        ("evened out", "原因：为均衡各人在办量转派\n"),
        ("轮到\n您", "原因：轮到 您\n"),
    ],
)
def test_why_a_ticket_moved_is_said_in_the_readers_language(reason: str, line: str) -> None:
    assert line in rendered("zh-CN", "ticket_assigned", about(TicketAssigned, reason=reason))[1]


def test_what_people_write_is_never_taken_for_a_placeholder() -> None:
    subject, _ = rendered("en", "ticket_receipt", about(TicketOpened, title="{number} {0.__class__} {"))
    assert subject == "[T-1] We have your request: {number} {0.__class__} {"


def test_a_number_is_quoted_in_links() -> None:
    _, text = rendered("en", "ticket_receipt", about(TicketOpened, number="A/1 ?"))
    assert "https://desk.invalid/desk/tickets/A%2F1%20%3F" in text


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        *(("zh-CN", "zh-CN"), ("en", "en"), ("en-US", "en"), ("EN-gb", "en"), ("ja-JP", "ja")),
        *(("zh-TW", "zh-CN"), ("fr", "zh-CN"), ("", "zh-CN")),
    ],
)
def test_a_person_reads_their_language_or_chinese(wanted: str, tag: str) -> None:
    assert SHIPPED.languages.best(wanted).tag == tag


@pytest.mark.parametrize("name", ["Mars/Base", "", "../../etc/passwd", "Asia", "x" * 300])
def test_a_time_zone_that_nobody_knows_is_shanghai(name: str) -> None:
    assert zone_of(name).key == "Asia/Shanghai"


def languages_with(folder: Path, tag: str, text: str) -> tuple[Languages, list[str]]:
    for path in FOLDER.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    (folder / f"{tag}.yaml").write_text(text, "utf-8")
    faults = Faults()
    return read_languages(folder, faults), [fault.removeprefix(f"{folder}/") for fault in faults.found]


def test_a_new_language_is_a_new_file_and_falls_back_to_chinese_where_it_is_short(tmp_path: Path) -> None:
    text = (FOLDER / "en.yaml").read_text("utf-8").partition("  ticket_task:")[0]
    languages, faults = languages_with(tmp_path, "fr", text.replace("We have your request", "Votre demande"))
    assert not faults
    french = languages.best("fr-CA")
    assert french.tag == "fr"
    assert languages.template(french, "ticket_receipt").subject == "[{number}] Votre demande: {title}"
    assert languages.template(french, "ticket_task").subject.startswith("[{number}] 新工单")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("Hello {name},", "Hello {nme},"), "en.yaml:58: unknown placeholder {nme}"),
        (("Hello {name},", "Hello {name.__class__},"), "en.yaml:58: not a template: {name.__class__} is not a plain"),
        (("Hello {name},", "Hello {,"), "en.yaml:58: not a template"),
        (("  priority_1: critical\n", ""), "en.yaml:5: priority_1 is missing"),
        (("  priority_1: critical\n", "  priority_1: 1\n"), "en.yaml:8: must be a text, not 1"),
        (('    subject: "[{number}] We', '    subjekt: "[{number}] We'), "en.yaml:57: unknown key 'subjekt'"),
        (("time: ", "tyme: "), "en.yaml:2: time is missing"),
    ],
)
def test_a_wrong_language_file_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    text = (FOLDER / "en.yaml").read_text("utf-8")
    assert change[0] in text
    _, faults = languages_with(tmp_path, "en", text.replace(*change, 1))
    assert any(one.startswith(fault) for one in faults), faults


def test_chinese_must_be_there_with_the_note_for_the_desk(tmp_path: Path) -> None:
    faults = Faults()
    read_languages(tmp_path, faults)
    assert "every other language falls back to it" in faults.found[0]
    text = (FOLDER / "zh-CN.yaml").read_text("utf-8").partition("  forwarded:")[0]
    _, found = languages_with(tmp_path, "zh-CN", text)
    assert found == ["zh-CN.yaml:1: the template 'forwarded' is missing"]


def test_blank_lines_do_not_pile_up() -> None:
    assert render(Template("s\n s", "a\n\n{link}\n\nb"), {}, "-") == ("s s", "a\n\nb\n")


def link_in(fact: Any, recipient: str, links: Links | None = KEYED) -> str:
    language = SHIPPED.languages.by_tag["ja"]
    reader = Reader(language, zone_of("Asia/Shanghai"), str, "https://desk.invalid", recipient, links)
    return values_of(fact, reader)["link"]


def test_a_requesters_link_says_which_solution_of_which_ticket_for_whom_and_asks_for_no_sign_in() -> None:
    base, _, token = link_in(about(TicketResolved, cycle=2), "E1").rpartition("/")
    assert base == "https://desk.invalid/t"
    assert KEYED.read(token) == {"n": "T-1", "c": 2, "p": "E1", "l": "ja"}


@pytest.mark.parametrize(("recipient", "links"), [("E2", KEYED), ("", KEYED), ("E1", None)])
def test_everybody_elses_link_leads_to_the_desk(recipient: str, links: Links | None) -> None:
    assert link_in(about(TicketResolved), recipient, links) == "https://desk.invalid/desk/tickets/T-1"


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("tag", ["zh-CN", "en", "ja"])
def test_every_target_has_a_word(tag: str, target: Target) -> None:
    assert "{" not in "".join(rendered(tag, "sla_breached", about(SlaBreached, target=target)))


@pytest.mark.parametrize("tag", ["zh-CN", "en", "ja"])
def test_whoever_asked_is_called_the_same_in_messages_and_on_pages(tag: str) -> None:
    who, template = html.WORDS[tag]["requester"], SHIPPED.languages.by_tag[tag].templates["ticket_requester_wrote"]
    assert who.lower() in template.subject.lower()
    assert f"{who}：{{requester}}" in template.text.replace(": ", "：")
    told = {word.replace("_", " "): text for word, text in SHIPPED.languages.by_tag[tag].words.items()}
    shown = {word.replace("_", " "): text for word, text in html.WORDS[tag].items() if word.startswith("reason_")}
    assert {word: text for word, text in told.items() if word in shown}.items() <= shown.items()

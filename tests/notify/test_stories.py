"""What people get: once, in their language, or the desk instead; through the whole service on real servers."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes

from contracts.notify import NotificationAccepted
from contracts.tickets import (
    SlaBreached,
    SlaWarned,
    TicketAssigned,
    TicketCommented,
    TicketOpened,
    TicketResolved,
    Voice,
)
from eventkit.forgetting import forget
from services.notify.storage import FORGET
from tests.eventkit.desk import eventually
from tests.notify.office import DESK_MAIL, Office, about, person, ticket_event


def test_receipt_and_task_arrive_once_although_the_event_comes_twice(office: Office) -> None:
    office.start()
    office.knows(person("E1"), person("E2"))
    event = ticket_event(about(TicketOpened))
    office.publish(event, event)
    office.settled(2)
    office.publish(event)
    after = ticket_event(about(TicketResolved))
    office.publish(after)
    office.handled(after)
    office.settled(3)
    assert office.mailed() == [
        ("e1@example.invalid", "[T-1] 您的请求已受理：打印机坏了"),
        ("e1@example.invalid", "[T-1] 您的请求已解决：打印机坏了"),
        ("e2@example.invalid", "[T-1] 新工单待处理（高）：打印机坏了"),
    ]
    receipt = office.kept()[0] if office.kept()[0].to[0].startswith("e1") else office.kept()[1]
    assert "T-1" in receipt.text
    assert "首次响应不晚于：2026-03-02 17:30 (Asia/Shanghai)" in receipt.text
    assert "解决不晚于：2026-03-02 20:30 (Asia/Shanghai)" in receipt.text
    assert "处理人：员工E2 (E2)" in receipt.text


def test_what_was_accepted_is_announced(office: Office) -> None:
    office.start()
    office.knows(person("E1"))
    event = ticket_event(about(TicketResolved), traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    office.publish(event)
    office.settled(1)
    [(kind, data)] = office.emitted()
    assert kind == NotificationAccepted.TYPE
    wanted = {"medium": "mail", "rule": "resolved", "about_subject": "T-1", "recipient": "E1"}
    assert {name: data[name] for name in wanted} == wanted
    assert data["about_type"] == TicketResolved.TYPE
    assert 0 < data["delay_s"] < 30
    headers = office.one("select headers from eventkit.outbox")
    assert headers["ce-traceparent"] == event.traceparent
    assert headers["ce-subject"] == data["delivery_id"]
    [mail] = office.kept()
    parsed = message_from_bytes(mail.raw)
    assert parsed["Message-ID"] == f"<T-1.{data['delivery_id']}@liaison.invalid>"
    assert parsed["Auto-Submitted"] == "auto-generated"


def test_the_desk_is_alerted_when_nobody_has_the_ticket(office: Office) -> None:
    office.start()
    office.knows(person("E1"))
    office.publish(ticket_event(about(TicketOpened, assignee=None)))
    office.publish(ticket_event(about(TicketAssigned, assignee=None, reason="该地区没有人")))
    office.settled(3)
    assert [address for address, _ in office.mailed()] == [DESK_MAIL, DESK_MAIL, "e1@example.invalid"]
    assert any("原因：该地区没有人" in mail.text for mail in office.kept())


def test_a_breach_reaches_holder_lead_and_manager_and_one_person_in_two_roles_once(office: Office) -> None:
    office.start()
    office.knows(person("E2", manager="E3"), person("E3"), person("E4", manager="E5"), person("E5"))
    office.publish(ticket_event(about(SlaBreached)))
    office.settled(2)
    assert office.states() == {"E2": "accepted", "E3": "accepted"}
    office.publish(ticket_event(about(SlaBreached, assignee="E4")))
    office.settled(5)
    assert [to for to, _ in office.mailed()] == [f"e{n}@example.invalid" for n in (2, 3, 3, 4, 5)]
    assert all(message_from_bytes(mail.raw)["Importance"] == "high" for mail in office.kept())


def test_a_manager_whom_nobody_knows_yet_is_waited_for(office: Office) -> None:
    office.start()
    office.knows(person("E2", manager="E9"), person("E3"))
    office.publish(ticket_event(about(SlaBreached)))
    eventually(lambda: len(office.kept()) == 2)
    eventually(lambda: office.states() == {"E2": "accepted", "E3": "accepted", "E9": "waiting_contact"})


def test_an_unknown_person_waits_and_is_told_as_soon_as_they_are_known(office: Office) -> None:
    office.start()
    event = ticket_event(about(SlaWarned))
    office.publish(event)
    eventually(lambda: office.states() == {"E2": "waiting_contact"})
    waits_s = office.one("select extract(epoch from due_at - now()) from eventkit.timer where kind = 'give_up_waiting'")
    assert 3590 < waits_s <= 3600
    # A person without an address is as unreachable as an unknown one.
    office.knows(person("E2", email=None))
    assert office.states() == {"E2": "waiting_contact"}
    office.knows(person("E2", version=2, language="en"))
    office.settled(1)
    [mail] = office.kept()
    assert mail.subject == "[T-1] The solution is due soon: 打印机坏了"
    assert "80% of the time" in mail.text
    assert office.one("select count(*) from eventkit.timer") == 0


def test_an_unknown_person_and_their_data_in_one_batch_end_in_one_mail(office: Office) -> None:
    from tests.eventkit.desk import reported

    for first, second in ((about(SlaWarned), person("E2")), (person("E3"), about(SlaWarned, assignee="E3"))):
        office.publish(*[reported(fact, "T-1") for fact in (first, second)])
    office.start()
    office.settled(2)
    assert [to for to, _ in office.mailed()] == ["e2@example.invalid", "e3@example.invalid"]


def test_after_an_hour_the_desk_gets_it_with_a_note_for_whom_it_was(office: Office) -> None:
    office.start()
    office.publish(ticket_event(about(SlaWarned)))
    eventually(lambda: office.states() == {"E2": "waiting_contact"})
    office.fast_forward("give_up_waiting")
    office.settled(1)
    [mail] = office.kept()
    assert mail.to == (DESK_MAIL,)
    assert mail.subject == "[代收] [T-1] 解决时限即将到期：打印机坏了"
    assert "原本发给 E2" in mail.text
    assert "到期时间：2026-03-02 20:30" in mail.text
    [(kind, data)] = office.emitted()
    assert (kind, data["recipient"], data["by_desk"]) == (NotificationAccepted.TYPE, "E2", True)
    # Becoming known later changes nothing any more.
    office.knows(person("E2"))
    assert len(office.kept()) == 1


def test_a_leaver_gets_nothing(office: Office) -> None:
    office.start()
    office.knows(person("E2", active=False))
    office.publish(ticket_event(about(SlaWarned)))
    office.settled(1)
    assert office.states() == {"E2": "cancelled"}
    assert (office.kept(), office.emitted()) == ([], [])


def test_somebody_who_leaves_while_a_message_waits_gets_nothing(office: Office) -> None:
    office.start()
    office.publish(ticket_event(about(SlaWarned)))
    eventually(lambda: office.states() == {"E2": "waiting_contact"})
    office.knows(person("E2", active=False))
    office.settled(1)
    assert office.states() == {"E2": "cancelled"}
    assert office.one("select count(*) from eventkit.timer") == 0


def test_everybody_reads_their_own_language_and_clock(office: Office) -> None:
    office.start()
    office.knows(
        person("E1", language="en-GB", time_zone="Europe/London", name="Ann Lee"),
        person("E2", language="ja", time_zone="Asia/Tokyo"),
    )
    office.publish(ticket_event(about(TicketOpened)))
    office.settled(2)
    texts = {mail.to[0]: mail.text for mail in office.kept()}
    assert "First response by: 02 Mar 2026 09:30 (Europe/London)" in texts["e1@example.invalid"]
    assert "初回応答の期限：2026-03-02 18:30 (Asia/Tokyo)" in texts["e2@example.invalid"]
    assert "依頼者：Ann Lee (E1)" in texts["e2@example.invalid"]


def test_the_same_person_in_two_roles_gets_the_more_urgent_message_only(office: Office) -> None:
    office.start()
    office.knows(person("E1"))
    office.publish(ticket_event(about(TicketOpened, assignee="E1")))
    office.settled(1)
    assert office.mailed() == [("e1@example.invalid", "[T-1] 新工单待处理（高）：打印机坏了")]


def test_history_sends_nothing_and_creates_no_delivery(office: Office) -> None:
    office.start()
    office.knows(person("E1"), person("E2"))
    old = ticket_event(about(TicketOpened), history=True)
    late = ticket_event(about(SlaBreached, retroactive=True))
    office.publish(old, late)
    office.handled(old)
    office.handled(late)
    assert office.one("select count(*) from delivery") == 0
    assert office.one("select count(*) from eventkit.timer") == 0


def test_an_older_version_of_a_person_is_ignored(office: Office) -> None:
    from tests.eventkit.desk import reported

    office.start()
    office.knows(person("E2", version=5, email="new@example.invalid"))
    for version in (4, 5):
        older = reported(person("E2", version=version, email="old@example.invalid"), "E2", source="/hr")
        office.publish(older)
        office.handled(older)
    office.publish(ticket_event(about(SlaWarned)))
    office.settled(1)
    assert [to for to, _ in office.mailed()] == ["new@example.invalid"]


def test_a_repeat_that_comes_after_the_inbox_has_forgotten_changes_nothing(office: Office) -> None:
    office.start()
    office.knows(person("E2"))
    event = ticket_event(about(SlaWarned))
    old = ticket_event(about(SlaWarned), id=event.id, time=event.time - timedelta(days=40))
    office.publish(old)
    office.settled(1)
    office.execute("delete from eventkit.inbox")
    office.publish(old)
    office.handled(old)
    assert office.one("select count(*) from delivery") == 1
    assert office.one("select count(*) from eventkit.held_event") == 0


def test_a_word_of_the_desk_reaches_the_requester_in_a_mail_that_can_be_answered(office: Office) -> None:
    office.start()
    office.knows(person("E1"), person("E2"))
    asked = about(TicketCommented, voice=Voice.REQUESTER, assignee="E1")
    office.publish(ticket_event(about(TicketCommented), actor="E2"), ticket_event(asked, actor="E1"))
    office.settled(1)
    [mail] = office.kept()
    assert (mail.to, mail.subject) == (("e1@example.invalid",), "[T-1] 联络台的回复：打印机坏了")
    assert "请重启。\r\n再试一次。" in mail.text
    assert str(message_from_bytes(mail.raw)["Message-ID"]).startswith("<T-1.")


def test_what_a_forgotten_person_wrote_to_others_is_gone(office: Office) -> None:
    office.start()
    office.knows(person("E1"))
    office.publish(ticket_event(about(TicketCommented, assignee="E4"), actor="E2"))
    office.settled(1)
    kept = "select count(*) from delivery where position(convert_to('再试一次', 'UTF8') in about_data) > 0"
    assert office.one(kept) == 1
    forget(office.engine, "E2", FORGET)
    assert office.one(kept) == 0

"""An event that another system publishes becomes a ticket, mails and a number, once and only once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest

from deploy.local.mailbox import MailFolder
from liaison.publishers import PublisherAccount, add_publisher
from tests.eventkit.desk import eventually
from tests.system import System


@pytest.fixture(scope="module")
def erp(system: System) -> PublisherAccount:
    may = ("ticket.requested", "ticket.update_requested", "person.changed", "feedback.submitted")
    return add_publisher(system.installation, "erp", [f"liaison.{one}.v1" for one in may])


def post(
    system: System, account: PublisherAccount, event_type: str, key: str, data: Any, **more: Any
) -> httpx.Response:
    event = {
        "specversion": "1.0",
        "id": key,
        "source": "/erp",
        "type": f"liaison.{event_type}.v1",
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }
    return httpx.post(
        f"{system.installation.gateway_url}/v1/events",
        json=event | more,
        headers={"Authorization": f"Bearer {account.token}", "Content-Type": "application/cloudevents+json"},
    )


def person(number: str, name: str, **more: Any) -> Mapping[str, Any]:
    return {"employee_number": number, "version": 1, "name": name, "email": f"{number.lower()}@example.invalid"} | more


def fact(system: System, name: str, **labels: str) -> float:
    page = httpx.get(f"http://127.0.0.1:{system.installation.page_port('metrics')}/facts").text
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{") and all(one in line for one in wanted)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def subjects(mails: MailFolder, address: str) -> list[str]:
    return [mail.subject for mail in mails.newest(1000) if address in mail.to]


def test_a_request_published_twice_is_one_ticket_two_mails_and_one_more_in_the_count(
    system: System, erp: PublisherAccount, mails: MailFolder
) -> None:
    # Given an engineer in the region and a requester
    groups = {"roles": ["engineer"], "groups": ["华东支持组"], "region": "华东"}
    for number, name, more in (("E1002", "陈立", groups), ("E2001", "林晓雯", {"region": "华东"})):
        assert post(system, erp, "person.changed", f"p-{number}", person(number, name, **more)).status_code == 202
    system.settle()
    before = fact(system, "liaison_tickets_opened_total")
    # When the same request comes twice
    data = {"title": "OA 无法登录", "requester": "E2001", "priority": 2}
    for _ in range(2):
        assert post(system, erp, "ticket.requested", "first", data, externalref="case-1").status_code == 202
    # Then there is one ticket, with the engineer, and one mail to each of the two
    system.settle()
    [ticket] = system.rows("tickets", "select * from ticket where externalref = 'case-1'")
    assert (ticket.assignee, ticket.group_name, ticket.requester_known) == ("E1002", "华东支持组", True)
    eventually(lambda: subjects(mails, "e2001@example.invalid") and subjects(mails, "e1002@example.invalid"))
    assert len(subjects(mails, "e2001@example.invalid")) == 1
    assert ticket.number in subjects(mails, "e2001@example.invalid")[0]
    assert len(subjects(mails, "e1002@example.invalid")) == 1
    # And the number counts it once
    eventually(lambda: fact(system, "liaison_tickets_opened_total") == before + 1)


def test_the_author_of_anonymous_feedback_in_a_publishers_form_reads_what_became_of_it(
    system: System, erp: PublisherAccount
) -> None:
    # Given a code that the form made and showed, and of which only the hash was published
    code = "7K3M9Q2T8V4X6Z1B5D0F7H9J"
    said = {"text": "食堂太远", "receipt_hash": sha256(code.encode()).hexdigest()}
    assert post(system, erp, "feedback.submitted", "said", said).status_code == 202
    system.settle()
    # When the author types it in
    typed = code.lower().replace("8v4x", "-8v4x-")
    url = f"{system.installation.gateway_url}/v1/feedback"
    state = httpx.post(f"{url}/status", json={"code": typed}).json()
    # Then they read its status and may add to it, and the code is nowhere
    assert (state["status"], state["status_text"]) == ("accepted", "已受理")
    assert httpx.post(f"{url}/information", json={"code": typed, "text": "下雨时更远"}).status_code == 200
    assert system.one("tickets", "select count(*) from feedback f where f::text ilike :code", code=f"%{code}%") == 0


def test_the_publisher_learns_by_whom_its_event_was_handled(system: System, erp: PublisherAccount) -> None:
    post(system, erp, "ticket.requested", "asked", {"title": "查一下结果"}, externalref="case-2")
    system.settle()
    answer = httpx.get(
        f"{system.installation.gateway_url}/v1/publishers/me/events/asked",
        headers={"Authorization": f"Bearer {erp.token}"},
    ).json()
    assert answer["verdict"] == "accepted"
    assert answer["handled_by"]["tickets"] == "handled"
    assert answer["handled_by"]["metrics"] == "handled"


def test_a_missed_target_is_told_to_the_holder_the_lead_and_the_manager(
    system: System, erp: PublisherAccount, mails: MailFolder
) -> None:
    # Given a region whose engineer has a manager, and a lead of the group
    engineer = {"roles": ["engineer"], "groups": ["华南支持组"], "manager": "E1000"}
    for number, more in (("E3001", engineer), ("E1003", {}), ("E1000", {})):
        post(system, erp, "person.changed", f"p-{number}", person(number, number, **more))
    system.settle()
    # When a critical request's first response falls due in a moment
    nearly = (datetime.now(UTC) - timedelta(minutes=14, seconds=57)).isoformat()
    data = {"title": "产线停了", "region": "华南", "priority": 1}
    post(system, erp, "ticket.requested", "late", data, externalref="case-3", time=nearly)
    # Then each of the three gets one mail about the breach
    addresses = ("e3001@example.invalid", "e1003@example.invalid", "e1000@example.invalid")
    [number] = [
        row.number
        for row in eventually(lambda: system.rows("tickets", "select number from ticket where externalref = 'case-3'"))
    ]
    eventually(lambda: system.one("tickets", "select count(*) from clock where missed_due_at is not null") == 1)
    system.settle()
    breaches = "select recipient from delivery where about_subject = :n and state = 'accepted' and rule like '%breach%'"
    eventually(lambda: len(system.rows("notify", breaches, n=number)) == 3)
    for address in addresses:
        assert subjects(mails, address)
    eventually(lambda: fact(system, "liaison_sla_breaches_total", target="first_response", priority="1") == 1)


def test_what_the_door_refuses_names_the_field_and_changes_nothing(system: System, erp: PublisherAccount) -> None:
    tickets = system.one("tickets", "select count(*) from ticket")
    answer = post(system, erp, "ticket.requested", "bad", {"title": "x", "priority": 7})
    assert answer.status_code == 422
    assert "priority" in answer.text
    system.settle()
    assert system.one("tickets", "select count(*) from ticket") == tickets

"""Attachments at the HTTP door: bytes are kept here, the rest goes to tickets; what is not taken is told with why."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from eventkit.blobs import key_of
from tests.gateway.desk_stub import ATTACHMENT, FILE, Tickets
from tests.gateway.door import MAX_FILE_BYTES, Door


def send(
    door: Door,
    body: bytes,
    name: str = "截图 1.png",
    content_type: str = "image/png",
    number: str = "T1",
    **more: str,
) -> httpx.Response:
    token = more.pop("token", None) or door.token("engineer")
    key = {"idempotency-key": more.pop("key")} if "key" in more else {}
    query = "&".join(f"{field}={quote(value)}" for field, value in {"filename": name, **more}.items())
    headers = {"authorization": f"Bearer {token}", "content-type": content_type, **key}
    return door.http.post(f"/v1/tickets/{number}/attachments?{query}", content=body, headers=headers)


def told(tickets: Tickets) -> list[dict[str, Any]]:
    return [dict(arguments) for method, arguments, _ in tickets.asked if method == "add_attachment"]


def test_a_file_is_kept_and_told_to_tickets(door: Door, tickets: Tickets) -> None:
    answer = send(door, FILE, level="internal")
    assert (answer.status_code, answer.json()) == (201, ATTACHMENT)
    [arguments] = told(tickets)
    assert {name: arguments[name] for name in ("number", "name", "size_bytes", "content_type", "level", "sha256")} == {
        "number": "T1",
        "name": "截图 1.png",
        "size_bytes": len(FILE),
        "content_type": "image/png",
        "level": "internal",
        "sha256": key_of(FILE),
    }
    assert door.blobs.get_object(key_of(FILE)) == FILE


def test_a_file_comes_out_as_it_went_in_to_be_saved_only(door: Door, tickets: Tickets) -> None:
    send(door, FILE)
    answer = door.ask("GET", "/v1/tickets/T1/attachments/f1", door.token("requester"))
    assert answer.content == FILE
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote('截图 1.png')}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_tickets_files_are_listed(door: Door, tickets: Tickets) -> None:
    assert door.ask("GET", "/v1/tickets/T1/attachments", door.token("requester")).json() == {"items": [ATTACHMENT]}


def test_a_command_sent_again_adds_one_file(door: Door, tickets: Tickets) -> None:
    token = door.token("engineer")
    answers = [send(door, FILE, token=token, key="k7").status_code for _ in range(2)]
    assert answers == [201, 201]
    assert len(told(tickets)) == 1


@pytest.mark.parametrize(
    ("body", "name", "content_type", "status", "field"),
    [
        pytest.param(b"MZ", "a.exe", "application/octet-stream", 415, "filename", id="program by name"),
        pytest.param(b"MZ", "a.png", "image/png", 415, "body", id="program by its bytes"),
        pytest.param(b"x", "a.txt", "text/html", 415, "content-type", id="script by type"),
        pytest.param(b"", "a.txt", "text/plain", 422, "body", id="empty"),
        pytest.param(b"x" * (MAX_FILE_BYTES + 1), "a.txt", "text/plain", 413, "body", id="too large"),
    ],
)
def test_what_is_not_taken_is_told_with_field_and_reason(
    door: Door, tickets: Tickets, body: bytes, name: str, content_type: str, status: int, field: str
) -> None:
    answer = send(door, body, name, content_type)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)
    assert answer.json()["errors"][0]["reason"]
    assert tickets.asked == []


def test_a_file_without_a_told_length_is_cut_off_as_well(door: Door, tickets: Tickets) -> None:
    headers = {"authorization": f"Bearer {door.token('engineer')}", "content-type": "text/plain"}
    pieces = (b"x" * 500_000 for _ in range(7))
    answer = door.http.post("/v1/tickets/T1/attachments?filename=a.txt", content=pieces, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (413, "body")


def test_a_file_larger_than_other_bodies_is_taken(door: Door, tickets: Tickets) -> None:
    assert send(door, b"x" * MAX_FILE_BYTES, "a.txt", "text/plain").status_code == 201


def test_nothing_is_kept_for_a_ticket_that_the_caller_may_not_see(door: Door, tickets: Tickets) -> None:
    body = b"for nobody"
    assert send(door, body, "a.txt", "text/plain", number="none").status_code == 404
    assert door.blobs.head_object(key_of(body)) is None


def test_a_file_that_is_gone_is_not_found(door: Door, tickets: Tickets) -> None:
    door.blobs.delete_object(key_of(FILE))
    answer = door.ask("GET", "/v1/tickets/T1/attachments/f1", door.token("admin"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "attachment_id")

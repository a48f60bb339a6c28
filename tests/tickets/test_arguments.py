"""What callers give is read in one way, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventkit.errors import RuleBroken
from tests.eventkit.desk import Desk
from tests.tickets.rehearsal import Rehearsal

NAIVE, AWARE = "2026-03-03T09:00:00", "2026-03-04T09:00:00Z"


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("diagnose_ticket", {"mode": "on_site", "appointment_at": NAIVE}, "appointment_at"),
        ("note_vendor", {"promised_at": NAIVE}, "promised_at"),
        ("show_duty", {"group": "华东支持组", "at": NAIVE}, "at"),
        ("ticket_statistics", {"begin_at": NAIVE, "end_at": AWARE}, "begin_at"),
        ("list_tickets", {"filters": {"opened_from": NAIVE}}, "opened_from"),
    ],
)
def test_a_moment_without_an_offset_is_refused_with_its_field(
    tickets: Desk, tmp_path: Path, method: str, arguments: dict[str, Any], field: str
) -> None:
    desk = Rehearsal(tickets, tmp_path / "policy.yaml")
    number = desk.opened("02 09:00")
    with pytest.raises(RuleBroken, match="timezone") as caught:
        desk.call("02 10:00", method, number=number, **arguments)
    assert caught.value.field == field

"""What the gateway may ask about levels of support: escalate, diagnose, the vendor's part, the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from eventkit.arguments import moment_in
from eventkit.errors import RuleBroken
from services.tickets.calls import shown, visible, workable
from services.tickets.sla.policy import Policy
from services.tickets.support import usecases
from services.tickets.support.ledger import Holding, first_level, holdings
from services.tickets.telling import called

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

_MODES = ("remote", "on_site")  # 远程协助, 现场勘查
_VENDOR = ("vendor", "vendor_number", "promised_at", "root_cause")


def escalate(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Bring a ticket to a higher level; with `vendor` and its fields when it goes to the vendor."""
    row = workable(store, arguments)
    change = called(store, actor)
    row = usecases.escalate(store, policy, row, change, level=arguments.get("level"), reason=arguments["reason"])
    if said := _vendor(arguments):
        row = usecases.vendor_says(store, policy, row, change, said)
    return shown(row, arguments.get("scope") or {})


def diagnose(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Note how a ticket is diagnosed.

    Raises RuleBroken for an unknown mode, for on site without an appointment, and for an appointment that is over.
    """
    row = workable(store, arguments)
    if arguments["mode"] not in _MODES:
        raise RuleBroken(f"is not one of {', '.join(_MODES)}", field="mode")
    at = moment_in(arguments, "appointment_at")
    if at is None and arguments["mode"] == "on_site":
        raise RuleBroken("on site needs an appointment", field="appointment_at")
    if at is not None and at < store.work.now:
        raise RuleBroken("is over", field="appointment_at")
    change = called(store, actor)
    usecases.diagnose(store, policy, row, change, mode=arguments["mode"], appointment_at=at)
    return support_of(store, arguments)


def note_vendor(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Note what the vendor says."""
    row = workable(store, arguments)
    change = called(store, actor)
    usecases.vendor_says(store, policy, row, change, _vendor(arguments))
    return support_of(store, arguments)


def support_of(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket's level, its diagnosis, and the vendor's part."""
    row = visible(store, arguments)
    known = store.supports.get(row["number"]) or {}
    kept = ("diagnosis_mode", "appointment_at", *_VENDOR)
    return {"number": row["number"], "level": row["support_level"]} | {name: known.get(name) for name in kept}


def ledger(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return who held a ticket for how long: every span, and the sums by level, group, person and step.

    The seconds add up to the ticket's life.
    """
    row = visible(store, arguments)
    now = store.work.now
    changes = store.changes_of(row["number"])
    found = holdings(row["opened_at"], first_level(changes, row["support_level"]), changes)
    return {
        "number": row["number"],
        "life_s": sum(one.seconds(now) for one in found),
        "holdings": [_shown(one, now) for one in found],
        "sums": {name: _sums(found, name, now) for name in ("level", "group", "person", "step")},
    }


def _shown(one: Holding, now: datetime) -> dict[str, Any]:
    return {
        "level": one.hands.level,
        "group": one.hands.group,
        "person": one.hands.person,
        "step": one.hands.step,
        "begin_at": one.begin_at,
        "end_at": one.end_at,
        "seconds": one.seconds(now),
    }


def _sums(found: list[Holding], name: str, now: datetime) -> dict[str, float]:
    sums: dict[str, float] = {}
    for one in found:
        key = str(getattr(one.hands, name) or "")
        sums[key] = sums.get(key, 0.0) + one.seconds(now)
    return sums


def _vendor(arguments: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: arguments[name] for name in _VENDOR if arguments.get(name) is not None}
    if "promised_at" in said:
        said["promised_at"] = moment_in(said, "promised_at")
    return said

"""Quick texts: words that are said often, with a ticket's values in the place of variables such as {number}."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventkit.errors import NotFound, RuleBroken
from services.tickets.telling import Row

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

_VARIABLE = re.compile(r"\{(\w+)\}")
_VARIABLES = ("number", "title", "requester", "assignee", "group_name", "solution")


def check_variables(body: str) -> None:
    """Raise RuleBroken for a variable that no ticket has."""
    if unknown := [name for name in _VARIABLE.findall(body) if name not in _VARIABLES]:
        raise RuleBroken(f"{{{unknown[0]}}} is unknown: there are {', '.join(_VARIABLES)}", field="body")


def filled_in(store: TicketStore, name: str, row: Row) -> str:
    """Return a quick text with a ticket's values. Raises NotFound."""
    body = store.relations.quick_text(name)
    if body is None:
        raise NotFound(f"no quick text {name}", field="quick_text")
    return _VARIABLE.sub(lambda found: str(row.get(found[1]) or ""), body)

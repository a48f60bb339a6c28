"""Links between tickets, and what they forbid: no ticket is its own ancestor. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum


class LinkKind(StrEnum):
    """What one ticket is to another."""

    DUPLICATE_OF = "duplicate_of"
    CHILD_OF = "child_of"
    CAUSED_BY = "caused_by"  # a problem
    KNOWN_ERROR = "known_error"  # a known error that explains it
    RELATES_TO = "relates_to"


#: Kinds that must not lead back to where they began.
ACYCLIC = frozenset({LinkKind.DUPLICATE_OF, LinkKind.CHILD_OF})


def leads_back(number: str, target: str, targets_of: Callable[[str], Iterable[str]]) -> bool:
    """Tell whether a link from `number` to `target` would close a circle. targets_of: where a ticket's links lead."""
    seen, todo = set(), [target]
    while todo:
        one = todo.pop()
        if one == number:
            return True
        if one not in seen:
            seen.add(one)
            todo += targets_of(one)
    return False

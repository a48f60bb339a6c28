"""The register of all event types: found once, by walking the contract modules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contracts import gateway, knowledge, notify, tickets, training
from contracts.fact import Fact

_MODULES = (gateway, tickets, training, knowledge, notify)


def _collect() -> dict[str, type[Fact]]:
    found: dict[str, type[Fact]] = {}
    for module in _MODULES:
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Fact)
                and value.TYPE
                and value.__module__ == module.__name__
            ):
                if value.TYPE in found:
                    raise TypeError(f"{value.TYPE} is declared twice: {found[value.TYPE]!r} and {value!r}")
                found[value.TYPE] = value
    return found


FACTS: Mapping[str, type[Fact]] = MappingProxyType(_collect())
"""Every event type by its CloudEvents `type`."""

"""Which services there are, and how each is found."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path

from eventkit.definition import ServiceDefinition

#: Name to the class that runs on nameko; the gateway has its own way to run.
HOSTED: Mapping[str, str] = {
    "tickets": "services.tickets.service:TicketsService",
    "training": "services.training.service:TrainingService",
    "knowledge": "services.knowledge.service:KnowledgeService",
    "notify": "services.notify.service:NotifyService",
    "metrics": "services.metrics.service:MetricsService",
}
GATEWAY = "gateway"
ALL = (GATEWAY, *HOSTED)


def service_class(name: str) -> type:
    """Import and return a hosted service's class. Importing it imports nameko."""
    module, _, attribute = HOSTED[name].partition(":")
    with warnings.catch_warnings():
        # eventlet says at every import that it is only kept alive; ARCHITECTURE.md says why we use it all the same.
        warnings.simplefilter("ignore")
        found: type = getattr(importlib.import_module(module), attribute)
    return found


def definition(name: str) -> ServiceDefinition:
    """Return what a service does, without running it."""
    if name == GATEWAY:
        return ServiceDefinition(GATEWAY)
    found = service_class(name)
    from eventkit.service import define

    return define(found)


def folder(name: str) -> Path:
    """Return the folder of a service's package, where its migrations lie."""
    return Path(__file__).resolve().parents[1] / "services" / name

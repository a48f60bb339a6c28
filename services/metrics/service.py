"""Every way into the metrics service."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from contracts.register import FACTS
from eventkit.envelope import Event
from eventkit.process import ServiceProcess
from eventkit.service import Page, Stored, fires, handles
from eventkit.timers import Timer
from services.metrics import usecases
from services.metrics.page import FactsPage
from services.metrics.readings import read_numbers
from services.metrics.settings import Settings
from services.metrics.storage import MetricsStore

Method = Callable[[Any, Event[Any]], None]
_pages: WeakKeyDictionary[ServiceProcess, FactsPage] = WeakKeyDictionary()


def facts_page(process: ServiceProcess) -> bytes:
    """Return the page `/facts` of a process, whose own page it stays for as long as that runs."""
    page = _pages.get(process)
    if page is None:
        settings = Settings.from_env(os.environ)
        read = partial(read_numbers, process.engine)
        page = _pages.setdefault(process, FactsPage(read, process.metrics.registry, ttl_s=settings.facts_ttl_s))
    return page.content()


def _handles_every_fact(method: Method) -> Method:
    for fact in FACTS.values():
        method = handles(fact, preload="before_events", ordered=False)(method)
    return method


class MetricsService:
    """Keeps every event once, and every number true."""

    name = "metrics"
    takes_everything = True
    gather_s = 0.25
    store = Stored(MetricsStore)
    facts = Page("/facts", facts_page)

    def before_events(self, events: Sequence[Event[Any]]) -> None:
        usecases.prepare(self.store, events)

    @_handles_every_fact
    def on_event(self, event: Event[Any]) -> None:
        usecases.take(self.store, event)

    @fires(usecases.MONTHS_KIND)
    def on_journal_months(self, timer: Timer) -> None:
        usecases.look_after_journal(self.store, timer.payload)

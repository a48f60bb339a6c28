"""Knowledge as a process of its own that is killed: each of its calls takes effect once all the same."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.tickets import TicketOpened
from eventkit.work import Work
from liaison.installation import Installation
from services.knowledge import rebuild as rebuilding
from services.knowledge import usecases
from services.knowledge.storage import KnowledgeStore
from tests.eventkit.desk import eventually
from tests.knowledge.library import Library, feedback, library_of, ticket_event
from tests.seeds import FIXED_SEEDS, run_seed

pytestmark = pytest.mark.timeout(300)
KILLS = 2
OF_EACH = 6
#: Fewer questions and answers leave over a call about an article or feedback; those are made until they succeed.
_ALL_PASS = 2 * 2 * OF_EACH
_JOBS = "select count(*) from eventkit.timer where kind in ('suggest', 'look_up_feedback', 'index')"


@pytest.fixture
def library(installation: Installation, search_server: Installation) -> Iterator[Library]:
    """Knowledge under its own name, since its process cannot have another."""
    with library_of(installation, search_server, name="knowledge") as library:
        yield library


@contextmanager
def written(library: Library) -> Iterator[KnowledgeStore]:
    """Give a store whose changes are committed at the end, as a command of the service."""
    with library.engine.begin() as connection:
        store = KnowledgeStore(Work(connection, source="/liaison/knowledge", now=datetime.now(UTC)))
        yield store
        store.work.flush()


def give_work(library: Library, place: int) -> None:
    """Publish articles, tickets and feedback: a call of the search server for each."""
    fields: dict[str, Any] = {
        "language": "zh-CN",
        "category": None,
        "problem_codes": [],
        "level": "internal",
        "body": "每年十天。",
    }
    with written(library) as store:
        titles = [f"年假制度 {place}-{number}" for number in range(OF_EACH)]
        ids = [usecases.draft(store, fields | {"title": title}, None)["id"] for title in titles]
    with written(library) as store:
        for one in ids:
            usecases.submit(store, one)
            usecases.publish(store, one, [], None)
    tickets = [ticket_event(TicketOpened, f"T-{place}-{number}") for number in range(OF_EACH)]
    library.publish(*tickets, *[feedback(f"F-{place}-{number}", "食堂周末不开门") for number in range(OF_EACH)])


@pytest.mark.parametrize("seed", [*FIXED_SEEDS, run_seed()])
def test_the_calls_of_a_process_that_is_killed_take_effect_once(library: Library, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    # Given a process that is killed in the midst of its calls, each time with new ones to make
    for place in range(KILLS):
        give_work(library, place)
        library.gate.lets_pass = chance.randrange(_ALL_PASS)
        with library.running(tmp_path / "log", **library.env):
            eventually(lambda: library.gate.lets_pass < 0, what="a call waits in vain")
        library.gate.lets_pass = math.inf
        assert library.one(_JOBS) > 0, "it was killed too late to prove anything"
        # The calls of the dead process are taken up at once.
        library.execute("update eventkit.timer set running_until = now() where running_until is not null")
    # When another one makes what is left
    expected = 2 * OF_EACH * KILLS
    handled = "select count(*) from eventkit.inbox where state = 'handled'"
    with library.running(tmp_path / "log", **library.env):
        eventually(lambda: library.one(handled) == expected and library.one(_JOBS) == 0, what="all calls are made")
    # Then each ticket has been answered once, each feedback counted once, and each article is in the index
    about = [told["about_subject"] for told in library.told("answer.suggested")]
    assert sorted(about) == [f"T-{place}-{number}" for place in range(KILLS) for number in range(OF_EACH)]
    assert len(library.told("search.missed")) == OF_EACH * KILLS
    assert library.rows("select example, count from missing_answer") == [("食堂周末不开门", OF_EACH * KILLS)]
    library.caught_up()
    status = rebuilding.status(library.engine, library.index)
    assert (status.found, status.is_right) == (OF_EACH * KILLS, True)

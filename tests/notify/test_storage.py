"""Two transactions at once: who waits for a person and who learns of one never miss each other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import text

from contracts.tickets import SlaWarned
from eventkit.work import Work
from services.notify import usecases
from services.notify.settings import Settings
from services.notify.storage import NotifyStore
from tests.eventkit.desk import eventually
from tests.notify.office import Office, about, person, ticket_event
from tests.notify.test_rules import ENV

Use = Callable[[NotifyStore], None]


def run_paused(office: Office, use: Use, go_on: threading.Event) -> threading.Thread:
    """Run a use case in a transaction that commits only when told; return when the use case is through."""
    through = threading.Event()

    def run() -> None:
        with office.engine.begin() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source="/liaison/notify", now=now)
            use(NotifyStore(work))
            work.flush()
            through.set()
            go_on.wait(20)

    thread = threading.Thread(target=run)
    thread.start()
    # The second of two may wait for the first, which is what this is about.
    through.wait(1)
    return thread


def test_a_message_and_the_news_of_its_recipient_at_the_same_moment_meet(office: Office) -> None:
    book = Settings.from_env(ENV).rules

    def tell(store: NotifyStore) -> None:
        usecases.tell(store, book, ticket_event(about(SlaWarned)))

    def learn(store: NotifyStore) -> None:
        usecases.take_person(store, person("E2"))

    for first, second in ((tell, learn), (learn, tell)):
        go_on = threading.Event()
        threads = [run_paused(office, first, go_on), run_paused(office, second, go_on)]
        go_on.set()
        for thread in threads:
            thread.join(timeout=20)
        assert office.states() == {"E2": "pending"}
        assert office.rows("select kind from eventkit.timer") == [("send_mail",)]
        office.execute("truncate delivery, person, eventkit.timer")


def test_a_handler_that_fails_takes_back_what_it_had_learnt(office: Office) -> None:
    with office.engine.begin() as connection:
        now = connection.execute(text("select now()")).scalar_one()
        work = Work(connection, source="/liaison/notify", now=now)
        store = NotifyStore(work)
        store.load_people(["E2"])
        mark = work.mark()
        for one in ("E2", "E3"):
            usecases.take_person(store, person(one))
        work.undo(mark)
        assert (store.person("E2"), store.person("E3")) == (None, None)
        work.flush()
    assert office.one("select count(*) from person") == 0


def test_two_hundred_messages_wait_for_one_person_and_all_are_sent(office: Office) -> None:
    office.start()
    events = [ticket_event(about(SlaWarned)) for _ in range(200)]
    office.publish(*events)
    query = "select count(*) from delivery where state = :state"
    eventually(lambda: office.one(query, state="waiting_contact") == 200)
    office.knows(person("E2"))
    eventually(lambda: office.one(query, state="accepted") == 200, timeout_s=60)
    assert len(office.kept()) == 200

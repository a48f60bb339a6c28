"""What training makes of events, on a real broker and database: one story a test."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventkit.errors import RuleBroken
from eventkit.forgetting import forget
from eventkit.work import Work
from services.training import storage, usecases
from services.training.settings import Settings
from services.training.telling import Circumstances
from tests.eventkit.desk import Desk, eventually
from tests.training.stories import FINANCE, MATERIALS, MODULES, attempt, handled, person, told, types


def test_a_reported_completion_is_told_with_all_that_its_readers_need(
    training: Desk, call: Any, month_end: Any
) -> None:
    # Given a learner whose department's contact is that of the branch
    call("put_contact", department="集团/华东分公司", employee_number="E33")
    training.publish(person("E7", department=FINANCE))
    handled(training, 1)
    # When the learning platform reports a pass
    ended = datetime.now(UTC) - timedelta(hours=1)
    training.publish(attempt(score=0.86, completed_at=ended))
    eventually(lambda: len(told(training)) == 2)
    # Then the learner is enrolled, as reported, and has completed the course
    (first, enrolled), (second, completed) = told(training)
    assert (first, second) == ("enrolment.confirmed", "course.completed")
    assert enrolled["reported"] is True
    assert datetime.fromisoformat(completed.pop("completed_at")) == ended
    assert completed == {
        "course": "FIN-01",
        "course_title": "总账月结",
        "learner": "E7",
        "department": FINANCE,
        "contact": "E33",
        "problem_codes": ["FIN-GL-OPEN", "FIN-GL-LOCK"],
        "attempt": 1,
        "score": 0.86,
        "class_hours": 3.5,
        "next_course": "FIN-02",
        "next_course_title": "合并报表",
        "materials": MATERIALS,
    }
    assert training.rows("select distinct headers ->> 'ce-subject' from eventkit.outbox")[0][0] == "FIN-01/E7"


def test_reports_of_one_attempt_complete_it_once_whatever_their_ids(training: Desk) -> None:
    # Given two reports in one batch, of other ids and even of another platform
    training.publish(attempt(score=0.9), attempt(sequence=2), attempt(source="/hr", score=0.8))
    training.start()
    handled(training, 3)
    # When one more comes later
    training.publish(attempt(sequence=3))
    handled(training, 4)
    assert types(training) == ["enrolment.confirmed", "course.completed"]
    assert training.one("select array_agg(score) from attempt") == [0.9]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_facts_count_what_was_reported_in_whatever_order_it_came(training: Desk, seed: int) -> None:
    # Given how the attempts of some learners ended, each reported twice by two platforms, in any order
    dice = random.Random(seed)
    ends = {(f"E{n}", number): dice.random() < 0.5 for n in range(8) for number in range(1, 5)}
    reports = [
        attempt(number, learner=learner, passed=passed, source=source)
        for (learner, number), passed in ends.items()
        for source in ("/lms", "/lms", "/hr")
    ]
    dice.shuffle(reports)
    training.publish(*reports)
    training.start()
    handled(training, len(reports))
    # Then each passed attempt is one completion, one of each learner's is the first, and the last attempt decides
    completed = [data for kind, data in told(training) if kind == "course.completed"]
    passes = {key for key, passed in ends.items() if passed}
    assert sorted((data["learner"], data["attempt"]) for data in completed) == sorted(passes)
    firsts = [data["learner"] for data in completed if data.get("first", True)]
    assert sorted(firsts) == sorted({learner for learner, _ in passes})
    states = {row.learner: row.state for row in training.rows("select learner, state from enrolment")}
    assert states == {learner: "completed" if ends[learner, 4] else "retraining" for learner, _ in ends}


def test_a_report_that_another_replica_is_handling_waits_and_is_a_repeat(training: Desk) -> None:
    # Given a replica that has written a completion and not committed it
    event = attempt()
    settings = Settings.from_env({})
    with training.engine.begin() as connection:
        work = Work(connection, source="/liaison/training", now=datetime.now(UTC))
        around = Circumstances(event.time)
        usecases.report_attempt(storage.TrainingStore(work), settings, event.data, around, source="/lms")
        work.flush()
        # When another one takes up the same attempt, as reported by another platform
        training.publish(attempt(source="/hr"))
        training.start()
        eventually(lambda: training.waiting_for_locks() == 1)
    # Then it waits for the first, and has nothing to tell
    handled(training, 1)
    assert types(training) == ["enrolment.confirmed", "course.completed"]


def test_a_failure_is_followed_by_retraining_in_the_modules_that_teach_it(training: Desk, month_end: Any) -> None:
    failed = attempt(passed=False, score=0.4, failed_codes=("FIN-GL-LOCK",))
    training.publish(failed, attempt(passed=False, sequence=2, score=0.1))
    handled(training, 2)
    kinds = told(training)
    assert [kind for kind, _ in kinds] == ["enrolment.confirmed", "retraining.assigned"]
    data = kinds[-1][1]
    assert (data["modules"], data["problem_codes"], data["score"]) == (["锁定"], ["FIN-GL-LOCK"], 0.4)
    assert data["due_on"] > datetime.now(UTC).date().isoformat()
    # When the next attempt is passed, and a failure of the first is reported once more
    training.publish(attempt(2, sequence=3), attempt(passed=False, sequence=4))
    handled(training, 4)
    assert types(training)[2:] == ["course.completed"]
    assert training.one("select state from enrolment") == "completed"


def test_a_late_report_of_an_earlier_failure_undoes_nothing(training: Desk, call: Any) -> None:
    training.publish(attempt(2), attempt(1, passed=False, sequence=2))
    handled(training, 2)
    assert types(training) == ["enrolment.confirmed", "course.completed"]
    [course] = call("get_learning_record", employee_number="E7")["courses"]
    assert course["state"] == "completed"
    assert [(one["attempt"], one["passed"]) for one in course["attempts"]] == [(1, False), (2, True)]


def test_a_second_pass_is_told_and_is_not_the_first(training: Desk, call: Any, month_end: Any) -> None:
    training.publish(attempt(1), attempt(2, sequence=2))
    handled(training, 2)
    completed = [data for kind, data in told(training) if kind == "course.completed"]
    assert [(data["attempt"], data.get("first", True)) for data in completed] == [(1, True), (2, False)]
    # Then the class hours count once
    assert call("get_learning_record", employee_number="E7")["class_hours"] == 3.5


def test_a_course_that_nobody_wrote_down_is_listed_as_unknown_and_counts_later(training: Desk, call: Any) -> None:
    training.publish(attempt(course="NEW-9"))
    handled(training, 1)
    assert told(training)[-1][1]["course_title"] == "NEW-9"
    [course] = call("list_courses", filters={"known": False})["items"]
    assert (course["code"], course["known"]) == ("NEW-9", False)
    # When it is written down
    call("put_course", code="NEW-9", title="新课程", modules=MODULES)
    assert call("list_courses", filters={"known": False})["items"] == []
    # Then it counts in the record of those who completed it before; a later change of its hours does not, for others
    assert call("get_learning_record", employee_number="E7")["class_hours"] == 3.5
    training.publish(attempt(course="NEW-9", learner="E8"))
    handled(training, 2)
    call("put_course", code="NEW-9", title="新课程", modules=MODULES[:1])
    assert call("get_learning_record", employee_number="E8")["class_hours"] == 3.5


def test_history_is_judged_by_its_own_time_and_marked(training: Desk) -> None:
    then = datetime(2019, 5, 6, 8, tzinfo=UTC)
    training.publish(attempt(time=then, history=True, arrived_at=datetime.now(UTC)))
    training.start()
    handled(training, 1)
    assert told(training)[-1][1]["completed_at"] == "2019-05-06T08:00:00Z"
    marked = training.rows("select headers ->> 'ce-history' as history from eventkit.outbox")
    assert [row.history for row in marked] == ["true", "true"]


def test_a_moment_that_cannot_be_believed_is_kept_and_the_arrival_counts(training: Desk) -> None:
    arrived = datetime.now(UTC)
    training.publish(attempt(completed_at=arrived - timedelta(days=3), arrived_at=arrived))
    training.start()
    handled(training, 1)
    row = training.rows("select ended_at, claimed_at from attempt")[0]
    assert (row.ended_at, row.claimed_at) == (arrived, arrived - timedelta(days=3))


def test_an_attempt_that_cannot_be_a_count_is_kept_as_dead_with_the_reason(training: Desk) -> None:
    training.publish(attempt(20260302120000))
    training.start()
    [row] = eventually(lambda: training.rows("select reason from eventkit.held_event where state = 'dead'"))
    assert "attempt 20260302120000; at most 1000" in row.reason


def test_an_older_version_of_a_person_changes_nothing(training: Desk) -> None:
    training.publish(person("E7", 5, department=FINANCE), person("E7", 4, department="别处"))
    training.start()
    handled(training, 2)
    assert training.one("select department from person") == FINANCE


def test_a_person_and_their_completion_in_one_batch_fit_together(training: Desk) -> None:
    training.publish(person("E7", department=FINANCE), attempt(), person("E7", 2, department="别处"), attempt(2))
    training.start()
    handled(training, 4)
    departments = [data["department"] for kind, data in told(training) if kind == "course.completed"]
    assert departments == [FINANCE, "别处"]


def test_the_contact_is_of_the_department_above_when_the_nearest_one_has_left(training: Desk, call: Any) -> None:
    for department, number in (("集团", "E30"), ("集团/华东分公司", "E33")):
        call("put_contact", department=department, employee_number=number)
    training.publish(person("E7", department=FINANCE), person("E33", active=False))
    handled(training, 2)
    training.publish(attempt())
    handled(training, 3)
    assert told(training)[-1][1]["contact"] == "E30"
    with pytest.raises(RuleBroken, match="E33 has left"):
        call("put_contact", department="集团", employee_number="E33")


def test_a_forgotten_person_leaves_counts_and_nothing_else(training: Desk, call: Any) -> None:
    call("put_contact", department=FINANCE, employee_number="E7")
    training.publish(person("E7", department=FINANCE, manager="E9"), attempt(score=0.5))
    handled(training, 2)
    forget(training.engine, "E7", storage.FORGET)
    left = [training.one(f"select count(*) from {table}") for table in ("person", "contact", "enrolment", "attempt")]
    assert left == [0, 0, 1, 1]
    assert training.one("select score from attempt") is None

"""The training service's tables, and how a transaction reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    any_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from eventkit.work import Row, Work, array_of
from services.training.rules import department_and_above

metadata = MetaData()
_moment = DateTime(timezone=True)

course = Table(
    "course",
    metadata,
    Column("code", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("known", Boolean, nullable=False, comment="false: only reported so far, nobody wrote it into the catalogue"),
    Column("modules", JSONB, nullable=False, comment="list of title, problem_codes, class_hours"),
    Column("materials", JSONB, nullable=False, comment="list of material_id, title, url, summary"),
    Column("next_course", Text),
    Column("changed_at", _moment, nullable=False),
)

contact = Table(
    "contact",
    metadata,
    Column("department", Text, primary_key=True, comment="a path; it stands for the departments below it too"),
    Column("employee_number", Text, nullable=False),
    Index("contact_by_person", "employee_number"),
)

catalogue_change = Table(
    "catalogue_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _moment, nullable=False),
    Column("actor", Text),
    Column("thing", Text, nullable=False, comment="course or contact"),
    Column("name", Text, nullable=False, comment="the course's code or the department"),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True), nullable=False),
    Index("catalogue_change_by_name", "thing", "name", "id"),
    comment="Who changed what in the catalogue, and when (S4)",
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("id", Text, primary_key=True, comment="course, a space, learner"),
    Column("course", Text, nullable=False),
    Column("learner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("enrolled_at", _moment, nullable=False),
    Column("due_on", Date),
    Column("reported", Boolean, nullable=False, comment="known only because a completion was reported"),
    Column("highest", Integer, nullable=False, comment="the highest attempt that was reported, 0 for none"),
    Column("highest_passed", Integer, nullable=False, comment="the highest attempt that was passed, 0 for none"),
    Column("completed_at", _moment, comment="when the course counted as completed for the first time"),
    Column("class_hours", Float, comment="what the course counted then; null when the catalogue did not know it"),
    Column("history", Boolean, nullable=False),
    Index("enrolment_by_learner", "learner", "id"),
    Index("enrolment_by_course", "course", "id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Text, primary_key=True, comment="course, learner, number, with spaces between"),
    Column("enrolment", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("score", Float),
    Column("ended_at", _moment, nullable=False, comment="the moment that counts"),
    Column("claimed_at", _moment, comment="the moment that was reported, believable or not"),
    Column("source", Text, nullable=False, comment="who reported it"),
    Column("modules", ARRAY(Text), nullable=False, comment="titles of what is learnt again after a failure"),
    Column("retraining_due_on", Date),
    Index("attempt_by_enrolment", "enrolment", "number"),
    comment="How attempts at courses ended: once per course, learner and number (L16)",
)

person = Table(
    "person",
    metadata,
    Column("employee_number", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("department", Text),
    Column("manager", Text),
    Column("active", Boolean, nullable=False),
)

_LOCKS = 0x7EA1


class TrainingStore:
    """What one transaction sees and changes of training."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.courses = work.rows(course)
        self.contacts = work.rows(contact)
        self.enrolments = work.rows(enrolment)
        self.attempts = work.rows(attempt)
        self.people = work.rows(person)
        self._changes = work.rows(catalogue_change)
        self._locked: set[str] = set()
        self._titles: dict[str, str] = {}
        self._read_people: dict[str, Row | None] = {}
        self._changed_people: set[str] = set()
        self._contacts: dict[str, str] = {}
        self._departments: set[str] = set()

    def load(self, reports: Iterable[tuple[str, str, int]]) -> None:
        """Read and lock, in few statements, what reports need. reports: (course, learner, attempt)."""
        wanted = list(reports)
        self.lock_courses(code for code, _, _ in wanted)
        self.courses.preload([code for code, _, _ in wanted])
        self.enrolments.preload([enrolment_id(code, learner) for code, learner, _ in wanted])
        self.attempts.preload([attempt_id(*one) for one in wanted])
        rows = (self.courses.get(code) for code, _, _ in wanted)
        self._load_titles(row["next_course"] for row in rows if row is not None and row["next_course"])
        self._load_people(learner for _, learner, _ in wanted)
        learners = (self.person(learner) for _, learner, _ in wanted)
        self._load_contacts(row["department"] for row in learners if row is not None)

    def lock_courses(self, codes: Iterable[str]) -> None:
        """Let one transaction at a time write about a course, its enrolments and attempts, those not there yet too."""
        self._lock(f"course {code}" for code in codes)

    def lock_plan(self, code: str) -> None:
        """Lock a course, and let one transaction at a time change which course follows which."""
        self._lock(["plan", f"course {code}"])

    def lock_contact(self, department: str) -> None:
        """Let one transaction at a time write a department's contact, one that is not there yet too."""
        self._lock([f"contact {department}"])

    def _lock(self, names: Iterable[str]) -> None:
        if wanted := set(names) - self._locked:
            self._locked |= wanted
            self.work.connection.execute(
                text(
                    "select pg_advisory_xact_lock(:space, slot) from (select distinct hashtext(name) as slot"
                    " from unnest(cast(:names as text[])) as n (name) order by slot offset 0) as slots"
                ),
                {"space": _LOCKS, "names": list(wanted)},
            )

    def enrolment(self, course_code: str, learner: str) -> Row | None:
        """Return the enrolment of a learner in a course, locked."""
        return self.enrolments.get(enrolment_id(course_code, learner))

    def attempt(self, course_code: str, learner: str, number: int) -> Row | None:
        """Return what was reported of an attempt, locked."""
        return self.attempts.get(attempt_id(course_code, learner, number))

    def add_enrolment(self, course_code: str, learner: str, **values: Any) -> Row:
        """Write a new enrolment."""
        key = enrolment_id(course_code, learner)
        return self.enrolments.add(id=key, course=course_code, learner=learner, **values)

    def add_attempt(self, course_code: str, learner: str, number: int, **values: Any) -> None:
        """Write an attempt that was not reported before."""
        key, parent = attempt_id(course_code, learner, number), enrolment_id(course_code, learner)
        self.attempts.add(id=key, enrolment=parent, number=number, **values)

    def _load_titles(self, codes: Iterable[str]) -> None:
        if wanted := set(codes) - self._titles.keys():
            # Without a lock: writers of that other course need not wait for us.
            statement = select(course.c.code, course.c.title).where(course.c.code == any_(_texts(wanted)))
            self._titles |= dict.fromkeys(wanted, "")
            self._titles |= {row.code: row.title for row in self.work.connection.execute(statement)}

    def title_of(self, code: str | None) -> str:
        """Return a course's title, empty when the catalogue has none."""
        if code is None:
            return ""
        self._load_titles([code])
        return self._titles[code]

    def _load_people(self, numbers: Iterable[str]) -> None:
        if wanted := set(numbers) - self._read_people.keys():
            statement = select(person).where(person.c.employee_number == any_(_texts(wanted)))
            self._read_people |= dict.fromkeys(wanted)
            found = self.work.connection.execute(statement).mappings()
            self._read_people |= {row["employee_number"]: dict(row) for row in found}

    def person(self, number: str) -> Row | None:
        """Return what is known of a person, without locking it; this transaction's own changes are seen."""
        if number in self._changed_people:
            return self.people.get(number)
        self._load_people([number])
        return self._read_people[number]

    def put_person(self, number: str, known: Row | None, values: Mapping[str, Any]) -> None:
        """Write what is kept of a person."""
        if known is None:
            self.people.add(employee_number=number, **values)
        else:
            self.people.change(known, **values)
        self._changed_people.add(number)

    def _load_contacts(self, departments: Iterable[str | None]) -> None:
        paths = {path for department in departments for path in department_and_above(department)}
        if wanted := paths - self._departments:
            self._departments |= wanted
            statement = (
                select(contact.c.department, contact.c.employee_number)
                .outerjoin(person, person.c.employee_number == contact.c.employee_number)
                .where(contact.c.department == any_(_texts(wanted)), person.c.active.is_not(False))
            )
            self._contacts |= {row.department: row.employee_number for row in self.work.connection.execute(statement)}

    def contacts_for(self, department: str | None) -> Mapping[str, str]:
        """Return the contacts of a department and of those above it, by department; not those who have left."""
        self._load_contacts([department])
        return self._contacts

    def note(self, thing: str, name: str, before: Any, after: Any) -> None:
        """Write who changed the catalogue."""
        self._changes.append(
            at=self.work.now, actor=self.work.actor, thing=thing, name=name, before=before, after=after
        )

    def plan_after(self, code: str | None) -> list[str]:
        """Return a course, the one that follows it, and so on, as the catalogue stands; each at most once."""
        rows = self.work.connection.execute(
            text(
                "with recursive plan (code, place) as (select cast(:code as text), 1 union all"
                " select c.next_course, place + 1 from plan join course c using (code)"
                " where c.next_course is not null and place < 100)"
                " select code from plan group by code order by min(place)"
            ),
            {"code": code},
        )
        return [] if code is None else list(rows.scalars())

    def listed_courses(self, filters: Mapping[str, Any], *, after: str | None, limit: int) -> list[Row]:
        """Return courses by code, those after a cursor's code."""
        conditions = [] if filters.get("known") is None else [course.c.known == filters["known"]]
        if filters.get("problem_code"):
            conditions.append(course.c.modules.contains([{"problem_codes": [filters["problem_code"]]}]))
        if after:
            conditions.append(course.c.code > after)
        return self._listed(select(course).where(*conditions).order_by(course.c.code).limit(limit))

    def listed_contacts(self, *, after: str | None, limit: int) -> list[Row]:
        """Return contacts by department, those after a cursor's department."""
        conditions = [contact.c.department > after] if after else []
        return self._listed(select(contact).where(*conditions).order_by(contact.c.department).limit(limit))

    def listed_enrolments(
        self, scope: Mapping[str, Any], filters: Mapping[str, Any], *, after: str | None, limit: int | None
    ) -> list[Row]:
        """Return enrolments with the course's title and hours, without locking them, those after a cursor's id."""
        conditions = [_scope_condition(scope)]
        named = {name: filters.get(name) for name in ("learner", "course", "state")}
        conditions += [enrolment.c[name] == value for name, value in named.items() if value is not None]
        if after:
            conditions.append(enrolment.c.id > after)
        statement = (
            select(enrolment, course.c.title.label("title"), course.c.modules.label("modules"))
            .join(course, course.c.code == enrolment.c.course)
            .outerjoin(person, person.c.employee_number == enrolment.c.learner)
        )
        return self._listed(statement.where(and_(*conditions)).order_by(enrolment.c.id).limit(limit))

    def attempts_of(self, learner: str) -> list[Row]:
        """Return a learner's attempts by course and number, without locking them."""
        statement = (
            select(attempt).join(enrolment, enrolment.c.id == attempt.c.enrolment).where(enrolment.c.learner == learner)
        )
        return self._listed(statement.order_by(attempt.c.enrolment, attempt.c.number))

    def _listed(self, statement: Any) -> list[Row]:
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]


def enrolment_id(course_code: str, learner: str) -> str:
    """Return the key of an enrolment. A learner's number has no space, so that two pairs never share one."""
    return f"{course_code} {learner}"


def attempt_id(course_code: str, learner: str, number: int) -> str:
    """Return the key of an attempt: the business key by which reports are repeats of each other."""
    return f"{course_code} {learner} {number}"


def _texts(values: Iterable[str]) -> Any:
    return array_of(course, "code", list(values))


def _scope_condition(scope: Mapping[str, Any]) -> Any:
    """The same rule as `rules.is_visible`, for the database; a test compares the two."""
    caller, department = scope.get("person"), scope.get("department")
    mine = enrolment.c.learner == caller if caller else text("false")
    match scope.get("kind"):
        case "all":
            return text("true")
        case "own":
            return mine
        case "department":
            managed = person.c.manager == caller if caller else text("false")
            if not department:
                return or_(mine, managed)
            below = person.c.department.startswith(f"{department}/", autoescape=True)
            return or_(mine, managed, person.c.department == department, below)
    return text("false")


#: What erases a person (S6): who they are and how well they did. That somebody completed a course stays counted.
FORGET = (
    "delete from person where employee_number = :number",
    "delete from contact where employee_number = :number",
    "update attempt set score = null where enrolment in (select id from enrolment where learner = :number)",
)

"""Every way into the training service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts import training as facts
from contracts.gateway import CourseCompletionReported, PersonChanged
from eventkit.envelope import Event
from eventkit.moments import believed_moment
from eventkit.service import Configured, Stored, answers, handles
from services.training import calls, usecases
from services.training.settings import Settings
from services.training.storage import TrainingStore
from services.training.telling import Circumstances


class TrainingService:
    """Keeps courses, who takes them and how that ends, and tells of it once."""

    name = "training"
    store: TrainingStore = Stored(TrainingStore)
    settings: Settings = Configured(Settings.from_env)

    def load_reports(self, events: Sequence[Event[CourseCompletionReported]]) -> None:
        """Read in few statements what recording these attempts needs."""
        self.store.load((event.data.course, event.data.learner, event.data.attempt) for event in events)

    @handles(
        CourseCompletionReported,
        preload="load_reports",
        emits=(facts.EnrolmentConfirmed, facts.CourseCompleted, facts.RetrainingAssigned),
    )
    def on_course_completion_reported(self, event: Event[CourseCompletionReported]) -> None:
        """L16: what a learning platform reports counts like our own."""
        usecases.report_attempt(self.store, self.settings, event.data, _circumstances(event), source=event.source)

    def load_people(self, events: Sequence[Event[PersonChanged]]) -> None:
        """Read in one statement the people who changed."""
        self.store.people.preload([event.data.employee_number for event in events])

    @handles(PersonChanged, preload="load_people")
    def on_person_changed(self, event: Event[PersonChanged]) -> None:
        """People come, move and go."""
        usecases.change_person(self.store, event.data)

    @answers(command=True)
    def put_course(self, arguments: Mapping[str, Any]) -> Any:
        """Write a course."""
        return calls.put_course(self.store, arguments)

    @answers()
    def get_course(self, arguments: Mapping[str, Any]) -> Any:
        """Show one course."""
        return calls.get_course(self.store, arguments)

    @answers()
    def list_courses(self, arguments: Mapping[str, Any]) -> Any:
        """Show a page of the catalogue."""
        return calls.list_courses(self.store, arguments)

    @answers(command=True)
    def put_contact(self, arguments: Mapping[str, Any]) -> Any:
        """Write a department's training contact."""
        return calls.put_contact(self.store, arguments)

    @answers()
    def list_contacts(self, arguments: Mapping[str, Any]) -> Any:
        """Show a page of the training contacts."""
        return calls.list_contacts(self.store, arguments)

    @answers(command=True, emits=(facts.EnrolmentConfirmed,))
    def enrol(self, arguments: Mapping[str, Any]) -> Any:
        """Enrol somebody in a course."""
        return calls.enrol(self.store, self.settings, arguments, self.store.work.actor)

    @answers()
    def list_enrolments(self, arguments: Mapping[str, Any]) -> Any:
        """Show a page of enrolments."""
        return calls.list_enrolments(self.store, arguments)

    @answers()
    def get_learning_record(self, arguments: Mapping[str, Any]) -> Any:
        """Show a person's learning record."""
        return calls.get_learning_record(self.store, arguments)


def _circumstances(event: Event[CourseCompletionReported]) -> Circumstances:
    said = event.data.completed_at or event.time
    moment = believed_moment(said, event.arrived_at or event.time, history=event.history)
    return Circumstances(moment, event.actor or event.source, event.history)

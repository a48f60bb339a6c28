"""An enterprise around the system: its people, its other systems, and the ways in which they speak to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import create_engine

from liaison.installation import Installation
from liaison.publishers import PublisherAccount, add_publisher
from liaison.tokens import new_token
from tests.system import System

#: Employee number: what their record says. Mail addresses are made of the numbers.
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "E1000": {"name": "郑国强", "department": "集团/信息中心", "roles": ["manager"]},
    "E1001": {"name": "周敏", "department": "集团/信息中心", "groups": ["服务台"], "roles": ["engineer"]},
    "E1002": {
        "name": "陈立",
        "department": "集团/信息中心",
        "region": "华东",
        "groups": ["华东支持组"],
        "roles": ["engineer"],
        "manager": "E1000",
    },
    "E1003": {"name": "黄海", "department": "集团/信息中心", "region": "华南"},
    "E1005": {
        "name": "罗安",
        "department": "集团/信息中心",
        "region": "华南",
        "groups": ["华南支持组"],
        "roles": ["engineer"],
        "manager": "E1000",
    },
    "E2001": {"name": "林晓雯", "department": "集团/华东分公司/财务部", "region": "华东"},
    "E2009": {"name": "沈佳", "department": "集团/华东分公司/财务部", "region": "华东"},
}

#: What other systems may publish.
MAY: Mapping[str, Sequence[str]] = {
    "hr": ["liaison.person.changed.v1"],
    "oa": ["liaison.ticket.requested.v1", "liaison.feedback.submitted.v1"],
    "lms": ["liaison.course.completion_reported.v1"],
}


def address_of(number: str) -> str:
    """Return somebody's mail address."""
    return f"{number.lower()}@example.invalid"


class Enterprise:
    """Other systems, each with its own account, and people with their tokens."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._accounts: dict[str, PublisherAccount] = {}
        self._tokens: dict[str, str] = {}
        for number, known in PEOPLE.items():
            person = {"employee_number": number, "version": 1, "email": address_of(number)} | dict(known)
            self.publish("hr", "person.changed", f"person-{number}", person, subject=number)
        system.settle()

    def publish(self, publisher: str, kind: str, key: str, data: Mapping[str, Any], **more: Any) -> None:
        """Publish one event through the door twice, as a system does that did not see its first answer."""
        event_type = f"liaison.{kind}.v1"
        if publisher not in self._accounts:
            self._accounts[publisher] = add_publisher(self.system.installation, publisher, list(MAY[publisher]))
        event = {
            "specversion": "1.0",
            "id": key,
            "source": f"/{publisher}",
            "type": event_type,
            "time": datetime.now(UTC).isoformat(),
            "data": dict(data),
        }
        for _ in range(2):
            answer = httpx.post(
                f"{self.url}/v1/events",
                json=event | more,
                headers={
                    "Authorization": f"Bearer {self._accounts[publisher].token}",
                    "Content-Type": "application/cloudevents+json",
                },
                timeout=20,
            )
            assert answer.status_code == 202, answer.text

    @property
    def url(self) -> str:
        """The HTTP door."""
        return self.system.installation.gateway_url

    def ask(self, method: str, path: str, body: Any = None, *, role: str = "admin", **params: Any) -> Any:
        """Call a route in a role and return its answer."""
        answer = httpx.request(
            method,
            f"{self.url}{path}",
            json=body,
            params=params,
            headers={"Authorization": f"Bearer {self._token(role)}"},
            timeout=20,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _token(self, role: str) -> str:
        if role not in self._tokens:
            self._tokens[role] = _made_token(self.system.installation, role)
        return self._tokens[role]


def _made_token(installation: Installation, role: str) -> str:
    engine = create_engine(installation.database_uri("gateway").replace("postgresql://", "postgresql+psycopg2://", 1))
    try:
        with engine.begin() as connection:
            return new_token(connection, f"test {role}", role, person="E1000", groups=["服务台"], department="集团")
    finally:
        engine.dispose()

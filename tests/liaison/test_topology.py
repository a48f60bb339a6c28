"""`liaison topology` compares and mends what lies on the broker; `partitions set` refuses what makes no sense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.tickets import TicketResolved
from eventkit import broker, topology
from eventkit.topology import Administration, Binding, Exchange
from liaison.installation import Installation
from tests.eventkit.desk import admin_of

SURVEY = Binding(broker.EVENTS, "notify.1", False, TicketResolved.TYPE)
STRAY = Binding(broker.EVENTS, "notify.1", False, "liaison.ticket.forgotten.v1")


@pytest.fixture
def admin(installation: Installation) -> Iterator[Administration]:
    """The broker's administration; what a test adds is gone afterwards, since it would take other tests' events."""
    admin = admin_of(installation)
    before = admin.found()
    yield admin
    after = admin.found()
    for queue in after.queues - before.queues:
        admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
    added: list[Binding | Exchange] = [*(after.bindings - before.bindings), *(after.exchanges - before.exchanges)]
    for part in added:
        admin.remove(part)
    admin.close()


def test_what_is_missing_and_what_is_too_much_is_shown_and_then_mended(liaison: Any, admin: Administration) -> None:
    # Given what the services need
    assert liaison("topology", "apply").exit_code == 0
    same = liaison("topology", "diff")
    assert (same.exit_code, same.output.strip()) == (0, "nothing differs")
    # When a binding is lost, and one is there that nobody needs
    admin.remove(SURVEY)
    admin.declare(STRAY)
    # Then both are shown, nothing is changed, and the exit code says so
    for _ in range(2):
        result = liaison("topology", "diff")
        assert result.exit_code == 1
        assert signs(result.output) == {"+": SURVEY.key, "-": STRAY.key}
    # And `apply` says what it did, after which nothing differs
    assert signs(liaison("topology", "apply").output) == {"+": SURVEY.key, "-": STRAY.key}
    assert liaison("topology", "diff").exit_code == 0
    assert {SURVEY, STRAY} & admin.found().bindings == {SURVEY}


def test_the_broker_is_asked_past_a_proxy_of_the_environment(liaison: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        # Nobody listens on port 9 of this machine.
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert liaison("topology", "apply").exit_code == 0


def signs(output: str) -> dict[str, str]:
    """Return the keys of the listed bindings by their sign."""
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines() if "│" in line]
    return {sign: name.rpartition("(")[2].rstrip(")") for sign, kind, name in cells if kind == "binding"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gateway", "2"], "'gateway' is not one of tickets"),
        (["payroll", "2"], "'payroll' is not one of tickets"),
        (["tickets", "0"], "0 is not in the range 1<=x<=64"),
        (["tickets", "65"], "65 is not in the range 1<=x<=64"),
        (["tickets", "many"], "'many' is not a valid integer"),
        (["tickets"], "Missing argument 'COUNT'"),
    ],
)
def test_a_number_of_partitions_that_makes_no_sense_is_refused(liaison: Any, arguments: list[str], reason: str) -> None:
    result = liaison("partitions", "set", *arguments)
    assert (result.exit_code, reason in result.output) == (2, True), result.output

"""The benchmark itself works, and its table says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.figures import Figure, median, pace, quantile, save


@pytest.mark.timeout(240)
def test_a_tiny_row_runs_on_servers_of_its_own_and_is_written_down(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    result = CliRunner().invoke(main, ["relay", "--quick", "--events", "200", "--out", str(out)])
    assert result.exit_code == 0, result.output
    written = json.loads(out.read_text("utf-8"))
    [line] = written["figures"]
    assert line["row"] == "relay"
    assert line["ratio"] > 0
    assert {"processor", "cores", "RabbitMQ", "PostgreSQL", "nameko"} <= written["machine"].keys()


def test_rows_of_an_earlier_run_are_kept_and_those_measured_again_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    save(out, {}, [Figure("a", "x", 1, "s"), Figure("b", "y", 2, "s")], {"a": {"n": 1}})
    save(out, {}, [Figure("b", "y", 3, "s")], {"b": {"n": 2}})
    written = json.loads(out.read_text("utf-8"))
    assert [(one["row"], one["value"]) for one in written["figures"]] == [("a", 1), ("b", 3)]
    assert written["details"] == {"a": {"n": 1}, "b": {"n": 2}}


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 3), (0.99, 4), (1.0, 4)])
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([4, 1, 3, 2], share) == value


def test_the_middle_of_the_rounds_counts() -> None:
    assert median([9, 1, 5, 7, 3]) == 5


def test_the_pace_leaves_the_start_out_and_charges_only_what_was_spent_since() -> None:
    counts = iter([0, 10, 60, 110])
    seconds = iter([5.0, 6.0])
    found = pace(lambda: next(counts), 110, within_s=5, alive=lambda: True, spent=lambda: {"us": next(seconds)})
    assert found.cpu_us == {"us": pytest.approx(1e6 / 100)}
    assert 0 < found.per_second < 100 / 0.04


def test_a_contender_that_dies_is_said_to_be_dead() -> None:
    with pytest.raises(TimeoutError, match="died at 3 of 10"):
        pace(lambda: 3, 10, within_s=60, alive=lambda: False)

"""The benchmark itself works, and its table says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import articles, load, mail, memory, page, whole
from bench.__main__ import main
from bench.figures import Figure, median, pace, quantile, save
from bench.plan import WARM_S, quick_plan
from deploy.local.mailbox import MailFolder
from deploy.local.parts import SERVERS
from liaison.installation import Installation


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


def test_the_page_row_renders_five_thousand_series() -> None:
    plan = quick_plan()
    [line] = page.measure(None, plan)
    assert plan.details["page"]["series"] == 5000
    assert line.value > 0


def test_everything_up_is_every_server_that_make_run_starts() -> None:
    assert set(whole.PARTS) == set(SERVERS)


def test_the_memory_of_a_process_counts_its_children() -> None:
    block = "x = bytearray(64 * 2**20); print(1, flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {block!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 64 < memory.pss_mib(process.pid) < 128
        process.communicate(b"\n")
    assert memory.pss_mib(process.pid) == 0


def test_the_same_number_gives_the_same_article_and_questions_ask_for_words_of_titles() -> None:
    first, again = articles.article(7), articles.article(7)
    assert {**first, "at": None} == {**again, "at": None}
    assert articles.article(8)["title"] != first["title"]
    only = {word for number in range(20) for word in articles.question(number, 1) if word not in "请问怎么办"}
    assert only <= set(articles.article(0)["title"])


def test_receipts_are_measured_from_publishing_but_those_of_the_warm_up() -> None:
    plan, count = quick_plan(), 32
    published = {f"mail-{number}": number / 8 for number in range(count)}
    kept = {key: moment + (9.0 if moment < WARM_S else 0.5) for key, moment in published.items()}
    committed = {key: moment + 6.0 for key, moment in published.items() if key != f"mail-{count - 1}"}
    figures = mail.lines(mail.Held(published, kept, committed, 0.25, 3.0, {"notify": 0.2}), plan)
    assert [(one.value, one.kept) for one in figures] == [
        (500.0, None),
        (500.0, True),
        (6000.0, None),
        (6000.0, False),
        (1, False),
        (25.0, None),
        (3.0, None),
    ]
    assert plan.details["mail"]["cores used"] == {"notify": 0.2}


def test_what_is_kept_twice_is_seen_by_its_message_id(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    for delivery in ("d1", "d2", "d2"):
        content = f"Message-ID: <{delivery}@example.invalid>\r\nSubject: x\r\n\r\ntext\r\n".encode()
        folder.keep(content, sender="desk@example.invalid", to=["e1@example.invalid"])
    assert {delivery: len(moments) for delivery, moments in mail.kept_moments(folder, 3).items()} == {"d1": 1, "d2": 2}


def test_a_publisher_that_misses_a_confirm_says_so_and_leaves_no_connection(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_PATIENCE_S", 0.0)
    publisher = load.Publisher(installation.amqp_admin_uri)
    publisher._unconfirmed.add(1)
    with pytest.raises(TimeoutError, match="1 messages are not confirmed"):
        publisher.close()
    assert not publisher.channel.is_open

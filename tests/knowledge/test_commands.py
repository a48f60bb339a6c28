"""`liaison knowledge`: what an operator sees of the search, and by which exit code a script knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from liaison import knowledge as command
from liaison.installation import Installation
from liaison.terminal import console
from services.knowledge.recall import SETS, Measured, Score
from tests.eventkit.desk import eventually
from tests.knowledge.library import Library, feedback

Run = Callable[..., Result]


@pytest.fixture
def run(library: Library, search_server: Installation, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the library's database and index."""
    here = SimpleNamespace(
        database_uri=lambda service: library.database_uri,
        search_url=search_server.search_url,
        gateway_url="http://desk.invalid",
    )
    monkeypatch.setattr(command, "Installation", SimpleNamespace(load=lambda: here))
    monkeypatch.setattr(command, "SEARCH_PREFIX", library.prefix)
    monkeypatch.setattr(console, "width", 200)
    return lambda *arguments: CliRunner().invoke(command.knowledge, arguments)


def test_search_shows_what_a_specialist_finds_and_notes_nothing(library: Library, run: Run) -> None:
    one = library.published("打印机不出纸", "打开后盖取出卡纸。", level="sensitive")
    library.caught_up()
    found = run("search", "打印机", "卡纸")
    assert found.exit_code == 0, found.output
    assert one in found.output
    assert f"http://desk.invalid/v1/articles/{one}" in found.output
    assert "班车" not in run("search", "班车时刻表").output
    assert library.one("select count(*) from eventkit.timer where kind = 'note_search'") == 0


def test_search_shows_no_more_than_was_asked_for(library: Library, run: Run) -> None:
    ids = [library.published(f"VPN 配置 {n}", "安装客户端。") for n in range(3)]
    library.caught_up()
    assert sum(one in run("search", "配置", "--limit", "2").output for one in ids) == 2


def test_missing_shows_what_was_asked_most_first(library: Library, run: Run) -> None:
    library.published("年假制度", "每年十天。")
    library.caught_up()
    library.handled(feedback("F-1", "食堂周末不开门"), feedback("F-2", "班车太挤"), feedback("F-3", "班车太挤"))
    eventually(lambda: library.rows("select 1 from missing_answer having sum(count) = 3"), what="all are missing")
    shown = run("missing")
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("班车太挤") < shown.output.index("食堂周末不开门")
    assert "食堂周末不开门" not in run("missing", "--limit", "1").output


def test_index_status_says_by_its_exit_code_whether_the_index_holds_what_it_should(library: Library, run: Run) -> None:
    one = library.published("年假制度", "每年十天。")
    library.caught_up()
    well = run("index-status")
    assert (well.exit_code, "1 / 1" in well.output) == (0, True), well.output
    # When a document is lost behind the service's back
    library.index._client.delete(index=f"{library.prefix}-000001", id=one, refresh=True)
    ill = run("index-status")
    assert (ill.exit_code, "0 / 1" in ill.output, "rebuild" in ill.output) == (1, True, True), ill.output
    # Then a rebuild brings it back
    rebuilt = run("rebuild")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert f"1 documents; {library.prefix}-000002 is searched now" in rebuilt.output
    assert run("index-status").exit_code == 0
    assert library.found("年假") == [one]


def _tuning_sets(folder: Path, questions: Mapping[str, str]) -> Path:
    """Write sets of one document each, of which the question of its language is asked."""
    for language, documents, sets in SETS:
        text = {"id": "d1", "body": "打印机 プリンター the who are a band with a printer"}
        (folder / documents).write_text(json.dumps(text) + "\n", "utf-8")
        for name in sets.values():
            (folder / name).write_text(json.dumps({"query": questions[language], "doc": "d1"}) + "\n", "utf-8")
    return folder


PRINTER = {"zh-CN": "打印机", "en": "printer", "ja": "プリンター"}


def test_recall_measures_search_and_suggestions_beside_plain_bm25(run: Run, tmp_path: Path) -> None:
    measured = run("recall", str(_tuning_sets(tmp_path, PRINTER)))
    assert measured.exit_code == 0, measured.output
    rows = [line.split("│")[1:-1] for line in measured.output.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["zh", "zh, one wrong character", "en", "ja"]
    assert {cell.strip() for row in rows for cell in row[2:]} == {"1.000"}


def test_recall_ends_with_1_where_plain_bm25_is_better(run: Run, tmp_path: Path) -> None:
    # Words that say nothing are no keywords of ours, and plain BM25 finds them.
    measured = run("recall", str(_tuning_sets(tmp_path, PRINTER | {"en": "the are a"})))
    assert measured.exit_code == 1, measured.output


@pytest.mark.parametrize(
    ("ours", "suggested", "is_worse"),
    [
        (Score(0.5, 0.4), Score(0.5, 0.3), False),
        (Score(0.5, 0.4), Score(0.4, 0.4), True),
        (Score(0.4, 0.4), Score(0.5, 0.4), True),
        (Score(0.5, 0.3), Score(0.5, 0.4), True),
    ],
)
def test_either_way_of_asking_may_be_the_worse_one(ours: Score, suggested: Score, is_worse: bool) -> None:
    assert Measured("zh", 10, ours, suggested, plain=Score(0.5, 0.4)).is_worse is is_worse

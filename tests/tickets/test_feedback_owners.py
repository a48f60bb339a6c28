"""The owners' file: what is shipped can be read, and what is wrong is told with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventkit.errors import BadSettings
from services.tickets.feedback import owners as feedback_owners
from services.tickets.feedback.owners import read_owners
from services.tickets.settings import Settings

SHIPPED = Path(feedback_owners.__file__).parents[1] / "feedback.yaml"


def test_the_shipped_file_names_somebody_for_everything() -> None:
    assert read_owners(SHIPPED).candidates(None, None)


def test_another_file_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "owners.yaml"
    path.write_text("departments:\n  财务部/: E5\ndefault: E9\n")
    owners = Settings.from_env({"LIAISON_FEEDBACK_OWNERS": str(path)}).owners
    assert owners.candidates("OA-1", "财务部") == ("E5", "E9")


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("defaults: [E1]\ndefault: E2\n", 1, "unknown key 'defaults'"),
        ("departments:\n  财务部: []\ndefault: E1\n", 2, "names nobody"),
        ("departments:\n  财务部: [E1, E1]\ndefault: E1\n", 2, "names somebody twice"),
        ("default:\n  - E1\n  - 张 三\n", 3, "'张 三' is not an employee number"),
        ("default:\n  - E1\n  - {a: b}\n", 3, "not an employee number"),
        ("default: E1\ndepartments:\n  甲: E1\n  甲: E2\n", 4, "'甲' stands here twice"),
        ("default: E1\nproblem_codes: [OA]\n", 2, "must be a mapping"),
        ("departments: {甲: E1}\n", 1, "default is missing"),
        ("default: [E1\n", 2, "not YAML"),
        ("- E1\n", 1, "must be a mapping"),
        ("", 1, "must be a mapping"),
        ("default:\n", 1, "'' is not an employee number"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_reason(tmp_path: Path, content: str, line: int, reason: str) -> None:
    path = tmp_path / "owners.yaml"
    path.write_text(content)
    with pytest.raises(BadSettings) as caught:
        read_owners(path)
    assert any(one.startswith(f"{path}:{line}: ") and reason in one for one in str(caught.value).splitlines()), (
        caught.value
    )


def test_every_fault_is_told_at_once_and_a_file_that_is_not_there_as_well(tmp_path: Path) -> None:
    path = tmp_path / "owners.yaml"
    path.write_text("departments: {甲: []}\nextra: 1\ndefault: [E 1]\n")
    with pytest.raises(BadSettings) as caught:
        read_owners(path)
    assert len(str(caught.value).splitlines()) == 3
    with pytest.raises(BadSettings, match="cannot be read"):
        read_owners(tmp_path / "none.yaml")

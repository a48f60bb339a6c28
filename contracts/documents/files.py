"""The files that are made from the events: written, compared, and kept at a release."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import contracts
from contracts.documents.asyncapi import document
from contracts.documents.compatibility import breaks
from contracts.documents.routes import routes
from contracts.documents.schema import schema_of
from contracts.register import FACTS

FOLDER = Path(contracts.__file__).parent


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every type."""
    return {event_type: schema_of(fact) for event_type, fact in sorted(FACTS.items())}


def examples(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the example of every type. Raises FileNotFoundError naming the one that is missing."""
    return {name: json.loads((folder / "examples" / f"{name}.json").read_text()) for name in sorted(FACTS)}


def documents(folder: Path, version: str) -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    facts = [fact for _, fact in sorted(FACTS.items())]
    made = {folder / "schemas" / f"{name}.json": _text(schema) for name, schema in schemas().items()}
    made[folder / "asyncapi.json"] = _text(document(facts, routes(), examples(folder), version))
    return made


def differences(folder: Path, version: str) -> Iterator[str]:
    """Tell every generated file that is missing, not as it would be written now, or not ours to be there."""
    made = documents(folder, version)
    for path, text in made.items():
        if not path.exists():
            yield f"{path.relative_to(folder)} is missing: run `python -m contracts.documents write`"
        elif path.read_text() != text:
            yield f"{path.relative_to(folder)} is out of date: run `python -m contracts.documents write`"
    for path in _strangers(folder, made):
        yield f"{path.relative_to(folder)} belongs to no event type"


def _strangers(folder: Path, made: Mapping[Path, str]) -> list[Path]:
    found = [*folder.glob("schemas/*"), *folder.glob("examples/*")]
    return sorted(path for path in found if folder / "schemas" / path.name not in made)


def released(folder: Path, *, before: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the schemas of the newest release; with `before`, of the newest that is older than that version."""
    versions = [path.stem for path in folder.glob("released/*.json")]
    usable = [version for version in versions if before is None or _order(version) < _order(before)]
    if not usable:
        return {}
    path = folder / "released" / f"{max(usable, key=_order)}.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return found


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def project_version(folder: Path) -> str:
    """Return the version in pyproject.toml."""
    return str(tomllib.loads((folder.parent / "pyproject.toml").read_text())["project"]["version"])


def write(folder: Path) -> Iterator[str]:
    """Write every generated file, and remove schemas of types that are gone."""
    made = documents(folder, project_version(folder))
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for path in _strangers(folder, made):
        if path.parent.name == "schemas":
            path.unlink()
    yield from ()


def check(folder: Path) -> Iterator[str]:
    """Tell what is out of date, and what breaks the last release."""
    yield from differences(folder, project_version(folder))
    yield from breaks(released(folder), schemas())


def release(folder: Path) -> Iterator[str]:
    """Keep the schemas as those of the project's version, unless they break the release before it.

    A version is kept once: others may hold it already, and later ones are compared with what they hold.
    """
    version = project_version(folder)
    kept = folder / "released" / f"{version}.json"
    if kept.exists():
        yield f"{kept.relative_to(folder)} was released already: raise the version in pyproject.toml"
        return
    broken = breaks(released(folder, before=version), schemas())
    if not broken:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(_text(schemas()))
    yield from broken


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"

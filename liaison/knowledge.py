"""`liaison knowledge`: the search index, seen and rebuilt by an operator, and measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from sqlalchemy import Engine, select

from eventkit.database import open_engine
from liaison.installation import Installation
from liaison.terminal import console
from services.knowledge import asking
from services.knowledge import rebuild as rebuilding
from services.knowledge import recall as recalling
from services.knowledge.search import SearchIndex
from services.knowledge.settings import SEARCH_PREFIX
from services.knowledge.storage import missing_answer

_TUNING_SETS = Path(__file__).resolve().parents[2] / "shared" / "data"
_PATIENCE_S = 30.0


@click.group()
def knowledge() -> None:
    """The search index, and what it cannot find."""


def hits(installation: Installation, words: str, limit: int = 10) -> Sequence[Mapping[str, Any]]:
    """Return what a specialist finds, best first; nothing is noted. Raises Unavailable."""
    wanted = asking.question_of({"q": words, "limit": limit, "scope": {"kind": "all"}})
    with closing(SearchIndex(installation.search_url("knowledge"), SEARCH_PREFIX, timeout_s=_PATIENCE_S)) as index:
        found: Sequence[Mapping[str, Any]] = asking.search(index, wanted, installation.gateway_url)["items"]
    return found


@contextmanager
def _opened() -> Iterator[tuple[Engine, SearchIndex]]:
    installation = Installation.load()
    engine = open_engine(installation.database_uri("knowledge"), name="liaison knowledge")
    index = SearchIndex(installation.search_url("knowledge"), SEARCH_PREFIX, timeout_s=_PATIENCE_S)
    try:
        yield engine, index
    finally:
        index.close()
        engine.dispose()


@knowledge.command()
def rebuild() -> None:
    """Build the index anew from the database, and search the new one from then on.

    The service may run: searching goes on in the old index, and what is written meanwhile is in both.
    """
    with _opened() as (engine, index), click.progressbar(length=1, label="documents", show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        count = rebuilding.rebuild(engine, index, show)
        generation = index.generation_read()
    console.print(f"{count} documents; {generation} is searched now")


@knowledge.command()
def index_status() -> None:
    """Show how the search index stands. Exits with 1 when it does not hold what it should."""
    with _opened() as (engine, index):
        found = rebuilding.status(engine, index)
    table = Table("", "", show_header=False)
    table.add_row("searched", found.generation or "nothing yet")
    table.add_row("left over or being built", ", ".join(found.others) or "none")
    table.add_row("documents found / wanted", f"{found.found} / {found.wanted}")
    table.add_row("changes waiting", f"{found.waiting}, the oldest for {found.oldest_s:.0f} s")
    console.print(table)
    if not found.is_right:
        advice = "the service is catching up" if found.waiting else "run `liaison knowledge rebuild`"
        console.print(f"[yellow]{advice}[/yellow]")
    raise SystemExit(0 if found.is_right else 1)


@knowledge.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 50), default=10, show_default=True)
def search(words: tuple[str, ...], limit: int) -> None:
    """Search as a specialist does, without a token; nothing is noted."""
    table = Table("score", "id", "title", "address")
    for hit in hits(Installation.load(), " ".join(words), limit):
        table.add_row(f"{hit['score']:.1f}", hit["id"], hit["title"], hit["url"])
    console.print(table)


@knowledge.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def missing(limit: int) -> None:
    """Show what nobody has answered yet (K7), what was asked most first."""
    with _opened() as (engine, _), engine.connect() as connection:
        rows = connection.execute(
            select(missing_answer)
            .where(missing_answer.c.resolved_at.is_(None))
            .order_by(missing_answer.c.count.desc(), missing_answer.c.id)
            .limit(limit)
        ).all()
    table = Table("count", "kind", "problem code", "example", "last seen")
    for row in rows:
        seen = f"{row.last_seen_at:%Y-%m-%d %H:%M}"
        table.add_row(str(row.count), row.kind, row.problem_code or "—", row.example, seen)
    console.print(table)


@knowledge.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=_TUNING_SETS)
def recall(folder: Path) -> None:
    """Print recall@3 and MRR@10 on the questions in FOLDER: our search, suggestions for tickets, and plain BM25.

    Uses a scratch index and removes it. Exits with 1 when plain BM25 is better than either of them anywhere.
    """
    index = recalling.scratch(Installation.load().search_url("knowledge"), SEARCH_PREFIX)
    try:
        with console.status("measuring") as shown:
            measured = recalling.measure(index, folder, lambda name: shown.update(f"measuring {name}"))
    finally:
        index.close()
    table = Table("questions", "number", "recall@3", "suggested", "plain BM25", "MRR@10", "plain BM25")
    for one in measured:
        ours, plain = one.ours, one.plain
        figures = (ours.recall_3, one.suggested.recall_3, plain.recall_3, ours.mrr_10, plain.mrr_10)
        table.add_row(one.name, str(one.questions), *(f"{figure:.3f}" for figure in figures))
    console.print(table)
    raise SystemExit(1 if any(one.is_worse for one in measured) else 0)

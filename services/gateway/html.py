"""Pages for people, made on the server: templates in `html/`, words by language in `words/`; no script, no cookie.

A new language is a new file of words.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(__file__).parent
DEFAULT_LANGUAGE = "zh-CN"
_ZONE = ZoneInfo("Asia/Shanghai")
#: A page shows what only its holder may see, and sends nothing and nobody elsewhere.
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
}


def _words() -> dict[str, Mapping[str, str]]:
    read = {path.stem: msgspec.yaml.decode(path.read_bytes(), type=dict[str, str]) for path in _words_files()}
    # A word that a language lacks is shown in the default one rather than not at all.
    return {language: {**read[DEFAULT_LANGUAGE], **own} for language, own in read.items()}


def _words_files() -> list[Path]:
    return sorted((_HERE / "words").glob("*.yaml"))


WORDS = _words()
_PAGES = Environment(
    loader=FileSystemLoader(_HERE / "html"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _moment(given: str | datetime | None) -> str:
    """Return a moment as people of the desk read it; nothing for none."""
    if given is None:
        return ""
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    return moment.astimezone(_ZONE).strftime("%Y-%m-%d %H:%M")


_PAGES.filters["moment"] = _moment


def page(template: str, *, language: str = DEFAULT_LANGUAGE, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page in a language, or in the default one when there are no words for it."""
    language = language if language in WORDS else DEFAULT_LANGUAGE
    text = _PAGES.get_template(template).render(words=WORDS[language], language=language, **values)
    return HTMLResponse(text, status, HEADERS)

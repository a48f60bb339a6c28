"""Asking a part's own page whether the part is well."""

import httpx


def unanswered_because(url: str) -> str | None:
    """Return None if GET `url` answers 200 within 2 s, else the reason."""
    try:
        answer = httpx.get(url, timeout=2, trust_env=False)
    except httpx.HTTPError as error:
        return f"{url}: {error}"
    return None if answer.status_code == httpx.codes.OK else f"{url} answers {answer.status_code}: {answer.text[:200]}"

"""Settings of the knowledge service, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventkit.errors import BadSettings

SEARCH_PREFIX = "liaison-knowledge"
#: K1; LIAISON_KNOWLEDGE_CATEGORIES replaces them, separated by commas.
CATEGORIES = ("登录问题", "权限问题", "数据错误", "操作指南")


@dataclass(frozen=True, slots=True)
class Settings:
    """How knowledge is run. search_prefix: begins the names of its indices and aliases; url: the base of links."""

    search_url: str = field(repr=False)
    search_prefix: str = SEARCH_PREFIX
    url: str = ""
    categories: tuple[str, ...] = CATEGORIES

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read ELASTICSEARCH_URL, LIAISON_SEARCH_PREFIX, LIAISON_URL and LIAISON_KNOWLEDGE_CATEGORIES.

        Raises BadSettings without ELASTICSEARCH_URL, which holds the account and its password.
        """
        if not env.get("ELASTICSEARCH_URL"):
            raise BadSettings("not set: ELASTICSEARCH_URL")
        named = tuple(name.strip() for name in env.get("LIAISON_KNOWLEDGE_CATEGORIES", "").split(",") if name.strip())
        return cls(
            env["ELASTICSEARCH_URL"],
            env.get("LIAISON_SEARCH_PREFIX") or SEARCH_PREFIX,
            env.get("LIAISON_URL", "").rstrip("/"),
            named or CATEGORIES,
        )

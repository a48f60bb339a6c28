"""What the gateway needs to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eventkit.errors import BadSettings
from eventkit.links import TICKET, Links
from eventkit.process import ProcessSettings

_MAPPINGS = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class Settings:
    """http_host, http_port: where the HTTP door listens; port 0 takes a free one. mappings: folder of mapping files.

    links: reads the links of messages to requesters; None without a key for them.
    """

    process: ProcessSettings
    http_host: str
    http_port: int
    mappings: Path
    links: Links | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read HTTP_HOST, HTTP_PORT, LIAISON_MAPPINGS, LIAISON_LINK_KEYS and what every service needs.

        Raises BadSettings.
        """
        process = ProcessSettings.from_env(env)
        port = env.get("HTTP_PORT", "0")
        if not port.isdigit():
            raise BadSettings(f"HTTP_PORT: {port!r} is not a port")
        mappings = Path(env.get("LIAISON_MAPPINGS") or _MAPPINGS)
        if not mappings.is_dir():
            raise BadSettings(f"LIAISON_MAPPINGS: there is no folder {mappings}")
        return cls(process, env.get("HTTP_HOST", "127.0.0.1"), int(port), mappings, Links.from_env(env, TICKET))

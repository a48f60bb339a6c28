"""What the gateway needs to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eventkit.blobs import FolderStore, store_at
from eventkit.errors import BadSettings
from eventkit.links import TICKET, Links
from eventkit.process import ProcessSettings
from services.gateway.files import MAX_FILE_BYTES
from services.gateway.mail.settings import MailSettings

_MAPPINGS = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class Settings:
    """http_host, http_port: where the HTTP door listens; port 0 takes a free one. mappings: folder of mapping files.

    links: reads the links of messages to requesters; None without a key for them.
    blobs: where attachments lie; None without a place for them. max_file_bytes: the largest one. mail: the mailbox that
    is read; None without one.
    """

    process: ProcessSettings
    http_host: str
    http_port: int
    mappings: Path
    links: Links | None = None
    blobs: FolderStore | None = None
    max_file_bytes: int = MAX_FILE_BYTES
    mail: MailSettings | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read what every service needs, and the gateway's own settings.

        HTTP_HOST, HTTP_PORT, LIAISON_MAPPINGS, LIAISON_LINK_KEYS; LIAISON_BLOBS, a folder for attachments;
        LIAISON_MAX_FILE_BYTES; and those of the mailbox (`mail.settings`).

        Raises BadSettings.
        """
        process = ProcessSettings.from_env(env)
        port = env.get("HTTP_PORT", "0")
        if not port.isdigit():
            raise BadSettings(f"HTTP_PORT: {port!r} is not a port")
        mappings = Path(env.get("LIAISON_MAPPINGS") or _MAPPINGS)
        if not mappings.is_dir():
            raise BadSettings(f"LIAISON_MAPPINGS: there is no folder {mappings}")
        most = env.get("LIAISON_MAX_FILE_BYTES") or str(MAX_FILE_BYTES)
        if not most.isdigit():
            raise BadSettings(f"LIAISON_MAX_FILE_BYTES: {most!r} is not a number of bytes")
        return cls(
            process,
            env.get("HTTP_HOST", "127.0.0.1"),
            int(port),
            mappings,
            Links.from_env(env, TICKET),
            store_at(env),
            int(most),
            MailSettings.from_env(env, int(most)),
        )

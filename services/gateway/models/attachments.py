"""What the routes of attachments take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.models.words import Body


class FileWish(Body):
    """What a file is called, and who may see it: the requester too, or with `internal` the desk only."""

    filename: Annotated[str, Field(min_length=1, max_length=500)]
    level: Literal["public", "internal"] = "public"


class Attachment(BaseModel):
    """A file on a ticket. level: public, or internal for the desk only."""

    id: str
    name: str
    size_bytes: int
    sha256: str
    content_type: str
    level: str
    actor: str | None = None
    added_at: datetime


class AttachmentPage(BaseModel):
    """A ticket's attachments, oldest first."""

    items: list[Attachment]

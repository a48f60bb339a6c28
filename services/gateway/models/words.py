"""What several models are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from services.gateway.rules import MAX_NAME_BYTES, is_short


def _short(name: str) -> str:
    if not is_short(name):
        raise ValueError(f"is longer than {MAX_NAME_BYTES} bytes")
    return name


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES), AfterValidator(_short)]
EmployeeNumber = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S+$")]
Priority = Annotated[int, Field(ge=1, le=4, description="1 critical, 2 high, 3 moderate, 4 low (ITIL)")]
Text = Annotated[str, Field(max_length=20_000)]
ChannelName = Literal["hotline", "chat", "mail", "web", "specialist", "event", "other"]
StateName = Literal[
    "new",
    "in_progress",
    "awaiting_user",
    "awaiting_problem",
    "awaiting_vendor",
    "awaiting_evidence",
    "resolved",
    "closed",
    "other",
]


class Body(BaseModel):
    """What somebody sends."""

    # A misspelt field would otherwise be lost without a word.
    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("holds the character U+0000")
        return value

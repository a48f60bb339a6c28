"""What every event class shares, and the register of all of them.

A fact is the `data` of one CloudEvents type. Its class is frozen and typed; msgspec compiles its decoder, so that
checking costs microseconds. Readers ignore fields they do not know and read an unknown word of a closed list as
`other` (design: emitters are strict, readers tolerant).
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar, Self

import msgspec

# Names cross databases, headers and mails. Characters are what a schema can count; the doors count bytes, of which a
# name may have as many (design: limits).
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
# A moment without an offset from UTC means another time on every machine, so it is refused (design: times are aware).
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
EmployeeNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^\S+$")]
Priority = Annotated[int, msgspec.Meta(ge=1, le=4, description="1 critical, 2 high, 3 moderate, 4 low (ITIL)")]
Score = Annotated[int, msgspec.Meta(ge=1, le=5, description="1 worst, 5 best (T10)")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1, description="a share of the whole, 0 to 1")]


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of one event type.

    TYPE: the CloudEvents `type`, past tense and versioned, which is also the routing key.
    """

    TYPE: ClassVar[str] = ""

    @classmethod
    def emitter(cls) -> str:
        """Return the name of the one service that emits this type: the contract module's name."""
        return cls.__module__.rpartition(".")[2]


class Word(enum.StrEnum):
    """A word of a closed list; one that a reader does not know yet is read as `other`."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls.__members__.get("OTHER")

"""Settings of the tickets service: the policy file, read and checked once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from contracts.tickets import Target
from contracts.words import Channel, TicketState
from eventkit.errors import BadSettings
from services.tickets.feedback.owners import read_owners
from services.tickets.feedback.rules import Owners
from services.tickets.rules import Policy

_Seconds = Annotated[int, msgspec.Meta(gt=0)]
_Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_Priority = Annotated[int, msgspec.Meta(ge=1, le=4)]
_PRIORITIES = {1, 2, 3, 4}
_TARGETS = {Target.FIRST_RESPONSE, Target.SOLUTION}


class _PolicyFile(msgspec.Struct, forbid_unknown_fields=True):
    default_priority: _Priority
    targets: dict[Target, dict[int, _Seconds]]
    channels: dict[Channel, dict[Target, _Seconds]]
    warn_at_share: _Share
    pauses: dict[Target, list[TicketState]]
    priority_matrix: dict[int, list[_Priority]]
    default_group: str
    regions: dict[str, str]
    group_leads: dict[str, str]


def read_policy(path: Path) -> Policy:
    """Read a policy file. Raises BadSettings naming the file and what is wrong in it."""
    try:
        file = msgspec.yaml.decode(path.read_bytes(), type=_PolicyFile, strict=False)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadSettings(f"{path}: {error}") from None
    faults = [
        f"targets: {target} needs priorities 1 to 4"
        for target in _TARGETS
        if set(file.targets.get(target, ())) != _PRIORITIES
    ]
    rows = file.priority_matrix
    if set(rows) != _PRIORITIES or any(len(row) != 4 for row in rows.values()):
        faults.append("priority_matrix: needs rows 1 to 4 of four priorities each")
    if Target.OTHER in {*file.targets, *file.pauses, *(t for own in file.channels.values() for t in own)}:
        faults.append("an unknown target: only first_response and solution")
    if Channel.OTHER in file.channels:
        faults.append(f"channels: an unknown channel; known are {', '.join(Channel)}")
    if faults:
        raise BadSettings(f"{path}: {'; '.join(faults)}")
    return Policy(
        file.targets,
        file.channels,
        file.warn_at_share,
        file.pauses,
        file.default_priority,
        rows,
        file.default_group,
        file.regions,
        file.group_leads,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What the tickets service is run with. owners: who follows feedback up."""

    policy: Policy
    owners: Owners

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read LIAISON_TICKETS_POLICY and LIAISON_FEEDBACK_OWNERS (files), or those shipped beside this module.

        Raises BadSettings naming what is wrong in which of them.
        """
        shipped = Path(__file__)
        policy = env.get("LIAISON_TICKETS_POLICY") or shipped.with_name("policy.yaml")
        owners = env.get("LIAISON_FEEDBACK_OWNERS") or shipped.with_name("feedback.yaml")
        return cls(read_policy(Path(policy)), read_owners(Path(owners)))

"""Settings of the tickets service: files of policy, calendars and owners, read and checked once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.tickets.business_time.files import SHIPPED, load_calendars
from services.tickets.feedback.owners import read_owners
from services.tickets.feedback.rules import Owners
from services.tickets.sla.policy import Policy
from services.tickets.sla.policy_file import read_policy


@dataclass(frozen=True, slots=True)
class Settings:
    """What the tickets service is run with. owners: who follows feedback up."""

    policy: Policy
    owners: Owners

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read LIAISON_TICKETS_POLICY and LIAISON_FEEDBACK_OWNERS (files) and LIAISON_CALENDARS (a folder).

        What is not named is read from the files shipped beside this module.

        Raises BadSettings naming what is wrong in which of them.
        """
        shipped = Path(__file__)
        policy = env.get("LIAISON_TICKETS_POLICY") or shipped.with_name("policy.yaml")
        owners = env.get("LIAISON_FEEDBACK_OWNERS") or shipped.with_name("feedback.yaml")
        calendars = load_calendars(Path(env.get("LIAISON_CALENDARS") or SHIPPED))
        return cls(read_policy(Path(policy), calendars), read_owners(Path(owners)))

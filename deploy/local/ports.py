"""Which ports are ours to use, asked while none of our parts runs."""

import os
from collections.abc import Iterable
from dataclasses import replace

from deploy.local.refusals import PortTaken
from liaison.installation import Installation, free_port, is_free


def move_taken_ports(installation: Installation, names: Iterable[str]) -> tuple[Installation, list[str]]:
    """Replace the named ports that other programs hold.

    Returns: the installation, saved when it changed, and one sentence for each port that moved.
    Raises: PortTaken if a port was asked for by LIAISON_PORT_<NAME>, since then its owner counts on it.
    """
    ports, moved = dict(installation.ports), []
    for name in names:
        if is_free(ports[name]):
            continue
        setting = f"LIAISON_PORT_{name.upper()}"
        if os.environ.get(setting):
            raise PortTaken(f"{setting}={ports[name]}, but another program listens there")
        old, ports[name] = ports[name], free_port(avoiding=ports.values())
        moved.append(f"port {old} is taken by another program: {name} listens on {ports[name]} instead")
    if not moved:
        return installation, []
    fresh = replace(installation, ports=ports)
    fresh.save()
    return fresh, moved

"""Why the local platform cannot start or go on; every message is meant for the person at the terminal."""


class CannotRun(Exception):
    """The local platform cannot run: the message says why and what to do."""


class Unreachable(CannotRun):
    """The account of the parts cannot enter a folder that it needs."""


class NotInstalled(CannotRun):
    """A program is missing on this machine."""


class PortTaken(CannotRun):
    """A port that was asked for by name is in use by another program."""


class AlreadyRunning(CannotRun):
    """Another `liaison run` uses the same state folder."""


class NotHealthy(CannotRun):
    """A part did not become healthy in time, or ended: with the reason and the end of its log."""

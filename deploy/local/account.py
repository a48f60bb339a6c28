"""The Unix account that the parts run as: ours, or `liaison` when we are root.

PostgreSQL and Elasticsearch refuse to run as root, and nothing here needs root.
"""

import grp
import os
import pwd
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

from deploy.local.refusals import Unreachable

NAME = "liaison"


class PopenArguments(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that choose the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class UnixAccount:
    """An account of the machine.

    changes: whether processes must be switched to it (we are root), or are ours anyway.
    """

    name: str
    uid: int
    gid: int
    changes: bool

    @classmethod
    def ourselves(cls) -> "UnixAccount":
        """Return the account that this process runs as."""
        return cls(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), changes=False)

    def group_name(self) -> str:
        """Return the name of the account's group."""
        return grp.getgrgid(self.gid).gr_name

    def popen_arguments(self) -> PopenArguments:
        """Return what makes `subprocess.Popen` run a process as this account."""
        if not self.changes:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def folder(self, path: Path, mode: int = 0o750) -> Path:
        """Make a folder that belongs to the account, and return it."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        self.own(path)
        return path

    def file(self, path: Path, text: str, mode: int = 0o600) -> Path:
        """Write a file that belongs to the account, and return its path."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
            out.write(text)
        path.chmod(mode)
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        """Give an existing file or folder to the account."""
        if self.changes:
            os.chown(path, self.uid, self.gid)

    def must_reach(self, folder: Path) -> None:
        """Raise Unreachable, naming the first folder in the way, if the account cannot enter `folder`."""
        if not self.changes:
            return
        for step in reversed((folder, *folder.parents)):
            probe = subprocess.run(["/usr/bin/test", "-x", step], check=False, cwd="/", **self.popen_arguments())
            if probe.returncode:
                raise Unreachable(
                    f"started as root, the parts run as the account {self.name}, which cannot enter {step}; either\n"
                    f"  chmod o+x {shlex.quote(str(step))}\n"
                    "or keep the checkout, and the folder that LIAISON_HOME names, in a place that others may enter"
                )

    def for_our_code(self) -> "UnixAccount":
        """Return the account for processes that run Python code of this checkout.

        That is this one, unless it cannot reach the interpreter or the checkout (both may lie in root's own home):
        then they stay with us, who can.
        """
        if not self.changes or _can_import_us(self):
            return self
        return UnixAccount.ourselves()


@cache
def _can_import_us(account: UnixAccount) -> bool:
    try:
        probe = subprocess.run(
            [sys.executable, "-c", "import deploy.local"],
            check=False,
            cwd="/",
            env={},
            capture_output=True,
            **account.popen_arguments(),
        )
    except PermissionError:
        return False
    return probe.returncode == 0


def parts_account() -> UnixAccount:
    """Return the account for the parts; as root, make the system account `liaison` if it is missing."""
    if os.geteuid() != 0:
        return UnixAccount.ourselves()
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        _make_account()
        entry = pwd.getpwnam(NAME)
    return UnixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, changes=True)


def _make_account() -> None:
    command = ["/usr/sbin/useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", "--gid" if _group_exists() else "--user-group"]
    command += [NAME, NAME] if _group_exists() else [NAME]
    subprocess.run(command, check=False, capture_output=True)


def _group_exists() -> bool:
    try:
        grp.getgrnam(NAME)
    except KeyError:
        return False
    return True

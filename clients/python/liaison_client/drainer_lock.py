"""The lock that makes one process the drainer of a spool; it goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class DrainerLock:
    """An exclusive lock on a file beside the spool."""

    def __init__(self, spool: Path) -> None:
        self._path = spool.with_name(spool.name + ".drainer")
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it. Raises: OSError when the file cannot be made."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process drain; does nothing without the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def begin_after_fork(self) -> None:
        """In the child: the lock is the parent's. Closing our copy does not take it away from the parent."""
        self.release()

"""The terminal that commands write to."""

from __future__ import annotations

import sys

from rich.console import Console

#: Behind a pipe there is no width to fit into, and a table that is cut off would help nobody.
console = Console(width=None if sys.stdout.isatty() else 180)

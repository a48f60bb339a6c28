"""The index for words takes in new tickets a few at a time."""

from __future__ import annotations

from alembic import op

revision = "t0016"
down_revision: str | None = "t0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bound what waits to be merged into the index.

    Whoever fills the list up merges all of it, in the middle of opening a ticket: by default 4 MB, for which thousands
    of tickets wait and one then stands still for a tenth of a second and more.
    """
    op.execute("ALTER INDEX ticket_by_words SET (gin_pending_list_limit = 512)")

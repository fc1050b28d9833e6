"""People over many channels: merges that can be undone, consent, who must not or cannot be written to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("citizens", sa.Column("preferred_channel", sa.String(), nullable=True))
    op.add_column("citizens", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("identities", sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("identities", sa.Column("unreachable_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("identities", sa.Column("unreachable_why", sa.String(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("identities", "unreachable_why")
    op.drop_column("identities", "unreachable_at")
    op.drop_column("identities", "stopped_at")
    op.drop_column("citizens", "merged_into")
    op.drop_column("citizens", "preferred_channel")

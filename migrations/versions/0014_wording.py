"""Sentences to citizens as the centre words them, in whose language; albums, which come as several events."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "wordings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["by"], ["staff.id"], name=op.f("fk_wordings_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wordings")),
    )
    op.create_index("ix_wordings_name_form_language", "wordings", ["name", "form", "language", "id"])
    op.add_column("cases", sa.Column("language", sa.String(), server_default="vi", nullable=False))
    op.add_column("entries", sa.Column("album", sa.String(), nullable=True))
    op.create_index("ix_entries_album", "entries", ["album"], postgresql_where=sa.text("album IS NOT NULL"))
    op.add_column("received", sa.Column("album", sa.String(), nullable=True))
    op.create_index(
        "ix_received_album", "received", ["channel", "album"], postgresql_where=sa.text("album IS NOT NULL")
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_received_album", "received")
    op.drop_column("received", "album")
    op.drop_index("ix_entries_album", "entries")
    op.drop_column("entries", "album")
    op.drop_column("cases", "language")
    op.drop_table("wordings")

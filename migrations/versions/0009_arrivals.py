"""What comes in by vendors: whose event it is and of what kind, the parts of what went out, threads, files to fetch."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("received", sa.Column("kind", sa.String(), nullable=True))
    op.add_column("received", sa.Column("sender", sa.String(), nullable=True))
    op.add_column("received", sa.Column("ref", sa.String(), nullable=True))
    op.create_index(
        "ix_received_turns",
        "received",
        ["channel", "sender", "id"],
        postgresql_where=sa.text("run_at IS NOT NULL"),
    )
    op.create_index("ix_received_ref", "received", ["channel", "ref"], postgresql_where=sa.text("ref IS NOT NULL"))
    op.create_index("ix_received_dead", "received", ["id"], postgresql_where=sa.text("dead_at IS NOT NULL"))
    op.create_table(
        "outgoing_parts",
        sa.Column("outgoing_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("vendor_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["outgoing_id"], ["outgoing.id"], name=op.f("fk_outgoing_parts_outgoing_id")),
        sa.PrimaryKeyConstraint("outgoing_id", "part", name=op.f("pk_outgoing_parts")),
    )
    op.create_index("ix_outgoing_parts_channel_vendor_id", "outgoing_parts", ["channel", "vendor_id"])
    op.create_table(
        "paces",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_paces")),
    )
    op.create_index(
        "ix_outgoing_turns",
        "outgoing",
        ["channel", "handle", "id"],
        postgresql_where=sa.text("run_at IS NOT NULL AND scheme <> 'tracking'"),
    )
    op.create_table(
        "threads",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("thread", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "channel", name=op.f("pk_threads")),
    )
    op.create_index("ix_threads_channel_handle_heard_at", "threads", ["channel", "handle", "heard_at"])
    op.create_table(
        "fetches",
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("file", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fetches")),
    )
    op.create_index("ix_fetches_run_at", "fetches", ["run_at"], postgresql_where=sa.text("run_at IS NOT NULL"))
    op.create_index("ix_fetches_subject_id", "fetches", ["subject_id"])


def downgrade() -> None:
    """Undo."""
    op.drop_table("fetches")
    op.drop_table("threads")
    op.drop_index("ix_outgoing_turns", "outgoing")
    op.drop_table("paces")
    op.drop_table("outgoing_parts")
    op.drop_index("ix_received_dead", "received")
    op.drop_index("ix_received_ref", "received")
    op.drop_index("ix_received_turns", "received")
    op.drop_column("received", "ref")
    op.drop_column("received", "sender")
    op.drop_column("received", "kind")

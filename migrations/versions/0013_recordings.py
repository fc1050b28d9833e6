"""Recordings of calls, and who listened to them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recordings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_recording_id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("duration", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("entry_id", sa.Uuid(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("media_type", sa.String(), nullable=True),
        sa.Column("file", sa.String(), nullable=True),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retain_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('announced', 'kept', 'removed', 'expired', 'lost', 'short', 'absent')",
            name=op.f("ck_recordings_state"),
        ),
        sa.ForeignKeyConstraint(["session_id"], ["call_sessions.id"], name=op.f("fk_recordings_session_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_recordings_case_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_recordings_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
    )
    op.create_index(
        "uq_recordings_provider_provider_recording_id", "recordings", ["provider", "provider_recording_id"], unique=True
    )
    op.create_index("ix_recordings_run_at", "recordings", ["run_at"], postgresql_where=sa.text("run_at IS NOT NULL"))
    op.create_index("ix_recordings_dead", "recordings", ["id"], postgresql_where=sa.text("dead_at IS NOT NULL"))
    op.create_index("ix_recordings_session_id", "recordings", ["session_id"])
    op.create_index("ix_recordings_case_id", "recordings", ["case_id"], postgresql_where=sa.text("case_id IS NOT NULL"))
    op.create_index(
        "ix_recordings_retain_until", "recordings", ["retain_until"], postgresql_where=sa.text("state = 'removed'")
    )
    op.create_table(
        "recording_accesses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"], name=op.f("fk_recording_accesses_recording_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_recording_accesses_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_accesses")),
    )
    op.create_index(
        "ix_recording_accesses_recording_id_staff_id", "recording_accesses", ["recording_id", "staff_id", "at"]
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("recording_accesses")
    op.drop_table("recordings")

"""Clocks: weeks of a calendar with dates, its changes, and limits that were counted again on account of one.

A breach is the last of a limit's shares, and reminders and breaches are no duty of one worker at a time any more.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

APPEND_ONLY = (
    "CREATE TRIGGER calendar_changes_append_only BEFORE UPDATE OR DELETE ON calendar_changes "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER limit_recounts_append_only BEFORE UPDATE OR DELETE ON limit_recounts "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "calendar_weeks",
        sa.Column("calendar", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("week", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["calendar"], ["calendars.code"], name=op.f("fk_calendar_weeks_calendar")),
        sa.PrimaryKeyConstraint("calendar", "valid_from", name=op.f("pk_calendar_weeks")),
    )
    op.create_table(
        "calendar_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("calendar", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("was", postgresql.JSONB(), nullable=False),
        sa.Column("now", postgresql.JSONB(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["calendar"], ["calendars.code"], name=op.f("fk_calendar_changes_calendar")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_changes")),
    )
    op.create_index("ix_calendar_changes_calendar_id", "calendar_changes", ["calendar", "id"])
    op.create_table(
        "limit_recounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("change_id", sa.BigInteger(), nullable=False),
        sa.Column("was_due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("was_breached", sa.Boolean(), nullable=False),
        sa.Column("now_breached", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["limit_id"], ["limits.id"], name=op.f("fk_limit_recounts_limit_id")),
        sa.ForeignKeyConstraint(["change_id"], ["calendar_changes.id"], name=op.f("fk_limit_recounts_change_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limit_recounts")),
    )
    op.create_index("uq_limit_recounts_limit_id_change_id", "limit_recounts", ["limit_id", "change_id"], unique=True)
    op.create_index("ix_limits_recount", "limits", ["calendar", "id"], postgresql_where=sa.text("clock = 'working'"))
    op.create_index(
        "ix_limits_breached",
        "limits",
        [sa.text("COALESCE(met_at, cancelled_at, 'infinity'::timestamptz)"), "breached_at"],
        postgresql_where=sa.text("breached_at IS NOT NULL"),
    )
    for statement in APPEND_ONLY:
        op.execute(statement)
    op.execute("UPDATE limits SET reminded = 100 WHERE breached_at IS NOT NULL AND reminded < 100")
    op.execute("DELETE FROM duties WHERE name = 'limits.run'")


def downgrade() -> None:
    """Undo; the version before makes its duty again by itself, and counts by the weeks without dates."""
    op.drop_index("ix_limits_breached", "limits")
    op.drop_index("ix_limits_recount", "limits")
    op.drop_table("limit_recounts")
    op.drop_table("calendar_changes")
    op.drop_table("calendar_weeks")

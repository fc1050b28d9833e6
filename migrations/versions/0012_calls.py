"""Calls: sessions, legs, and the work that is left when nobody answered."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "call_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_call_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=True),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("menu", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("kind IN ('inbound')", name=op.f("ck_call_sessions_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_call_sessions_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_sessions")),
    )
    op.create_index(
        "uq_call_sessions_provider_provider_call_id", "call_sessions", ["provider", "provider_call_id"], unique=True
    )
    op.create_index("ix_call_sessions_opened_at_id", "call_sessions", ["opened_at", "id"])
    op.create_index(
        "ix_call_sessions_caller",
        "call_sessions",
        ["caller", "opened_at"],
        postgresql_where=sa.text("caller IS NOT NULL"),
    )
    op.create_index(
        "ix_call_sessions_going_on", "call_sessions", ["opened_at"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index(
        "ix_call_sessions_case_id", "call_sessions", ["case_id"], postgresql_where=sa.text("case_id IS NOT NULL")
    )
    op.create_index(
        "ix_call_sessions_task_id", "call_sessions", ["task_id"], postgresql_where=sa.text("task_id IS NOT NULL")
    )
    op.create_table(
        "call_legs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_leg_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["call_sessions.id"], name=op.f("fk_call_legs_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_legs")),
    )
    op.create_index("uq_call_legs_provider_provider_leg_id", "call_legs", ["provider", "provider_leg_id"], unique=True)
    op.create_index(op.f("ix_call_legs_session_id"), "call_legs", ["session_id"])
    op.create_table(
        "call_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("calls", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("apart", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint("kind IN ('missed', 'callback')", name=op.f("ck_call_tasks_kind")),
        sa.CheckConstraint("state IN ('open', 'done', 'reached')", name=op.f("ck_call_tasks_state")),
        sa.CheckConstraint("calls > 0", name=op.f("ck_call_tasks_calls")),
        sa.ForeignKeyConstraint(["session_id"], ["call_sessions.id"], name=op.f("fk_call_tasks_session_id")),
        sa.ForeignKeyConstraint(["closed_by"], ["staff.id"], name=op.f("fk_call_tasks_closed_by")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_call_tasks_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_tasks")),
    )
    op.create_index(
        "uq_call_tasks_phone",
        "call_tasks",
        ["phone"],
        unique=True,
        postgresql_where=sa.text("state = 'open' AND phone IS NOT NULL AND NOT apart"),
    )
    op.create_index("ix_call_tasks_open", "call_tasks", ["opened_at", "id"], postgresql_where=sa.text("state = 'open'"))
    op.create_index("ix_call_tasks_session_id", "call_tasks", ["session_id"])
    op.create_index("ix_call_tasks_case_id", "call_tasks", ["case_id"], postgresql_where=sa.text("case_id IS NOT NULL"))


def downgrade() -> None:
    """Undo."""
    op.drop_table("call_tasks")
    op.drop_table("call_legs")
    op.drop_table("call_sessions")

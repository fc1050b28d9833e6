"""Who is on duty, who stands in, what people are told and by which way, and what goes upwards."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
TABLES = (
    "escalations_due",
    "escalations",
    "notice_codes",
    "notice_ways",
    "notice_cursor",
    "notices",
    "named_roles",
    "deputies",
    "leaves",
    "duty_shifts",
)


def upgrade() -> None:
    """Apply. Nobody is told of what happened before; what is late already goes upwards like the rest."""
    op.create_table(
        "duty_shifts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_duty_shifts_order")),
        sa.ForeignKeyConstraint(["department"], ["departments.code"], name=op.f("fk_duty_shifts_department")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_duty_shifts_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty_shifts")),
    )
    op.create_index(
        "uq_duty_shifts_department_staff_id_starts_at",
        "duty_shifts",
        ["department", "staff_id", "starts_at"],
        unique=True,
    )
    op.create_index("ix_duty_shifts_ends_at", "duty_shifts", ["ends_at"])
    op.create_table(
        "leaves",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_leaves_order")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_leaves_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaves")),
    )
    op.create_index("ix_leaves_staff_id_ends_at", "leaves", ["staff_id", "ends_at"])
    op.create_index("ix_leaves_ends_at", "leaves", ["ends_at"])
    op.create_table(
        "deputies",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("deputy_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("staff_id <> deputy_id", name=op.f("ck_deputies_another")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_deputies_staff_id")),
        sa.ForeignKeyConstraint(["deputy_id"], ["staff.id"], name=op.f("fk_deputies_deputy_id")),
        sa.PrimaryKeyConstraint("staff_id", "deputy_id", name=op.f("pk_deputies")),
    )
    op.create_table(
        "named_roles",
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_named_roles_staff_id")),
        sa.PrimaryKeyConstraint("role", "staff_id", name=op.f("pk_named_roles")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("limit_id", sa.Uuid(), nullable=True),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("percent", sa.SmallInteger(), nullable=True),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notices_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index("uq_notices_cause_part_staff_id", "notices", ["cause", "part", "staff_id"], unique=True)
    op.create_index("ix_notices_staff_id_id", "notices", ["staff_id", "id"])
    op.create_index("ix_notices_unseen", "notices", ["staff_id", "id"], postgresql_where=sa.text("seen_at IS NULL"))
    op.create_index("ix_notices_at", "notices", ["at"], postgresql_using="brin")
    op.create_table(
        "notice_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_cursor")),
    )
    op.create_table(
        "notice_ways",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("verified_at", MOMENT, nullable=False),
        sa.Column("digest_at", sa.Time(), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("posted_at", MOMENT, nullable=True),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.CheckConstraint("mode IN ('at_once', 'digest', 'none')", name=op.f("ck_notice_ways_mode")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notice_ways_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "channel", name=op.f("pk_notice_ways")),
    )
    op.create_index(
        "ix_notice_ways_next_at", "notice_ways", ["next_at"], postgresql_where=sa.text("next_at IS NOT NULL")
    )
    op.create_table(
        "notice_codes",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notice_codes_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "channel", name=op.f("pk_notice_codes")),
    )
    op.create_index("uq_notice_codes_digest", "notice_codes", ["digest"], unique=True)
    op.create_table(
        "escalations",
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("limit_id", "step", name=op.f("pk_escalations")),
    )
    op.create_table(
        "escalations_due",
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("run_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("limit_id", name=op.f("pk_escalations_due")),
    )
    op.create_index("ix_escalations_due_run_at", "escalations_due", ["run_at"])
    op.execute("INSERT INTO notice_cursor SELECT 1, coalesce(max(position), 0) FROM journal_positions")
    op.execute(
        "INSERT INTO escalations_due SELECT id, breached_at FROM limits "
        "WHERE breached_at IS NOT NULL AND met_at IS NULL AND cancelled_at IS NULL"
    )


def downgrade() -> None:
    """Undo."""
    for table in TABLES:
        op.drop_table(table)

"""Modes of the centre, who looked at restricted cases, facts that people state, hand-overs of emergencies."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A look that happened is never unsaid, not even by who owns the table.
APPEND_ONLY = (
    """
CREATE TRIGGER case_looks_append_only BEFORE UPDATE OR DELETE ON case_looks
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
CREATE TRIGGER case_looks_no_truncate BEFORE TRUNCATE ON case_looks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    "REVOKE UPDATE, DELETE, TRUNCATE ON case_looks FROM hotline_app",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "modes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("mode IN ('epidemic', 'disaster')", name=op.f("ck_modes_mode")),
        sa.CheckConstraint("until >= since", name=op.f("ck_modes_order")),
        sa.CheckConstraint("(until IS NULL) = (ended_by IS NULL)", name=op.f("ck_modes_ended")),
        sa.ForeignKeyConstraint(["by"], ["staff.id"], name=op.f("fk_modes_by")),
        sa.ForeignKeyConstraint(["ended_by"], ["staff.id"], name=op.f("fk_modes_ended_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_modes")),
    )
    op.create_index(
        "uq_modes_one_open", "modes", [sa.text("(true)")], unique=True, postgresql_where=sa.text("until IS NULL")
    )
    op.create_table(
        "case_looks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("num_nonnulls(staff_id, api_key_id) = 1", name=op.f("ck_case_looks_one_looker")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_looks")),
    )
    op.create_index("ix_case_looks_case_id_id", "case_looks", ["case_id", "id"])
    op.create_index("ix_case_looks_staff_id_id", "case_looks", ["staff_id", "id"])
    for statement in APPEND_ONLY:
        op.execute(statement)
    for name in ("asset_owner", "road_class", "competence", "suggested_track", "handed_over_to"):
        op.add_column("cases", sa.Column(name, sa.String(), nullable=True))
    for name in ("flags", "accused_units"):
        op.add_column(
            "cases", sa.Column(name, postgresql.ARRAY(sa.String()), server_default=sa.text("'{}'"), nullable=False)
        )
    op.add_column("cases", sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True))
    # Checked by themselves afterwards, or all cases would be read while the table is locked.
    for name, holds in (
        ("competence", "competence IN ('clear', 'unclear')"),
        ("accused", "restricted OR accused_units = '{}'"),
        ("handed_over", "(handed_over_to IS NULL) = (handed_over_at IS NULL)"),
    ):
        op.execute(f"ALTER TABLE cases ADD CONSTRAINT ck_cases_{name} CHECK ({holds}) NOT VALID")
        op.execute(f"ALTER TABLE cases VALIDATE CONSTRAINT ck_cases_{name}")
    op.create_index(
        "ix_cases_suggested_track",
        "cases",
        ["received_at", "id"],
        postgresql_where=sa.text("suggested_track IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_cases_suggested_track", "cases")
    for name in ("competence", "accused", "handed_over"):
        op.execute(f"ALTER TABLE cases DROP CONSTRAINT ck_cases_{name}")
    for name in (
        "handed_over_at",
        "accused_units",
        "flags",
        "handed_over_to",
        "suggested_track",
        "competence",
        "road_class",
        "asset_owner",
    ):
        op.drop_column("cases", name)
    op.drop_table("case_looks")
    op.drop_table("modes")

"""Reforms of areas and departments: names by date, heirs by place and field, clocks that pass to an heir."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "department_names",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["code"], ["departments.code"], name=op.f("fk_department_names_code")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_department_names")),
    )
    op.create_table(
        "department_heirs",
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("heir", sa.String(), nullable=False),
        sa.Column("areas", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("fields", postgresql.ARRAY(sa.String()), nullable=False),
        sa.ForeignKeyConstraint(["department"], ["departments.code"], name=op.f("fk_department_heirs_department")),
        sa.ForeignKeyConstraint(["heir"], ["departments.code"], name=op.f("fk_department_heirs_heir")),
        sa.PrimaryKeyConstraint("department", "position", name=op.f("pk_department_heirs")),
    )
    op.create_table(
        "reforms",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_reforms")),
    )
    op.add_column("limits", sa.Column("handed_from", sa.String(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("limits", "handed_from")
    op.drop_table("reforms")
    op.drop_table("department_heirs")
    op.drop_table("department_names")

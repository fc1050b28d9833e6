"""Names of areas by date: one that is only renamed stays the same area."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "area_names",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["code"], ["areas.code"], name=op.f("fk_area_names_code")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_area_names")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("area_names")

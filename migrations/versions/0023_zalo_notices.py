"""Limits that stand still because they could not be counted are found without looking through all of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STUCK = (
    "next_at IS NULL AND due_at IS NOT NULL AND met_at IS NULL AND cancelled_at IS NULL "
    "AND (breached_at IS NULL OR reminded < 100)"
)


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_limits_stuck", "limits", ["id"], postgresql_where=sa.text(STUCK))


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_limits_stuck", table_name="limits")

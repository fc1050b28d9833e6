"""Figures by the month, and the cases behind them.

Both are made by the projection; so that they reach back to the beginning, the figures are folded again from position 0:
the worker needs a minute or two for each million journal rows, and the board says how far it has come.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

AGAIN = (
    "DELETE FROM figures",
    "UPDATE figure_cursor SET position = 0, reconciled_at = NULL, reconciled_position = NULL, differences = NULL",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "figure_months",
        sa.Column("figure", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "figure", "day", "department", "field", "channel", "area", "bucket", name=op.f("pk_figure_months")
        ),
    )
    op.create_table(
        "figure_cases",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("figure", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "case_id", "figure", "day", "department", "field", "channel", "area", name=op.f("pk_figure_cases")
        ),
    )
    op.create_index("ix_figure_cases_figure_day", "figure_cases", ["figure", "day"])
    for statement in AGAIN:
        op.execute(statement)


def downgrade() -> None:
    """Undo."""
    op.drop_table("figure_cases")
    op.drop_table("figure_months")

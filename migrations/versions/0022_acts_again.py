"""More time that is the leadership's to give; signed files of answers that everybody may read."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("extensions", sa.Column("beyond", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "answer_documents", sa.Column("file_public", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    """Undo."""
    op.drop_column("answer_documents", "file_public")
    op.drop_column("extensions", "beyond")

"""Mail to departments: a subject line, and whom a message is for. Old rows are messages to citizens and have neither."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("outgoing", sa.Column("title", sa.String(), nullable=True))
    op.add_column("outgoing", sa.Column("addressee", sa.String(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("outgoing", "addressee")
    op.drop_column("outgoing", "title")

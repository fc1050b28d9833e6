"""The road of a message that one channel did not take: the next one, and what each file came to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("outgoing", sa.Column("link", sa.String(), nullable=True))
    op.add_column("outgoing", sa.Column("step", sa.Integer(), server_default="0", nullable=False))
    op.add_column("outgoing", sa.Column("failure", sa.String(), nullable=True))
    op.add_column("outgoing", sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outgoing", sa.Column("read_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("uq_outgoing_cause_step", "outgoing", ["subject_id", "purpose", "entry_id", "step"], unique=True)
    op.drop_index("uq_outgoing_subject_id_purpose_entry_id", "outgoing")
    op.add_column("outgoing_parts", sa.Column("file", sa.String(), nullable=True))
    op.add_column("outgoing_parts", sa.Column("at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Undo: the ways a message went after its first one are forgotten, or two messages would have one cause."""
    op.drop_column("outgoing_parts", "at")
    op.drop_column("outgoing_parts", "file")
    for table in ("outgoing_parts", "delivery_attempts"):
        op.execute(f"DELETE FROM {table} WHERE outgoing_id IN (SELECT id FROM outgoing WHERE step > 0)")
    op.execute("DELETE FROM outgoing WHERE step > 0")
    op.execute("UPDATE outgoing SET state = 'failed' WHERE state = 'passed'")
    op.create_index(
        "uq_outgoing_subject_id_purpose_entry_id", "outgoing", ["subject_id", "purpose", "entry_id"], unique=True
    )
    op.drop_index("uq_outgoing_cause_step", "outgoing")
    op.drop_column("outgoing", "read_at")
    op.drop_column("outgoing", "delivered_at")
    op.drop_column("outgoing", "failure")
    op.drop_column("outgoing", "step")
    op.drop_column("outgoing", "link")

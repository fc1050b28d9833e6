"""Staff that a restricted case is about; nothing of a restricted case is ever published; queues of the other tracks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OPEN = "status IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "cases",
        sa.Column("accused_staff", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
    )
    # Texts for the public that units wrote before their case became restricted; they were never published.
    op.execute("UPDATE cases SET public_text = NULL WHERE restricted AND public_text IS NOT NULL")
    op.execute("UPDATE cases SET published_at = NULL WHERE restricted AND published_at IS NOT NULL")
    # Checked by themselves afterwards, or all cases would be read while the table is locked.
    for name, holds in (
        ("accused_staff", "restricted OR accused_staff = '{}'"),
        ("never_published", "NOT restricted OR num_nonnulls(public_text, published_at) = 0"),
    ):
        op.execute(f"ALTER TABLE cases ADD CONSTRAINT ck_cases_{name} CHECK ({holds}) NOT VALID")
        op.execute(f"ALTER TABLE cases VALIDATE CONSTRAINT ck_cases_{name}")
    op.create_index(
        "ix_cases_open_track",
        "cases",
        ["track", sa.text("coalesce(next_due_at, 'infinity'::timestamptz)"), "id"],
        postgresql_where=sa.text(f"{OPEN} AND track <> 'ordinary'"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_cases_open_track", "cases")
    for name in ("never_published", "accused_staff"):
        op.drop_constraint(op.f(f"ck_cases_{name}"), "cases")
    op.drop_column("cases", "accused_staff")

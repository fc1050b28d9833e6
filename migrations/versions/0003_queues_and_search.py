"""Queues know the next clock of a case, and cases are found by their words.

Nobody reads or writes `cases` meanwhile: adding its columns locks the table (ACCESS EXCLUSIVE) until all of this has
committed, some seconds for each million cases, so web and worker are stopped first (docs/operator.md). The backfill is
one UPDATE of the cases that have a running clock, before the indexes are made, so that it writes them once. The words are
not sorted in here: the cursor starts at 0 and the worker follows the journal from there, a few minutes for each million.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

IS_OPEN = "status IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')"
IS_OVER = f"NOT ({IS_OPEN})"
DUE = "coalesce(next_due_at, 'infinity'::timestamptz)"

BACKFILL = """
    UPDATE cases SET next_due_at = l.due_at, next_stage = l.stage, next_holder = l.holder
    FROM (
        SELECT DISTINCT ON (case_id) case_id, due_at, stage, holder FROM limits
        WHERE met_at IS NULL AND cancelled_at IS NULL AND due_at IS NOT NULL ORDER BY case_id, due_at, id
    ) l WHERE cases.id = l.case_id
"""
# name → (columns, which rows), as in cases.models
INDEXES: dict[str, tuple[str, str]] = {
    "ix_cases_officer_id_received_at_id": ("(officer_id, received_at, id)", "officer_id IS NOT NULL"),
    "ix_cases_field_received_at_id": ("(field, received_at, id)", "field IS NOT NULL"),
    "ix_cases_area_received_at_id": ("(area, received_at, id)", "area IS NOT NULL"),
    "ix_cases_replied_at_id": ("(replied_at, id)", "replied_at IS NOT NULL"),
    "ix_cases_ended_at_id": ("(ended_at, id)", "ended_at IS NOT NULL"),
    "ix_cases_set_aside": ("(status, received_at, id)", "status IN ('refused', 'redirected', 'merged', 'spam')"),
    "ix_cases_badly_rated": ("(received_at, id)", "rating <= 2"),
    "ix_cases_incident_id": ("(incident_id)", "incident_id IS NOT NULL"),
    "ix_cases_open_due": (f"({DUE}, id)", IS_OPEN),
    "ix_cases_open_status_due": (f"(status, {DUE}, id)", IS_OPEN),
    "ix_cases_open_lead_due": (f"(lead, {DUE}, id)", f"{IS_OPEN} AND lead IS NOT NULL"),
    "ix_cases_open_officer_due": (f"(officer_id, {DUE}, id)", f"{IS_OPEN} AND officer_id IS NOT NULL"),
    "ix_cases_open_flagged": (f"({DUE}, id)", f"{IS_OPEN} AND (needs_supervisor OR give_backs > 0)"),
    "ix_cases_open_units": ("USING gin (units)", f"{IS_OPEN} AND units <> '{{}}'"),
    "ix_cases_done_units": ("USING gin (units)", f"{IS_OVER} AND units <> '{{}}'"),
    "ix_cases_publish_due": (f"({DUE}, id)", "next_stage = 'publish'"),
}
# name → what it was
REPLACED = {
    "ix_cases_officer_id": "(officer_id) WHERE officer_id IS NOT NULL",
    "ix_cases_status_received_at_id": "(status, received_at, id) "
    "WHERE status NOT IN ('closed', 'refused', 'redirected', 'merged', 'spam')",
    "ix_cases_units": "USING gin (units) WHERE units <> '{}'",
}


def upgrade() -> None:
    """Apply."""
    op.add_column("cases", sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("next_stage", sa.String(), nullable=True))
    op.add_column("cases", sa.Column("next_holder", sa.String(), nullable=True))
    op.execute(BACKFILL)
    for name in REPLACED:
        op.execute(f"DROP INDEX {name}")
    for name, (columns, which) in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON cases {columns} WHERE {which}")
    op.create_table(
        "case_search",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tsv", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_case_search")),
    )
    op.create_index("ix_case_search_received_at_case_id", "case_search", ["received_at", "case_id"])
    op.create_index(
        "ix_case_search_tsv",
        "case_search",
        ["tsv"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": "256"},
    )
    op.create_table(
        "search_words",
        sa.Column("word", sa.String(collation="C"), nullable=False),
        sa.Column("cases", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_search_words")),
    )
    op.create_table(
        "search_cursor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_cursor")),
    )
    op.execute("INSERT INTO search_cursor (id, position) VALUES (1, 0)")


def downgrade() -> None:
    """Undo."""
    for table in ("search_cursor", "search_words", "case_search"):
        op.drop_table(table)
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
    for name, made in REPLACED.items():
        op.execute(f"CREATE INDEX {name} ON cases {made}")
    for name in ("next_holder", "next_stage", "next_due_at"):
        op.drop_column("cases", name)

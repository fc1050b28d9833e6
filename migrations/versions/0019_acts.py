"""Acts between offices: documents of answers, promised dates, orders of the leadership, disputes, tasks of supporters."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _refers(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([name], [target], name=op.f(f"fk_{table}_{name}")) for name, target in columns.items()
    ]


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "answer_documents",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("signer", sa.String(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("public", sa.Boolean(), nullable=False),
        *_refers("answer_documents", entry_id="entries.id", case_id="cases.id", file_id="attachments.id"),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_answer_documents")),
    )
    op.create_index("ix_answer_documents_case_id", "answer_documents", ["case_id"])
    op.create_table(
        "commitments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        _moment("told_at"),
        _moment("until"),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        _moment("settled_at", nullable=True),
        sa.Column("current", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'kept', 'broken', 'replaced', 'ended')", name=op.f("ck_commitments_state")
        ),
        sa.CheckConstraint("until > told_at", name=op.f("ck_commitments_ahead")),
        sa.CheckConstraint("(state = 'open') = (settled_at IS NULL)", name=op.f("ck_commitments_settled")),
        *_refers("commitments", case_id="cases.id", department="departments.code", entry_id="entries.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitments")),
    )
    op.create_index("ix_commitments_until", "commitments", ["until"], postgresql_where=sa.text("state = 'open'"))
    op.create_index("ix_commitments_case_id", "commitments", ["case_id"])
    op.create_index(
        "ix_commitments_standing",
        "commitments",
        ["case_id", "state"],
        postgresql_where=sa.text("current AND state IN ('open', 'broken')"),
    )
    op.create_index(
        "uq_commitments_one_current",
        "commitments",
        ["case_id", "department"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "directives",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        _moment("opened_at"),
        sa.Column("answer_id", sa.Uuid(), nullable=True),
        _moment("answered_at", nullable=True),
        sa.CheckConstraint("(answer_id IS NULL) = (answered_at IS NULL)", name=op.f("ck_directives_answered")),
        *_refers(
            "directives",
            case_id="cases.id",
            limit_id="limits.id",
            department="departments.code",
            by="staff.id",
            entry_id="entries.id",
            answer_id="entries.id",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directives")),
    )
    op.create_index("ix_directives_case_id", "directives", ["case_id"])
    op.create_index("uq_directives_limit_id", "directives", ["limit_id"], unique=True)
    op.create_table(
        "disputes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        _moment("opened_at"),
        sa.Column("decision_id", sa.Uuid(), nullable=True),
        _moment("decided_at", nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("lead", sa.String(), nullable=True),
        sa.CheckConstraint(
            "num_nulls(decision_id, decided_at, decided_by, lead) IN (0, 4)", name=op.f("ck_disputes_decided")
        ),
        *_refers(
            "disputes",
            case_id="cases.id",
            limit_id="limits.id",
            department="departments.code",
            entry_id="entries.id",
            decision_id="entries.id",
            decided_by="staff.id",
            lead="departments.code",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disputes")),
    )
    op.create_index("ix_disputes_case_id", "disputes", ["case_id"])
    op.create_index("uq_disputes_limit_id", "disputes", ["limit_id"], unique=True)
    # The few cases that owe an answer to an order, or wait for a decision above the units: lists begin here.
    op.create_index(
        "ix_limits_above",
        "limits",
        ["stage", "case_id"],
        postgresql_where=sa.text("stage IN ('directive', 'dispute') AND met_at IS NULL AND cancelled_at IS NULL"),
    )
    op.add_column("assignments", sa.Column("task_id", sa.Uuid(), nullable=True))
    op.add_column("assignments", sa.Column("asked_by", sa.Uuid(), nullable=True))
    # Checked by themselves afterwards, or all assignments would be read while the table is locked.
    for name, target in (("task_id", "entries"), ("asked_by", "staff")):
        op.execute(
            f"ALTER TABLE assignments ADD CONSTRAINT fk_assignments_{name} "
            f"FOREIGN KEY ({name}) REFERENCES {target} (id) NOT VALID"
        )
        op.execute(f"ALTER TABLE assignments VALIDATE CONSTRAINT fk_assignments_{name}")


def downgrade() -> None:
    """Undo."""
    for name in ("task_id", "asked_by"):
        op.drop_column("assignments", name)
    op.drop_index("ix_limits_above", "limits")
    for table in ("disputes", "directives", "commitments", "answer_documents"):
        op.drop_table(table)

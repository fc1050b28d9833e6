"""People over many channels: merges that can be undone, consent, who must not or cannot be written to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("citizens", sa.Column("preferred_channel", sa.String(), nullable=True))
    op.add_column("citizens", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("identities", sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("identities", sa.Column("unreachable_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("identities", sa.Column("unreachable_why", sa.String(), nullable=True))
    op.add_column("citizens", sa.Column("preferred_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(op.f("fk_citizens_merged_into"), "citizens", "citizens", ["merged_into"], ["id"])
    op.create_index(
        "ix_citizens_merged_into", "citizens", ["merged_into"], postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    _merges()
    _consents()
    # What somebody stated about themselves that does not say who they are: few cases, so the indexes stay small.
    op.create_index(
        "ix_cases_stated_phone",
        "cases",
        [sa.text("(contact ->> 'phone')")],
        postgresql_where=sa.text("channel IN ('zalo', 'facebook', 'telegram') AND (contact ->> 'phone') IS NOT NULL"),
    )
    op.create_index(
        "ix_cases_stated_email",
        "cases",
        [sa.text("(contact ->> 'email')")],
        postgresql_where=sa.text("(contact ->> 'phone') IS NOT NULL AND (contact ->> 'email') IS NOT NULL"),
    )


def _merges() -> None:
    op.create_table(
        "merges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("into_id", sa.Uuid(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved", postgresql.JSONB(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("from_id <> into_id", name=op.f("ck_merges_two")),
        sa.ForeignKeyConstraint(["from_id"], ["citizens.id"], name=op.f("fk_merges_from_id")),
        sa.ForeignKeyConstraint(["into_id"], ["citizens.id"], name=op.f("fk_merges_into_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_merges_staff_id")),
        sa.ForeignKeyConstraint(["undone_by"], ["staff.id"], name=op.f("fk_merges_undone_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merges")),
    )
    op.create_index(
        "uq_merges_standing",
        "merges",
        ["from_id", "into_id"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_index("ix_merges_from_id", "merges", ["from_id"])
    op.create_index("ix_merges_into_id", "merges", ["into_id"])
    op.create_table(
        "people_apart",
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("one_id < other_id", name=op.f("ck_people_apart_in_order")),
        sa.ForeignKeyConstraint(["one_id"], ["citizens.id"], name=op.f("fk_people_apart_one_id")),
        sa.ForeignKeyConstraint(["other_id"], ["citizens.id"], name=op.f("fk_people_apart_other_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_people_apart_staff_id")),
        sa.PrimaryKeyConstraint("one_id", "other_id", name=op.f("pk_people_apart")),
    )
    op.create_index(op.f("ix_people_apart_other_id"), "people_apart", ["other_id"])


def _consents() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["citizen_id"], ["citizens.id"], name=op.f("fk_consents_citizen_id")),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_consents_identity_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_consents_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_citizen_id", "consents", ["citizen_id", "at"])
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_withdrawals_identity_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
    )
    op.create_index(op.f("ix_withdrawals_identity_id"), "withdrawals", ["identity_id"])
    op.create_index("ix_withdrawals_waiting", "withdrawals", ["at"], postgresql_where=sa.text("done_at IS NULL"))


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_cases_stated_email", table_name="cases")
    op.drop_index("ix_cases_stated_phone", table_name="cases")
    for table in ("withdrawals", "consents", "people_apart", "merges"):
        op.drop_table(table)
    op.drop_index("ix_citizens_merged_into", table_name="citizens")
    op.drop_constraint(op.f("fk_citizens_merged_into"), "citizens", type_="foreignkey")
    op.drop_column("citizens", "preferred_at")
    op.drop_column("identities", "unreachable_why")
    op.drop_column("identities", "unreachable_at")
    op.drop_column("identities", "stopped_at")
    op.drop_column("citizens", "merged_into")
    op.drop_column("citizens", "preferred_channel")

"""Rule sets that were checked, withdrawn and retired; the files of the document they come from."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# What a set says stands still once it is checked: an edit makes it a draft first. A set that is in force is only put
# back when no case was opened under it, and is over only when its time is.
KEEP_RULE_SET = """
CREATE OR REPLACE FUNCTION keep_rule_set() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state <> 'draft' THEN
            RAISE EXCEPTION 'rule set % v% is %: it is never deleted', OLD.code, OLD.version, OLD.state
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.state <> 'draft' AND (
        (NEW.id, NEW.code, NEW.version, NEW.valid_from, NEW.note, NEW.source_document, NEW.created_at, NEW.settings)
        IS DISTINCT FROM
        (OLD.id, OLD.code, OLD.version, OLD.valid_from, OLD.note, OLD.source_document, OLD.created_at, OLD.settings)
    ) THEN
        RAISE EXCEPTION 'rule set % v% is %: make a new version', OLD.code, OLD.version, OLD.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('draft', 'checked'), ('draft', 'active'), ('checked', 'draft'), ('checked', 'active'),
        ('active', 'draft'), ('active', 'retired')
    ) THEN
        RAISE EXCEPTION 'rule set % v% goes from % to no %', OLD.code, OLD.version, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state = 'active' AND NEW.state = 'draft' AND EXISTS (SELECT FROM cases WHERE rule_set_id = OLD.id) THEN
        RAISE EXCEPTION 'rule set % v% is active: cases were opened under it', OLD.code, OLD.version
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

KEEP_FILES = """
CREATE FUNCTION keep_rule_set_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR EXISTS (
        SELECT FROM rule_sets WHERE id = OLD.rule_set_id AND state IN ('active', 'retired')
    ) THEN
        RAISE EXCEPTION 'the files of a rule set that holds or held stay as they are'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$
"""

KEEP_FILES_ON = """
CREATE TRIGGER rule_set_files_keep BEFORE UPDATE OR DELETE ON rule_set_files
    FOR EACH ROW EXECUTE FUNCTION keep_rule_set_file()
"""

# As 0002 made it.
KEPT_BEFORE = """
CREATE OR REPLACE FUNCTION keep_rule_set() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state <> 'draft' THEN
            RAISE EXCEPTION 'rule set % v% is %: it is never deleted', OLD.code, OLD.version, OLD.state
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.state <> 'draft' AND (
        (NEW.id, NEW.code, NEW.version, NEW.valid_from, NEW.note, NEW.source_document, NEW.created_at, NEW.settings)
        IS DISTINCT FROM
        (OLD.id, OLD.code, OLD.version, OLD.valid_from, OLD.note, OLD.source_document, OLD.created_at, OLD.settings)
        OR NEW.state = 'draft' OR (OLD.state = 'retired' AND NEW.state <> 'retired')
    ) THEN
        RAISE EXCEPTION 'rule set % v% is %: make a new version', OLD.code, OLD.version, OLD.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("rule_sets", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rule_sets", sa.Column("checked_by", sa.Uuid(), nullable=True))
    op.add_column("rule_sets", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_rule_sets_state"), "rule_sets", "state IN ('draft', 'checked', 'active', 'retired')"
    )
    op.create_check_constraint(
        op.f("ck_rule_sets_checked"), "rule_sets", "state <> 'checked' OR checked_at IS NOT NULL"
    )
    op.create_table(
        "rule_set_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule_set_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rule_set_id"], ["rule_sets.id"], name=op.f("fk_rule_set_files_rule_set_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_set_files")),
    )
    op.create_index("ix_rule_set_files_rule_set_id", "rule_set_files", ["rule_set_id"])
    for statement in (KEEP_RULE_SET, KEEP_FILES, KEEP_FILES_ON):
        op.execute(statement)


def downgrade() -> None:
    """Undo; sets that were checked are drafts again."""
    op.execute(KEPT_BEFORE)
    op.drop_table("rule_set_files")
    op.execute("DROP FUNCTION keep_rule_set_file()")
    op.execute("ALTER TABLE rule_sets DISABLE TRIGGER rule_sets_keep")
    op.execute("UPDATE rule_sets SET state = 'draft' WHERE state = 'checked'")
    op.execute("ALTER TABLE rule_sets ENABLE TRIGGER rule_sets_keep")
    op.drop_constraint(op.f("ck_rule_sets_checked"), "rule_sets")
    op.drop_constraint(op.f("ck_rule_sets_state"), "rule_sets")
    for column in ("retired_at", "checked_by", "checked_at"):
        op.drop_column("rule_sets", column)

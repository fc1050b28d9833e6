"""What the database itself guarantees: an append-only journal, immutable rule sets, a role that owns nothing."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ROLE = (
    """
DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'hotline_app') THEN
        BEGIN
            CREATE ROLE hotline_app NOLOGIN;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'This account may not create roles. As a superuser run once: '
                    'CREATE ROLE hotline_app NOLOGIN; GRANT hotline_app TO %;', current_user;
            WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this server made it just now
        END;
    END IF;
    -- Always, because from PostgreSQL 16 on who makes a role is a member that may hand it on but not work as it.
    BEGIN
        EXECUTE format('GRANT hotline_app TO %I', current_user);
    EXCEPTION
        WHEN insufficient_privilege OR unique_violation THEN NULL;  -- not ours to grant, or granted just now
    END;
    IF NOT pg_has_role(
        current_user, 'hotline_app',
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        RAISE EXCEPTION 'This account may not work as hotline_app. As a superuser run once: '
            'GRANT hotline_app TO %;', current_user;
    END IF;
END $$
    """,
    "GRANT USAGE ON SCHEMA public TO hotline_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO hotline_app",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO hotline_app",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO hotline_app",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO hotline_app",
    "REVOKE UPDATE, DELETE, TRUNCATE ON journal, journal_positions FROM hotline_app",
    "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON alembic_version FROM hotline_app",
)

APPEND_ONLY = (
    """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
    """,
    """
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE ON journal
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
CREATE TRIGGER positions_append_only BEFORE UPDATE OR DELETE ON journal_positions
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
CREATE TRIGGER positions_no_truncate BEFORE TRUNCATE ON journal_positions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

RULE_SETS = (
    """
CREATE FUNCTION keep_rule_set() RETURNS trigger LANGUAGE plpgsql AS $$
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
    """,
    """
CREATE TRIGGER rule_sets_keep BEFORE UPDATE OR DELETE ON rule_sets
    FOR EACH ROW EXECUTE FUNCTION keep_rule_set()
    """,
    """
CREATE FUNCTION keep_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM rule_sets
        WHERE id = CASE WHEN TG_OP = 'INSERT' THEN NEW.rule_set_id ELSE OLD.rule_set_id END AND state <> 'draft'
    ) THEN
        RAISE EXCEPTION 'the rules of an active or retired set do not change: make a new version'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$
    """,
    """
CREATE TRIGGER rules_keep BEFORE INSERT OR UPDATE OR DELETE ON rules
    FOR EACH ROW EXECUTE FUNCTION keep_rules()
    """,
)

START = (
    "CREATE SEQUENCE case_numbers AS bigint",
    "GRANT USAGE, SELECT ON SEQUENCE case_numbers TO hotline_app",
    "INSERT INTO journal_cursor (id, boundary, floor_id) VALUES (1, pg_snapshot_xmin(pg_current_snapshot()), 0)",
    "INSERT INTO figure_cursor (id, position, as_of) VALUES (1, 0, now())",
)


def upgrade() -> None:
    """Apply."""
    for statement in (*ROLE, *APPEND_ONLY, *RULE_SETS, *START):
        op.execute(statement)


def downgrade() -> None:
    """Undo; the role stays, other databases of the server may use it."""
    op.execute("DROP SEQUENCE case_numbers")
    op.execute("DROP TRIGGER rules_keep ON rules")
    op.execute("DROP TRIGGER rule_sets_keep ON rule_sets")
    op.execute("DROP FUNCTION keep_rules()")
    op.execute("DROP FUNCTION keep_rule_set()")
    op.execute("DROP TRIGGER positions_no_truncate ON journal_positions")
    op.execute("DROP TRIGGER positions_append_only ON journal_positions")
    op.execute("DROP TRIGGER journal_no_truncate ON journal")
    op.execute("DROP TRIGGER journal_append_only ON journal")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DELETE FROM journal_cursor")
    op.execute("DELETE FROM figure_cursor")
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM hotline_app")
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM hotline_app")
    op.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM hotline_app")
    op.execute("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM hotline_app")
    op.execute("REVOKE USAGE ON SCHEMA public FROM hotline_app")

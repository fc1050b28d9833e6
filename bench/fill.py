"""Makes a database old: multiplies the cases it holds over the year before, with all that intake wrote for each.

Copies whole rows, so a column or table added to intake grows old with the rest. Written past the checks of foreign
keys: the references are right by construction, and a million cases are the surroundings here, not the subject.
"""

import asyncpg

YEAR = 365 * 86_400_000  # milliseconds
ROWS_AT_ONCE = 50_000
TABLES = ("received", "citizens", "identities", "cases", "entries", "limits", "outgoing", "journal")
GIVEN_BY_DATABASE = {("journal", "id"), ("journal", "txid"), ("journal", "recorded_at")}
KEPT = {"rule_set_id"}
OPEN = "n % 50 = 0"  # one case in fifty is still being handled
ANOTHER = {
    ("received", "external_id"): "md5(t.external_id || n)",
    ("identities", "handle"): "t.handle || '-' || n",
    ("cases", "code"): "t.code || n",
    ("cases", "status"): f"CASE WHEN {OPEN} THEN t.status ELSE 'closed' END",
    ("cases", "lead"): "t.decision ->> 'lead'",
    ("limits", "met_at"): f"CASE WHEN {OPEN} THEN t.met_at ELSE t.due_at END",
    ("limits", "next_at"): f"CASE WHEN {OPEN} THEN t.next_at END",
    ("outgoing", "state"): "'sent'",
    ("outgoing", "run_at"): "NULL",
}
# UUIDv7 of an earlier moment: the first 48 bits moved back, the rest another number that depends on nothing but both.
_MOVED = """
CREATE FUNCTION pg_temp.moved(id uuid, back bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
SELECT overlay(
    md5(id::text || back) PLACING lpad(
        to_hex(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint - back), 12, '0'
    ) FROM 1
)::uuid $$
"""


async def fill(dsn: str, cases: int) -> int:
    """Bring the database to about `cases` cases; how many there are then."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(_MOVED)
        sample = await connection.fetchval("SELECT count(*) FROM cases")
        copies = -(-cases // sample)
        statements = [await _copy(connection, table, YEAR // copies) for table in TABLES]
        step = max(1, ROWS_AT_ONCE // sample)
        for last in range(copies, 0, -step):  # the oldest first, as they would have come
            for statement in statements:
                await connection.execute(statement, max(last - step + 1, 1), last)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        return int(await connection.fetchval("SELECT count(*) FROM cases"))
    finally:
        await connection.close()


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", table: str, step: int) -> str:
    """The statement that inserts copies $1 to $2 of the rows that are there now, copy n moved n steps back."""
    await connection.execute(f"CREATE TEMP TABLE sample_{table} AS TABLE {table}")
    columns = await connection.fetch(
        "SELECT attname AS name, atttypid::regtype::text AS type FROM pg_attribute "
        "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        f"public.{table}",
    )
    values = {}
    for column in columns:
        name, kind = column["name"], column["type"]
        if (table, name) in GIVEN_BY_DATABASE:
            continue
        if (table, name) in ANOTHER:
            value = ANOTHER[table, name]
        elif kind == "uuid" and name not in KEPT:
            value = f"pg_temp.moved(t.{name}, n * {step}::bigint)"
        elif kind == "timestamp with time zone":
            value = f"t.{name} - n * interval '{step} milliseconds'"
        else:
            value = f"t.{name}"
        values[name] = value
    return (
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} "  # noqa: S608 - our own names
        f"FROM sample_{table} t, generate_series($1::int, $2::int) n"
    )

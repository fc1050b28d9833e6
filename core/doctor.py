"""`doctor`: every setting with its meaning, and what is missing or wrong."""

from datetime import UTC, date, datetime

import asyncpg

from core.settings import Settings

SECRET = frozenset(
    {
        "secret_key",
        "demo_password",
        "database_url",
        "database_direct_url",
        "smtp_password",
        "imap_password",
        "twilio_auth_token",
        "twilio_api_secret",
        "facebook_page_token",
        "facebook_app_secret",
        "facebook_verify_token",
        "telegram_token",
        "telegram_secret_token",
        "zalo_app_secret",
        "zalo_oa_secret_key",
        "zalo_refresh_token",
        "open311_keys",
    }
)

# The day is the province's; the same rule as `cases.unit_mail.departments_without_email`.
WITHOUT_MAILBOX = """
SELECT count(*) FROM departments
WHERE coalesce(email, '') = '' AND kind <> 'centre' AND valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)
"""


def settings_table(settings: Settings) -> list[str]:
    """One line per setting: name, value (secrets only as set or not), meaning."""
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = ("set" if value else "not set") if name in SECRET else "not set" if value is None else str(value)
        lines.append(f"HOTLINE_{name.upper():<22} {shown:<40} {field.description}")
    return lines


def without_database(settings: Settings, problem: str) -> list[str]:
    """The report when the database cannot be reached."""
    return [*settings_table(settings), "", f"WRONG database: {problem}"]


async def report(settings: Settings, url: str, newest: str, today: date) -> tuple[list[str], bool]:
    """(lines, healthy); `today` as people there count days."""
    lines, healthy = [*settings_table(settings), ""], True

    def tell(good: bool, what: str) -> None:
        nonlocal healthy
        lines.append(f"{'ok   ' if good else 'WRONG'} {what}")
        healthy = healthy and good

    connection = await asyncpg.connect(url.replace("postgresql+asyncpg://", "postgresql://"), timeout=5)
    try:
        version = connection.get_server_version()
        tell(version.major >= 15, f"PostgreSQL {version.major}.{version.minor} (15 or newer is needed)")
        migrated = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
        at = await connection.fetchval("SELECT version_num FROM alembic_version") if migrated else None
        tell(
            at == newest,
            f"migrations at {at or 'none'}, newest {newest}" + ("" if at == newest else ": main.py migrate"),
        )
        if migrated:
            owned = await connection.fetchval(
                "SELECT pg_has_role('hotline_app', relowner, 'MEMBER') FROM pg_class WHERE oid = 'journal'::regclass"
            )
            tell(not owned, "the application's role does not own the journal")
            sets = await connection.fetchval("SELECT count(*) FROM rule_sets WHERE state = 'active'")
            tell(bool(sets), f"{sets} active rule sets")
            dead = await connection.fetchval("SELECT count(*) FROM outgoing WHERE state IN ('failed', 'unknown')")
            tell(True, f"{dead} messages not delivered")
            if settings.smtp_host:
                silent = await connection.fetchval(WITHOUT_MAILBOX, today)
                tell(True, f"{silent} living departments have no e-mail address and hear of their cases only here")
        drift = abs((await connection.fetchval("SELECT now()")) - datetime.now(UTC)).total_seconds()
        tell(drift < 2, f"clocks of database and application {drift:.1f} s apart")
    finally:
        await connection.close()
    if settings.public_url.startswith("http://") and "127.0.0.1" not in settings.public_url:
        tell(False, "PUBLIC_URL is not https: sign-in cookies and tracking keys would travel in the open")
    return lines, healthy

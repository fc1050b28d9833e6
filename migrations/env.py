"""Runs migrations over the application's own driver; `main.py migrate` and the tests give the address."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import cases.act_models
import cases.code_models
import cases.duty_models
import cases.models
import cases.people_models  # noqa: F401 - so that the tables are known
import channels.models  # noqa: F401
import core.attachments
import core.due
import core.journal
import core.staff
import hotline.models  # noqa: F401
import ioc.models  # noqa: F401
import routing.models  # noqa: F401

config = context.config
ischema_names["xid8"] = core.journal.Xid8  # so that comparing models with tables knows it


def run(connection: Connection) -> None:
    """All migrations in one transaction, refusing to wait long for a lock on a table in use."""
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
    with context.begin_transaction():
        connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1022002)")
        context.run_migrations()


async def run_online() -> None:
    """Connect as the owner of the tables: the role of the address itself, not the application's."""
    engine = create_async_engine(config.attributes["url"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


given = config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_online())

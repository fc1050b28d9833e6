"""The database: one engine a process, one transaction a request, committed at the edge and nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

# Whatever the database raises; InternalClientError is what the driver says of a connection that broke in its hands.
FAILURES = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
APP_ROLE = "hotline_app"  # owns nothing: every connection of the application runs as this role

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """A point in time: timestamptz in the database, aware UTC in Python; naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values before they are taken for the server's zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always UTC, whatever the connection's zone."""
        return value.astimezone(UTC) if value is not None else None


class Database:
    """Engine for ordinary work, and a bare pool for statements that are a transaction of their own."""

    def __init__(
        self, url: str, *, pool: int = 10, application: str = "hotline", patience: float | None = None
    ) -> None:
        """`patience`: seconds a statement may take before the server ends it; None: as long as it does."""
        self.dsn = url.replace("postgresql+asyncpg://", "postgresql://")
        self._pool_size = pool
        self._server_settings = {"timezone": "UTC", "application_name": application, "role": APP_ROLE}
        if patience is not None:
            self._server_settings["statement_timeout"] = str(round(patience * 1000))  # ms
        self.engine: AsyncEngine = create_async_engine(
            self.dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool,
            max_overflow=0,
            pool_timeout=20,
            pool_pre_ping=True,
            hide_parameters=True,  # error messages end up in logs
            connect_args={"server_settings": self._server_settings, "timeout": 5},
        )
        self._frozen = self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """Bare connections for a request that is exactly one statement, committed by its own end."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=0,
                max_size=self._pool_size,
                timeout=5,
                # Planned once: no plan hangs on the values, but the server would think so of what stands in arrays.
                server_settings={**self._server_settings, "plan_cache_mode": "force_generic_plan"},
                reset=_nothing_to_reset,
            )
        return self._pool

    @asynccontextmanager
    async def transaction(self, *, frozen: bool = False) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or rolled back as a whole.

        `frozen`: all its statements see the database as of the first one, for what is read by several of them.
        """
        engine = self._frozen if frozen else self.engine
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def close(self) -> None:
        """Give all connections back."""
        if self._pool is not None:
            await self._pool.close()
        await self.engine.dispose()


async def _nothing_to_reset(connection: Any) -> None:
    """Single autocommitted statements leave no state behind, so giving one back costs no round trip."""


async def bare(session: AsyncSession) -> "asyncpg.Connection[asyncpg.Record]":
    """The driver's connection inside the session's transaction, for the statements written as SQL."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: asyncpg.Connection[asyncpg.Record] | None = raw.driver_connection
    if driver is None:
        raise RuntimeError("the session has no live connection")
    return driver


def safe_dsn(dsn: str) -> str:
    """The address without password, for logs and people."""
    parts = urlsplit(dsn)
    return f"{parts.scheme}://{parts.username or ''}@{parts.hostname or 'socket'}{parts.path}"

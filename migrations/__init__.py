"""Alembic migrations and the two functions that run them."""

from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from core.errors import Unusable


class Refused(Unusable):
    """A migration lacks something it cannot get by itself; the message is its own and says what to do."""


def config_for(url: str | None = None) -> Config:
    """Alembic's configuration for this address (postgresql:// or postgresql+asyncpg://)."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    if url:
        config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    return config


def upgrade(url: str) -> None:
    """Bring the database to the newest version. Blocking: call it from a thread in async code. Raises Refused."""
    try:
        command.upgrade(config_for(url), "head")
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        if isinstance(cause, asyncpg.RaiseError):
            raise Refused(str(cause)) from error
        raise


def newest() -> str:
    """Identifier of the newest migration."""
    head = ScriptDirectory.from_config(config_for()).get_current_head()
    if head is None:
        raise RuntimeError("no migrations found")
    return head

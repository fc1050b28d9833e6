"""Alembic migrations and the two functions that run them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def config_for(url: str | None = None) -> Config:
    """Alembic's configuration for this address (postgresql:// or postgresql+asyncpg://)."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    if url:
        config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    return config


def upgrade(url: str) -> None:
    """Bring the database to the newest version. Blocking: call it from a thread in async code."""
    command.upgrade(config_for(url), "head")


def newest() -> str:
    """Identifier of the newest migration."""
    head = ScriptDirectory.from_config(config_for()).get_current_head()
    if head is None:
        raise RuntimeError("no migrations found")
    return head

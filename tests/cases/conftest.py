"""Cases are tested through the application; its fixtures are those of tests/web."""

from tests.web.conftest import app, as_, client, clock, drive

__all__ = ["app", "as_", "client", "clock", "drive"]

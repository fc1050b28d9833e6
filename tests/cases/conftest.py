"""Cases are tested through the application; its fixtures are those of tests/web."""

from tests.cases.hearing import hotline
from tests.web.conftest import app, as_, browser, client, clock, drive

__all__ = ["app", "as_", "browser", "client", "clock", "drive", "hotline"]

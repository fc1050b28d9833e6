"""The web process: routers, error handlers, documentation."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from channels.adapter import Adapter
from core.db import Database
from core.files import LocalStore
from core.settings import Settings
from web import attachments, cases, documentation, following, ioc, lists, ops, outbox, problems, public, reports, signin
from web.bodies import BodyLimit
from web.state import State
from web.throttle import ReportThrottle

ABOUT = """
Reports to the public-service hotline 1022 and their handling. Errors are problem documents (RFC 9457), in Vietnamese
unless `Accept-Language: en`. Lists page by `cursor`. Times are ISO 8601 with offset.
"""


def build(settings: Settings, database: Database, adapters: Mapping[str, Adapter], *, demo: bool = False) -> FastAPI:
    """The application over an open database and the channels that exist."""
    rates = settings.rates
    key = settings.key
    state = State(
        settings=settings,
        database=database,
        adapters=adapters,
        files=LocalStore(settings.files_dir),
        key=key,
        rates=rates,
        throttle=ReportThrottle(rates.get("report"), key),
        demo=demo,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await database.close()

    app = FastAPI(
        title="1022",
        version="1",
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.hotline = state
    for part in (reports, following, public, signin, lists, cases, attachments, outbox, ioc, ops, documentation):
        app.include_router(part.router)
    app.mount("/static", documentation.static)
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(ops.Observed)
    return app

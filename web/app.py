"""The web process: routers, error handlers, documentation."""

import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from channels.adapter import Adapter
from core.db import FAILURES, Database
from core.errors import DomainError
from core.files import LocalStore
from core.settings import Settings
from core.spool import Spool
from hotline.answering import Switchboard
from hotline.menu import menu_of
from web import (
    attachments,
    calls,
    cases,
    citizens,
    documentation,
    duty,
    entrance,
    following,
    inbox,
    ioc,
    lateness,
    lists,
    live,
    looks,
    modes,
    notices,
    one_time,
    ops,
    outbox,
    password,
    problems,
    public,
    recordings,
    reports,
    signin,
    voice,
    webhooks,
)
from web.admin import routes as admin
from web.administration import routes as administration
from web.assets import static
from web.board import lateness as late_board
from web.board import routes as board
from web.bodies import BodyLimit
from web.console import (
    acting,
    case,
    emergency,
    new,
    notice_ways,
    person_acting,
    queue,
    undelivered,
    why,
)
from web.console import calls as call_pages
from web.console import notices as notice_pages
from web.hub import Hub
from web.open311 import routes as open311
from web.portal import routes as portal
from web.shortcut import Shortcut
from web.state import State
from web.throttle import CODES, ReportThrottle

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
        clients=ReportThrottle(rates.get("open311"), key),
        codes=ReportThrottle(rates.get("code"), key, CODES),
        calls=Switchboard(database, menu_of(settings.menu_file), Spool(settings.spool_dir), settings.code_prefix),
        live=Hub(database, settings.database_direct_url or database.dsn),
        demo=demo,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with suppress(*FAILURES, DomainError):  # a process that starts before its database reads the rules later
            async with database.transaction() as session:
                await state.routing.get(session)
        # The rules, the routes and the libraries live as long as the process: looking through them for garbage at every
        # full collection made pauses of a tenth of a second under load.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        async with state.live.running(lambda: state.clock()):
            yield
        await database.close()

    app = FastAPI(
        title="1022",
        version="1",
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours are /metrics and the log
        lifespan=lifespan,
    )
    app.state.hotline = state
    for part in (
        reports,
        following,
        one_time,
        public,
        signin,
        lists,
        cases,
        attachments,
        calls,
        recordings,
        outbox,
        inbox,
        ioc,
        lateness,
        ops,
        documentation,
        live,
        modes,
        looks,
        notices,
        duty,
        voice,  # before the other webhooks of its vendor
        webhooks,
    ):
        app.include_router(part.router)
    app.include_router(password.router)
    app.include_router(administration.router)
    app.include_router(citizens.router)
    app.include_router(open311.router)
    for pages in (
        entrance,
        portal,
        board,
        late_board,
        queue,
        undelivered,
        call_pages,
        new,
        why,
        emergency,
        notice_pages,
        notice_ways,
        case,
        acting,
        person_acting,
        admin,
    ):
        app.include_router(pages.router)
    app.include_router(modes.pages)
    app.include_router(looks.pages)
    app.mount("/static", static)
    problems.install(app)
    app.add_middleware(Shortcut, routes=reports.router.routes, handlers=app.exception_handlers)
    app.add_middleware(BodyLimit)
    app.add_middleware(ops.Observed)
    return app

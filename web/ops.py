"""Operations: alive, ready, metrics."""

import asyncio
import time
from functools import lru_cache

import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import migrations
from web.answers import Health, Missing
from web.deps import Here
from web.docs import PROBLEMS, answers
from web.problems import on_crash

router = APIRouter(tags=["operations"], responses={405: PROBLEMS[405], 503: PROBLEMS[503]})
log = structlog.get_logger()

REQUESTS = Counter("hotline_http_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "hotline_http_seconds",
    "Time to the first byte of the answer",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
DUE = Gauge("hotline_due_rows", "Rows of work that are due", ["kind"])
DEAD = Gauge("hotline_dead_rows", "Rows of work that wait for a person", ["kind"])
BEHIND = Gauge("hotline_journal_behind", "Rows of the journal not yet in the figures")
SCREENS = Gauge("hotline_live_screens", "Console pages this process keeps up to date")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", response_model=None, responses={**answers(Health), **answers(Missing, 503, "Not ready")})
async def readyz(here: Here) -> JSONResponse:
    """200 once migrations, a rule set and, with the demo, its accounts are there; 503 says what is missing."""
    missing = []
    try:
        async with asyncio.timeout(3), here.database.transaction() as session:
            found = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            if found != migrations.newest():
                missing.append(f"migrations: {found} instead of {migrations.newest()}")
            else:
                counts = (
                    await session.execute(
                        text(
                            "SELECT (SELECT count(*) FROM rule_sets WHERE state = 'active') AS rule_sets, "
                            "(SELECT count(*) FROM staff) AS staff"
                        )
                    )
                ).one()
                if not counts.rule_sets:
                    missing.append("no active rule set")
                if here.demo and not counts.staff:
                    missing.append("demo accounts")
    except Exception as error:
        missing.append(f"database: {type(error).__name__}")
    if missing:
        return JSONResponse({"status": "not ready", "missing": missing}, 503)
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(here: Here) -> Response:
    """Prometheus text; counts only, no personal data."""
    async with here.database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT 'outgoing' AS kind, count(*) FILTER (WHERE run_at <= now()) AS due, "
                "count(*) FILTER (WHERE state IN ('failed', 'unknown')) AS dead FROM outgoing "
                "WHERE run_at IS NOT NULL OR state IN ('failed', 'unknown') "
                "UNION ALL SELECT 'limits', count(*), 0 FROM limits WHERE next_at <= now() "
                "UNION ALL SELECT 'recordings', count(*) FILTER (WHERE run_at <= now()), "
                "count(*) FILTER (WHERE dead_at IS NOT NULL) FROM recordings "
                "WHERE run_at IS NOT NULL OR dead_at IS NOT NULL"
            )
        )
        for kind, due, dead in rows:
            DUE.labels(kind).set(due)
            DEAD.labels(kind).set(dead)
        behind = await session.scalar(
            text(
                # Without a position: of transactions not numbered yet, or later than all that has a number, which is
                # what there is when numbering itself stands still. Apart, so that each reads the end of an index.
                "WITH cursor AS (SELECT boundary, floor_id FROM journal_cursor), "
                "recent AS MATERIALIZED (SELECT id FROM journal WHERE txid >= (SELECT boundary FROM cursor)), "
                "last AS MATERIALIZED (SELECT id FROM journal "
                "WHERE id > (SELECT coalesce(max(journal_id), 0) FROM journal_positions)) "
                "SELECT coalesce((SELECT max(position) FROM journal_positions), 0) - "
                "(SELECT position FROM figure_cursor) + (SELECT count(*) FROM "
                "(SELECT id FROM recent UNION SELECT id FROM last) w WHERE id > (SELECT floor_id FROM cursor))"
            )
        )
        BEHIND.set(behind or 0)
    SCREENS.set(len(here.live.screens))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class Observed:
    """The outermost layer: answers what crashed, counts and times requests, adds safe headers.

    Requests are named by route, never by path or query, which hold codes and keys.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                route = getattr(scope.get("route"), "path", "unknown")
                seconds, requests = _meters(scope["method"], route, message["status"])
                seconds.observe(time.perf_counter() - started)
                requests.inc()
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # the last place that can still answer; the server would log data
            crashed = await on_crash(Request(scope), error)
            if not begun:
                await crashed(scope, receive, watched)


@lru_cache(1024)
def _meters(method: str, route: str, status: int) -> tuple[Histogram, Counter]:
    return SECONDS.labels(route), REQUESTS.labels(method, route, status)


_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]

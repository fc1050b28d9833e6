"""What routes ask for: the moment, a transaction, who is asking, the rules in force."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, APIKeyHeader, OAuth2PasswordBearer
from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases.desk import Office
from cases.intake import IntakeDesk
from core import auth
from core.errors import NotAllowed, NotSignedIn
from core.staff import Actor
from routing.queries import Routing
from web.state import State

COOKIE = "hotline_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/token", auto_error=False)
_api_key = APIKeyHeader(name="X-Api-Key", auto_error=False)
_cookie = APIKeyCookie(name=COOKIE, auto_error=False)  # these three document; `who_of` reads


def state_of(request: Request) -> State:
    """The process's state."""
    state: State = request.app.state.hotline
    return state


# Dependencies are async even where nothing waits: FastAPI runs the others in a thread each, which costs more than they.
async def _here(request: Request) -> State:
    return state_of(request)


Here = Annotated[State, Depends(_here)]


async def _now(here: Here) -> datetime:
    return here.clock()


Now = Annotated[datetime, Depends(_now)]

# Days this system can have something on; beyond them calendars and time stamps overflow.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]


@asynccontextmanager
async def transaction_of(request: Request, here: State) -> AsyncIterator[AsyncSession]:
    """The transaction of a request. What is only read is read as of one moment.

    A page takes many statements, and the case may change between any two of them.
    """
    async with here.database.transaction(frozen=request.method in SAFE) as session:
        here.routing.begin(session)
        yield session


async def _transaction(request: Request, here: Here) -> AsyncIterator[AsyncSession]:
    async with transaction_of(request, here) as session:
        yield session


# scope="function": committed before the response is sent, so a failing commit is an error to the client too
Db = Annotated[AsyncSession, Depends(_transaction, scope="function")]


async def who_of(request: Request, here: State, session: AsyncSession, at: datetime) -> Actor:
    """Who sent this request, by bearer token, API key or cookie; a write with a cookie must bring the page's token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await auth.who_is(session, token, "bearer", at)
    if key := request.headers.get("x-api-key"):
        return await auth.who_has_key(session, key)
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        raise NotSignedIn("Mời anh/chị đăng nhập.", "Please sign in.")
    who = await auth.who_is(session, cookie, "cookie", at)
    if request.method not in SAFE and not auth.csrf_fits(here.key, cookie, request.headers.get("x-csrf-token", "")):
        raise NotAllowed("Thiếu mã chống giả mạo (X-CSRF-Token).", "The X-CSRF-Token is missing or wrong.")
    return who


async def _who(
    request: Request,
    here: Here,
    session: Db,
    at: Now,
    bearer: Annotated[str | None, Depends(_bearer)] = None,
    api_key: Annotated[str | None, Depends(_api_key)] = None,
    cookie: Annotated[str | None, Depends(_cookie)] = None,
) -> Actor:
    return await who_of(request, here, session, at)


Who = Annotated[Actor, Depends(_who)]


async def rules_in_force(here: State) -> Routing:
    """The rules, without a transaction where they are fresh: for routes that need the database for nothing else."""
    fresh = here.routing.fresh
    if fresh is not None:
        return fresh
    async with here.database.transaction() as session:
        return await here.routing.get(session)


async def _rules(here: Here, session: Db) -> Routing:
    return await here.routing.get(session)


Rules = Annotated[Routing, Depends(_rules)]


def keep_signed_in(response: Response, token: str, here: State) -> None:
    """Give the browser its sign-in."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(auth.SIGN_IN_LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=here.settings.public_url.startswith("https://"),
    )


def desk_of(here: State, routing: Routing) -> IntakeDesk:
    """What opening a case needs."""
    settings = here.settings
    return IntakeDesk(routing, here.numbers, settings.code_prefix, here.key, site=here.site, language=settings.language)


def office_of(here: State, routing: Routing) -> Office:
    """What commands need."""
    return Office(routing, here.channels, desk_of(here, routing), here.settings.public_url.rstrip("/"))


async def _office(here: Here, routing: Rules) -> Office:
    return office_of(here, routing)


AtOffice = Annotated[Office, Depends(_office)]


def client_address(request: Request) -> str:
    """The caller's address, as the server (behind trusted proxies only) knows it."""
    return request.client.host if request.client else "unknown"

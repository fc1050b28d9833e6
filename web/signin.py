"""Signing in and out: bearer token for programs, cookie for pages."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from core import auth
from core.errors import NotSignedIn
from core.staff import Staff
from web.answers import Csrf, Me
from web.deps import COOKIE, Db, Here, Now, Who, client_address, keep_signed_in
from web.docs import PROBLEMS
from web.state import State

router = APIRouter(prefix="/api/v1", tags=["sign-in"], responses=PROBLEMS)
Form = Annotated[OAuth2PasswordRequestForm, Depends()]


class Token(BaseModel):
    """A bearer token and how long it holds, in seconds."""

    access_token: str
    token_type: str = "bearer"
    expires_in: int


async def checked(request: Request, here: State, form: OAuth2PasswordRequestForm, at: datetime, kind: str) -> str:
    """A new token for the right password. Wrong ones are counted per account at an address, and per address.

    An account as a whole bears ten times as many, so that a stranger who knows somebody's e-mail cannot keep them out
    from elsewhere, and many addresses together cannot guess without end. Every try counts before its password is looked
    at, so many at once are no way round; a right one is taken back.
    """
    buckets = _buckets(here.rates.get("login"), form.username.strip().lower(), client_address(request))
    async with here.database.transaction() as session:
        await auth.refuse_if_throttled(session, buckets, at)
    async with here.signing_in:  # people who wait their turn do not count yet: a shift may come in at the same minute
        async with here.database.transaction() as counting:
            tries = await auth.count_try(counting, buckets, at)
        async with here.database.transaction() as session:
            found: Staff | None = await auth.check_password(session, form.username, form.password)
            if found is not None:
                await auth.take_back(session, tries)
                for bucket in list(buckets)[:1]:
                    await auth.forget_failures(session, bucket)
                return await auth.sign_in(session, found.id, kind, at)
    raise NotSignedIn("E-mail hoặc mật khẩu không đúng.", "Wrong e-mail or password.")


def _buckets(rate: auth.Rate | None, account: str, address: str) -> dict[str, auth.Rate]:
    """Where tries are counted, that of the account at its address first; nowhere when throttles are off."""
    if rate is None:
        return {}
    return {
        f"login: {account} at {address}": rate,
        f"login: at {address}": rate,
        f"login: {account}": (rate[0] * 10, rate[1]),
    }


@router.post("/auth/token")
async def token(request: Request, here: Here, at: Now, form: Form) -> Token:
    """OAuth2 password form → bearer token."""
    made = await checked(request, here, form, at, "bearer")
    return Token(access_token=made, expires_in=int(auth.SIGN_IN_LASTS.total_seconds()))


@router.post("/auth/session", status_code=201, response_model=Csrf)
async def cookie_session(request: Request, here: Here, at: Now, form: Form) -> Response:
    """The same form → a cookie for pages, and the token that writes must bring in `X-CSRF-Token`."""
    made = await checked(request, here, form, at, "cookie")
    response = JSONResponse({"csrf_token": auth.csrf_token(here.key, made)}, 201)
    keep_signed_in(response, made, here)
    return response


@router.delete("/auth/session", status_code=204)
async def sign_out(request: Request, session: Db, who: Who) -> Response:
    """Forget the cookie or token this request came with."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    used = bearer if scheme.lower() == "bearer" and bearer else request.cookies.get(COOKIE, "")
    await auth.sign_out(session, used)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.get("/me", response_model=Me)
async def me(who: Who) -> dict[str, Any]:
    """Who am I."""
    return {
        "name": who.name,
        "email": who.email,
        "roles": sorted(who.roles),
        "departments": sorted(who.departments),
    }

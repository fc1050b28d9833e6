"""A person's own new password."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from core import auth, staffing
from core.errors import Invalid
from web.deps import COOKIE, Db, Here, Now, Who
from web.docs import PROBLEMS
from web.problems import on_domain_error

router = APIRouter(prefix="/api/v1", tags=["sign-in"], responses=PROBLEMS)
Password = Annotated[str, Field(max_length=200)]


class PasswordChange(BaseModel):
    """The present password and the new one."""

    model_config = ConfigDict(extra="forbid")

    old: Password
    new: Password


@router.post("/me/password", status_code=204)
async def change(request: Request, here: Here, session: Db, who: Who, at: Now, body: PasswordChange) -> Response:
    """A new password. The sign-in this comes with stays, all others of the person end. Wrong tries are counted."""
    rate = here.rates.get("login")
    buckets = {f"password: {who.id}": rate} if rate else {}
    tries = await auth.count_try(session, buckets, at)
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    used = bearer if scheme.lower() == "bearer" and bearer else request.cookies.get(COOKIE, "")
    if not await staffing.change_own_password(session, who, body.old, body.new, at, token=used):
        # Answered, not raised: the try stays counted.
        return await on_domain_error(
            request, Invalid.at("old", "Mật khẩu hiện tại không đúng.", "The present password is wrong.", "wrong")
        )
    await auth.take_back(session, tries)
    return Response(status_code=204)

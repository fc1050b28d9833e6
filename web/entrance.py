"""The doors of the staff's pages, and how pages are shown: sign in, sign out, language and theme."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.security import OAuth2PasswordRequestForm
from starlette.responses import Response

from core import auth
from core.errors import NotSignedIn, TooMany
from web.deps import COOKIE, Db, Here, Now, keep_signed_in
from web.pages import FromHere, Looking, PageForm, local_path
from web.rendering import LANG_COOKIE, THEME_COOKIE, THEMES, go, language_of, render
from web.signin import checked

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
A_YEAR = 365 * 86_400
Next = Annotated[str | None, Query(max_length=2000)]


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The form, and what was wrong with the last try."""

    next: str
    username: str = ""
    wrong: str = ""
    demo: bool = False


@router.get("/sign-in")
async def sign_in_page(request: Request, here: Here, next: Next = None) -> Response:
    """Where staff sign in."""
    return render(request, "sign_in.html", SignInPage(local_path(next, "/console"), demo=here.demo))


@router.post("/sign-in")
async def sign_in(request: Request, here: Here, at: Now, form: PageForm) -> Response:
    """A new sign-in for the right password, and on to where the person wanted to go; the one before it ends."""
    to, username = local_path(form.text("next"), "/console"), form.text("username")
    given = OAuth2PasswordRequestForm(username=username, password="".join(form.members.get("password", [])[-1:]))
    try:
        made = await checked(request, here, given, at, "cookie")
    except (NotSignedIn, TooMany) as refused:
        wrong = refused.en if language_of(request) == "en" else refused.vi
        page = SignInPage(to, username, wrong, here.demo)
        return render(request, "sign_in.html", page, status=refused.status, headers=refused.headers)
    if old := request.cookies.get(COOKIE):
        async with here.database.transaction() as session:
            await auth.sign_out(session, old)
    response = go(to)
    keep_signed_in(response, made, here)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, session: Db, who: Looking) -> Response:
    """Forget the cookie."""
    await auth.sign_out(session, request.cookies.get(COOKIE, ""))
    response = go("/sign-in")
    response.delete_cookie(COOKIE)
    return response


@router.post("/preferences")
async def preferences(request: Request, here: Here, form: PageForm) -> Response:
    """Language and theme of this browser."""
    response = go(local_path(form.text("back"), "/"))
    secure = here.settings.public_url.startswith("https://")
    for cookie, chosen, known in (
        (LANG_COOKIE, form.text("lang"), ("vi", "en")),
        (THEME_COOKIE, form.text("theme"), THEMES),
    ):
        if chosen in known:
            response.set_cookie(cookie, chosen, max_age=A_YEAR, httponly=True, samesite="lax", secure=secure)
    return response

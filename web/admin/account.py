"""A person's own account: who the system takes them for, and their password."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from core import auth, staffing
from core.errors import DomainError, Invalid, TooMany
from web.admin.ground import Filled, Word, again
from web.deps import COOKIE, Db, Here, Now, Rules
from web.pages import FromHere, Looking, PageForm
from web.rendering import go, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
MEMBERS = ("old", "new", "again")
LONGEST = 200  # characters of a password


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Departments by name; of passwords nothing is shown again."""

    departments: list[str]
    form: Filled
    least: int = auth.PASSWORD_MIN


@router.get("/account")
async def account(request: Request, who: Looking, routing: Rules, done: Word = "") -> Response:
    """The own account."""
    return _show(request, who, routing, Filled(done=done))


@router.post("/account")
async def change(
    request: Request, here: Here, session: Db, who: Looking, routing: Rules, at: Now, form: PageForm
) -> Response:
    """A new password. This browser stays signed in, all others of the person end. Wrong tries are counted."""
    old, new, repeated = ("".join(form.members.get(name, [])[-1:]) for name in MEMBERS)
    rate = here.rates.get("login")
    buckets = {f"password: {who.id}": rate} if rate else {}
    try:
        if new != repeated:
            raise Invalid.at("again", "Hai lần nhập mật khẩu mới không giống nhau.", "The two are not the same.")
        if max(len(old), len(new)) > LONGEST:
            raise Invalid.at("new", f"Mật khẩu dài nhất {LONGEST} ký tự.", f"At most {LONGEST} characters.")
        tries = await auth.count_try(session, buckets, at)
        token = request.cookies.get(COOKIE, "")
        if not await staffing.change_own_password(session, who, old, new, at, token=token):
            raise Invalid.at("old", "Mật khẩu hiện tại không đúng.", "The present password is wrong.", "wrong")
    except (Invalid, TooMany) as refused:  # answered, not raised: the try stays counted
        return _show(request, who, routing, _wrong(request, refused), refused)
    await auth.take_back(session, tries)
    return go("/account?done=password")


def _wrong(request: Request, refused: DomainError) -> Filled:
    return again(request, refused, {}, *MEMBERS)


def _show(request: Request, who: Looking, routing: Rules, form: Filled, refused: DomainError | None = None) -> Response:
    names = sorted(routing.departments[code].name for code in who.departments if code in routing.departments)
    headers = refused.headers if refused else {}
    status = refused.status if refused else 200
    return render(request, "admin/account.html", AccountPage(names, form), who=who, status=status, headers=headers)

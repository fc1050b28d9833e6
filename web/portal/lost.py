"""Who lost the tracking key: a code to the phone or mailbox given with the report, and by it the report."""

import json
import re
from dataclasses import dataclass, field, replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases.one_time import LASTS
from core.errors import DomainError, Invalid, NotFound, TooMany
from web.deps import Here, Now
from web.one_time import address_of, key_for, send_code, ways
from web.pages import FromHere, PageForm
from web.portal import keys
from web.portal.form import Complaints, told
from web.rendering import go, language_of, render, say
from web.state import State

PATH = f"{keys.PATH}/lost"
router = APIRouter(prefix=PATH, include_in_schema=False, dependencies=[FromHere])
LONGEST_CODE, LONGEST_ADDRESS = 40, 254


@dataclass(frozen=True, slots=True)
class LostPage:
    """First where a code shall go, then, once `asked`, the code.

    Nothing here tells whether one was sent. `challenge` is the proof of work asked for, as JSON for the script.
    """

    ways: tuple[str, ...]
    code: str = ""
    to: str = ""
    asked: bool = False
    wrong: Complaints = field(default_factory=Complaints)
    alert: str = ""
    challenge: str = ""
    minutes: int = int(LASTS.total_seconds()) // 60


@router.get("")
async def lost_page(request: Request, here: Here, code: str = "") -> Response:
    """The form."""
    return _show(request, LostPage(ways(here), code[:LONGEST_CODE]))


@router.post("")
async def ask_for_code(request: Request, here: Here, at: Now, form: PageForm) -> Response:
    """A code, if the address belongs to the report; the next page is the same if it does not."""
    page, lang = _typed(here, form.text("code"), form.text("to")), language_of(request)
    if not page.code:
        return _show(request, replace(page, wrong=Complaints(code=say(lang, "Anh/chị hãy ghi mã phản ánh."))), 422)
    try:
        to = address_of(page.to)
        await send_code(request, here, at, page.code, to, form.text("altcha") or None, lang=lang)
    except Invalid as refused:
        return _show(request, replace(page, wrong=Complaints(to=told(refused, lang))), refused.status)
    except TooMany as refused:
        return _too_many(request, page, refused)
    return _show(request, replace(page, asked=True))


@router.post("/open")
async def open_report(request: Request, here: Here, at: Now, form: PageForm) -> Response:
    """On to the report that the code opens; its key goes into a cookie as from a receipt."""
    page, lang = _typed(here, form.text("code"), form.text("to")), language_of(request)
    digits = re.sub(r"\s", "", form.text("otp"))
    try:
        code, key = await key_for(request, here, at, page.code, address_of(page.to), digits)
    except (NotFound, TooMany) as refused:
        again = replace(page, asked=True, wrong=Complaints(otp=told(refused, lang)))
        return _show(request, again, refused.status, refused)
    except Invalid as refused:
        return _show(request, replace(page, wrong=Complaints(to=told(refused, lang))), refused.status)
    response = go(f"{keys.PATH}/{code}")
    keys.remember(response, here, code, key)
    return response


def _typed(here: State, code: str, to: str) -> LostPage:
    return LostPage(ways(here), code[:LONGEST_CODE], to[:LONGEST_ADDRESS])


def _too_many(request: Request, page: LostPage, refused: TooMany) -> Response:
    """The form with the proof of work where one may be given; those without a script are told how long to wait."""
    challenge = refused.extra.get("challenge")
    if challenge is None:
        return _show(request, replace(page, alert=told(refused, language_of(request))), refused.status, refused)
    text = say(
        language_of(request),
        "Có nhiều lần xin mã từ cùng một mạng. Anh/chị chờ %(seconds)s giây rồi thử lại, hoặc gọi 1022.",
        seconds=refused.headers.get("Retry-After", "60"),
    )
    return _show(request, replace(page, alert=text, challenge=json.dumps(challenge)), refused.status, refused)


def _show(request: Request, page: LostPage, status: int = 200, refused: DomainError | None = None) -> Response:
    headers = {"X-Robots-Tag": "noindex", **(refused.headers if refused is not None else {})}
    return render(request, "portal/lost.html", page, status=status, headers=headers)

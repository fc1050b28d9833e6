"""The way in: one form, which a script turns into three steps; its answer is the receipt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from cases.intake import is_known, open_case
from core.errors import BadUpload, DomainError, Invalid, TooMany
from core.files import DEFAULT, take
from routing.queries import Routing
from web.deps import Here, Now, client_address, desk_of, rules_in_force
from web.pages import FromHere, PageForm
from web.portal import keys
from web.portal.form import Complaints, Typed, Wrong, read, told, typed_in
from web.portal.receipt import show_receipt
from web.rendering import go, language_of, render, say
from web.reports import with_files
from web.shapes import zone_of

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
MOST_FILES = 5
LIMITS = replace(DEFAULT, files=MOST_FILES)
ROBOTS = "User-agent: *\nDisallow: /track\nDisallow: /console\nDisallow: /ioc\nDisallow: /admin\nDisallow: /api/\n"

Groups = Sequence[tuple[str, Sequence[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The form as typed, the fields (lĩnh vực) by group, what is wrong by field, and what is wrong as a whole.

    `challenge` is the proof of work asked for, as JSON for the script; `lost` says that files have to be chosen again.
    """

    typed: Typed
    groups: Groups
    wrong: Complaints = field(default_factory=Complaints)
    alert: str = ""
    challenge: str = ""
    lost: bool = False
    most_files: int = MOST_FILES


@router.get("/")
async def report_page(request: Request, here: Here, at: Now) -> Response:
    """An empty form."""
    routing = await rules_in_force(here)
    day = at.astimezone(zone_of(routing)).date()
    response = render(request, "portal/report.html", ReportPage(Typed(), groups(routing, day)))
    if keys.KEEPS not in request.cookies:
        response.set_cookie(keys.KEEPS, "1", httponly=True, samesite="lax", secure=keys.safe(here))
    return response


@router.post("/")
async def send_report(request: Request, here: Here, at: Now, form: PageForm) -> Response:
    """A case and its receipt, once however often this form is sent; or the form again, as it was typed."""
    routing, lang, typed = await rules_in_force(here), language_of(request), typed_in(form)
    day = at.astimezone(zone_of(routing)).date()
    page = ReportPage(typed, groups(routing, day), lost=bool(form.files()) and not form.flag("script"))
    uploads = form.files()
    try:
        report = replace(read(typed, routing, day, lang), language=lang)
        try:
            here.throttle.check(client_address(request), form.text("altcha") or None)
        except TooMany:
            if not await is_known(here.together, report.channel, "portal", typed.key):
                raise
        if uploads:
            stored = await take(uploads, here.files, at=at, use_location=typed.use_photo_location, limits=LIMITS)
            report = with_files(report, stored)
        opened = await open_case(here.together, desk_of(here, routing), report, key=typed.key, at=at, account="portal")
    except Wrong as found:
        return _again(request, replace(page, wrong=found.fields), 422)
    except BadUpload as refused:
        return _again(request, replace(page, wrong=Complaints(attachments=told(refused, lang))), refused.status)
    except TooMany as refused:
        return _too_many(request, page, refused)
    except Invalid as refused:
        if any(each["code"] == "key_reused" for each in refused.errors):
            text = say(
                lang,
                "Biểu mẫu này đã gửi một phản ánh với nội dung khác, phản ánh đó vẫn còn. "
                "Muốn gửi nội dung này thành phản ánh mới, anh/chị hãy bấm “Gửi phản ánh” lần nữa.",
            )
            return _again(request, replace(page, typed=typed.with_new_key(), alert=text), 422)
        return _again(request, replace(page, alert=told(refused, lang)), refused.status)
    except DomainError as refused:
        return _again(request, replace(page, alert=told(refused, lang)), refused.status, refused.headers)
    code, key = opened.answer["code"], opened.answer["tracking_key"]
    if keys.KEEPS not in request.cookies:
        return show_receipt(request, opened.answer, key)
    response = go(f"{keys.PATH}/{code}?new=1")
    keys.remember(response, here, code, key)
    return response


@router.get("/robots.txt")
async def robots() -> Response:
    """What search engines may visit: nothing that belongs to one person."""
    return PlainTextResponse(ROBOTS, headers={"Cache-Control": "public, max-age=86400"})


def _too_many(request: Request, page: ReportPage, refused: TooMany) -> Response:
    """The form again with the proof of work; those without a script are told how long to wait."""
    text = say(
        language_of(request),
        "Lúc này có quá nhiều phản ánh từ cùng một mạng. Nội dung chưa gửi đi: "
        "anh/chị chờ %(seconds)s giây rồi bấm “Gửi phản ánh” lần nữa, hoặc gọi 1022.",
        seconds=refused.headers.get("Retry-After", "60"),
    )
    challenge = json.dumps(refused.extra.get("challenge"))
    return _again(request, replace(page, alert=text, challenge=challenge), refused.status, refused.headers)


def _again(
    request: Request,
    page: ReportPage,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The form as it was typed. Browsers do not fill in files again, so whoever chose some is told."""
    if page.lost and "attachments" not in page.wrong:
        missing = say(language_of(request), "Ảnh và tệp chưa được gửi, xin chọn lại.")
        page = replace(page, wrong=Complaints(page.wrong, attachments=missing))
    return render(request, "portal/report.html", page, status=status, headers=headers)


def groups(routing: Routing, on: date) -> Groups:
    """The fields to choose from on that day, under their groups."""
    rows = sorted(routing.field_rows.values(), key=lambda row: row.code)
    below: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        if row.parent and row.valid_from <= on and (row.valid_to is None or on < row.valid_to):
            below.setdefault(row.parent, []).append((row.code, row.name))
    return [(row.name, below[row.code]) for row in rows if row.code in below]

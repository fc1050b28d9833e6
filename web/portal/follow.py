"""Following a report: its code and key, how far it is, and what its reporter can do about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cases.actions.afterwards import reopen_until
from cases.bodies import LONGEST_TEXT
from cases.codes import read_code
from cases.states import Action
from channels.inbox import first_time
from core.attachments import Attachment
from core.errors import BadUpload, DomainError, NotFound, TooMany
from core.files import INLINE_TYPES, Upload, take
from web.attachments import Size, own_attachment, send
from web.deps import Here, Now
from web.following import Follower, following
from web.names import Lang
from web.pages import Form, FromHere, PageForm
from web.portal import keys
from web.portal.form import Complaints, key_in, new_key, told
from web.portal.receipt import show_receipt
from web.portal.telling import Story, story
from web.rendering import go, language_of, render, say, viewer_of
from web.state import State

router = APIRouter(prefix=keys.PATH, include_in_schema=False, dependencies=[FromHere])
UNLISTED = {"X-Robots-Tag": "noindex"}
MOST_FILES = 5


@dataclass(frozen=True, slots=True)
class FindPage:
    """The form for code and key, and the reports this browser knows."""

    code: str = ""
    wrong: str = ""
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paper:
    """One file of a report, as a link."""

    id: str
    name: str
    size: int
    picture: bool


@dataclass(frozen=True, slots=True)
class FollowPage:
    """A report as its reporter sees it, what can be done, and what was wrong with the last try.

    `shown` is the case's shape for citizens; `sent` the reporter's files, `got` those that came with answers. `key`
    goes back with every form, so that one sent twice is done once.
    """

    code: str
    story: Story
    shown: dict[str, Any]
    said: list[dict[str, Any]]
    sent: list[Paper]
    got: list[Paper]
    can: frozenset[str]
    reopen_until: datetime | None
    done: str = ""
    wrong: Complaints = field(default_factory=Complaints)
    typed: Mapping[str, str] = field(default_factory=dict)
    ways: tuple[str, ...] = ()
    preferred: str = ""
    key: str = field(default_factory=new_key)


Given = Annotated[str | None, Query(max_length=100)]


@router.get("")
async def find_page(request: Request, here: Here, at: Now, code: Given = None, key: Given = None) -> Response:
    """The form, or, by the link of a receipt, the report: its key moves from the address into a cookie."""
    if code is not None and key is not None:
        return await _found(request, here, at, code, key)
    return keys.prune(request, _find(request, FindPage(code or "")), here)


@router.post("")
async def find(request: Request, here: Here, at: Now, form: PageForm) -> Response:
    """On to the report of a code and its key; the key may be left out where the browser holds it."""
    return await _found(request, here, at, form.text("code"), form.text("key"))


@router.post("/forget")
async def forget(request: Request, here: Here) -> Response:
    """This browser holds no keys any more."""
    response = go(keys.PATH)
    keys.forget(response, here, *keys.held(request))
    return response


@router.get("/{code}")
async def follow(request: Request, here: Here, at: Now, code: str, new: str = "", done: str = "") -> Response:
    """How far the report is; with `new` its receipt. Without its key the form that asks for it."""
    standard = read_code(code)
    key = keys.held(request).get(standard or "")
    if standard is None or key is None:
        return _find(request, FindPage(code[:40]), 404)
    try:
        async with following(request, here, at, standard, key) as own:
            if new:
                return show_receipt(request, await own.view(), key)
            return keys.prune(request, await _page(request, own, done=done), here)
    except (NotFound, TooMany) as refused:
        return _refused(request, standard, refused)


@router.get("/{code}/files/{attachment_id}")
async def file(request: Request, here: Here, at: Now, code: str, attachment_id: UUID, size: Size = None) -> Response:
    """The bytes of a file its reporter sent or was sent."""
    standard = read_code(code) or ""
    async with following(request, here, at, standard, keys.held(request).get(standard, "")) as own:
        found = await own_attachment(own.session, own.case, attachment_id)
    return await send(here, found, size)


@router.post("/{code}/messages")
async def add_message(request: Request, here: Here, at: Now, code: str, form: PageForm) -> Response:
    """Add something, with photos."""
    body = {"text": form.text("text")}
    return await _do(request, here, at, code, Action.ADD_MESSAGE, body, form, form.files())


@router.post("/{code}/rating")
async def rate(request: Request, here: Here, at: Now, code: str, form: PageForm) -> Response:
    """Judge the answer."""
    given = form.text("rating")
    body = {"rating": int(given) if given in ("1", "2", "3", "4", "5") else None, "text": form.text("text") or None}
    return await _do(request, here, at, code, Action.RATE, body, form)


@router.post("/{code}/reopen")
async def reopen(request: Request, here: Here, at: Now, code: str, form: PageForm) -> Response:
    """It is not solved."""
    return await _do(request, here, at, code, Action.REOPEN, {"reason": form.text("reason")}, form)


@router.post("/{code}/chase")
async def chase(request: Request, here: Here, at: Now, code: str, form: PageForm) -> Response:
    """Ask again how far it is."""
    return await _do(request, here, at, code, Action.CHASE, {}, form)


@router.post("/{code}/preferred")
async def prefer(request: Request, here: Here, at: Now, code: str, form: PageForm) -> Response:
    """Choose how to be told the answer."""
    standard = read_code(code) or ""
    try:
        async with following(request, here, at, standard, keys.held(request).get(standard, "")) as own:
            await own.prefer(form.text("channel") or None)
    except (NotFound, TooMany) as refused:
        return _refused(request, code[:40], refused)
    except DomainError as refused:
        async with following(request, here, at, standard, keys.held(request).get(standard, "")) as own:
            wrong = Complaints(text=told(refused, language_of(request)))
            return await _page(request, own, wrong=wrong, typed={"at": "preferred"}, status=refused.status)
    return go(f"{keys.PATH}/{standard}?done=preferred")


async def _found(request: Request, here: State, at: datetime, code: str, key: str) -> Response:
    standard = read_code(code)
    key = key or keys.held(request).get(standard or "", "")
    try:
        async with following(request, here, at, code, key) as own:
            standard = own.case.code
    except (NotFound, TooMany) as refused:
        return _refused(request, code[:40], refused)
    response = go(f"{keys.PATH}/{standard}")
    keys.remember(response, here, standard, key.strip().upper())
    return response


def _refused(request: Request, code: str, refused: DomainError) -> Response:
    """The form again. An unknown code and a wrong key are told alike."""
    lang = language_of(request)
    wrong = say(
        lang,
        "Không có phản ánh nào với mã và khóa này. Anh/chị xem lại từng chữ trên phiếu tiếp nhận, hoặc gọi 1022.",
    )
    if isinstance(refused, TooMany):
        wrong = told(refused, lang)
    return _find(request, FindPage(code, wrong), refused.status, refused.headers)


def _find(request: Request, page: FindPage, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    known = tuple(keys.held(request))[: keys.MOST]
    shown = FindPage(page.code, page.wrong, known)
    return render(request, "portal/find.html", shown, status=status, headers={**UNLISTED, **(headers or {})})


async def _do(
    request: Request,
    here: State,
    at: datetime,
    code: str,
    action: Action,
    body: dict[str, Any],
    form: Form,
    uploads: list[Upload] | None = None,
) -> Response:
    """One act of the reporter, then the report; what cannot be done is told where it was asked, with what was typed."""
    standard = read_code(code) or ""
    key = keys.held(request).get(standard, "")
    try:
        async with following(request, here, at, standard, key):
            pass  # nothing is read of a stranger's files, and no connection is held while the pictures are decoded
        files = await take(uploads, here.files, at=at) if uploads else []
        async with following(request, here, at, standard, key) as own:
            said = json.dumps([standard, action, body, [stored.original_sha256 for stored in files]])
            if await first_time(own.session, "web", "portal", key_in(form), said, at):
                await own.do(action, body, files)
    except (NotFound, TooMany) as refused:
        return _refused(request, code[:40], refused)
    except DomainError as refused:
        wrong = _wrong(action, refused, language_of(request))
        if uploads and not isinstance(refused, BadUpload):
            wrong["attachments"] = say(language_of(request), "Ảnh và tệp chưa được gửi, xin chọn lại.")
        typed = {name: form.text(name) for name in ("text", "rating", "reason")}
        async with following(request, here, at, standard, key) as own:
            return await _page(request, own, wrong=wrong, typed={**typed, "at": action}, status=refused.status)
    return go(f"{keys.PATH}/{standard}?done={action}")


def _wrong(action: Action, refused: DomainError, lang: Lang) -> Complaints:
    """The complaint at the field it is about."""
    if isinstance(refused, BadUpload):
        return Complaints(attachments=told(refused, lang))
    named = {str(each["where"]) for each in refused.errors}
    if "rating" in named:
        return Complaints(rating=say(lang, "Anh/chị hãy chọn từ 1 đến 5 sao."))
    if "case_status" in refused.extra:  # the table of states: the page was older than the case
        changed = say(
            lang, "Phản ánh vừa thay đổi nên không làm được việc này nữa. Mời anh/chị xem tình trạng bên dưới."
        )
        return Complaints(text=changed)
    if refused.errors:
        each = refused.errors[0]
        if each["code"] in ("too_short", "string_too_short"):
            return Complaints(text=say(lang, "Anh/chị hãy viết vài chữ."))
        if each["code"] in ("too_long", "string_too_long"):
            return Complaints(text=say(lang, "Nội dung dài quá, nhiều nhất %(most)s ký tự.", most=LONGEST_TEXT))
        detail = each.get("detail_en") if lang == "en" else None
        return Complaints(text=str(detail or each["detail"]))
    return Complaints(text=told(refused, lang))


async def _page(
    request: Request,
    own: Follower,
    *,
    done: str = "",
    wrong: Complaints | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    file, shown = await own.file()
    view = viewer_of(request)
    entries = {entry.id: entry for entry in file.entries if entry.to_citizen}
    papers: dict[bool, list[Paper]] = {True: [], False: []}
    for each in file.attachments:
        if each.entry_id in entries:
            papers[entries[each.entry_id].author_kind == "citizen"].append(_paper(each))
    can = frozenset(shown["actions"]) | ({Action.ADD_MESSAGE.value} if shown["merged_into"] else frozenset())
    until = reopen_until(own.case, own.office.routing.rulebook(own.case.rule_set_id))
    if until is not None and until < view.at:
        can -= {Action.REOPEN.value}
    page = FollowPage(
        code=own.case.code,
        story=story(shown, view.at, view.zone, view.lang),
        shown=shown,
        said=[each for each in shown["messages"] if each["kind"] != "report" and each["text"] != shown["reply"]],
        sent=papers[True],
        got=papers[False],
        can=can,
        reopen_until=until,
        done=done,
        wrong=wrong or Complaints(),
        typed={"at": "", "text": "", "rating": "", "reason": "", **(typed or {})},
        ways=tuple(own.ways()),
        preferred=await own.preferred() or "",
    )
    return render(request, "portal/follow.html", page, status=status, headers=UNLISTED)


def _paper(file: Attachment) -> Paper:
    return Paper(str(file.id), file.name, file.size, file.media_type in INLINE_TYPES)

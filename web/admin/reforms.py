"""Reforms on pages: kept as YAML, shown with what they would do, applied as a whole; people who are left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import rehoming, search
from cases.rehoming import Move
from core.errors import Conflict, DomainError, Invalid
from core.text import nfc
from routing.directory import Directory
from routing.editing import reforms
from routing.editing.reforms import ReformHead, Stranded
from routing.editing.rule_sets import stamp
from routing.editing.shared import Finding
from routing.reforms import LONGEST, BadReform, Fault, Reform, Step, parse
from web.admin.ground import Admin, Word, trying
from web.administration.edge import CodeInPath, RulesChange, Today
from web.deps import Db, Now, Rules
from web.pages import Form, FromHere, PageForm
from web.rendering import go, language_of, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
FIRST_ROWS = 12  # of the departments whose cases pass on; the others unfold
KINDS = ("area_ends", "area_begins", "area_renamed", "department_ends", "department_begins", "department_renamed")


@dataclass(frozen=True, slots=True)
class ReformsPage:
    """All reforms, and who still works for a department that has ended."""

    reforms: Sequence[ReformHead]
    shipped: str | None  # the code of the shipped one while it is not among them
    today: date
    stranded: Sequence[Stranded]
    names: Mapping[str, str]
    done: str = ""


@dataclass(frozen=True, slots=True)
class TextPage:
    """The document of a reform as a form, and what could not be read."""

    head: ReformHead | None
    text: str
    errors: Sequence[Fault] = ()
    alert: str = ""
    longest: int = LONGEST
    seen: str = ""  # what tells the text that is edited from one that was changed meanwhile


@dataclass(frozen=True, slots=True)
class Passage:
    """Where the open cases of one department go: each heir's name (None: the centre) and how many."""

    name: str
    to: Sequence[tuple[str | None, int]]


@dataclass(frozen=True, slots=True)
class ReformPage:
    """A reform with what it would do, or did."""

    head: ReformHead
    today: date
    steps: Mapping[str, Sequence[Step]]
    seen: str  # what tells the document that is shown from one that was changed meanwhile
    left: int  # changes that the tables do not have yet
    errors: Sequence[Fault]
    passages: Sequence[Passage]
    cases: int
    to_centre: int
    findings: Sequence[Finding] = field(default_factory=tuple)
    alert: str = ""
    done: str = ""
    first_rows: int = FIRST_ROWS


@router.get("/admin/reforms")
async def listed(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, today: Today, done: Word = ""
) -> Response:
    """Every reform."""
    found = await reforms.listed(session)
    shipped = parse(reforms.SHIPPED.read_text(encoding="utf-8")).code
    people = await reforms.stranded(session, at)
    codes = {code for each in people for code in (each.department, each.to) if code}
    names = {code: routing.directory.name_at(code, today) for code in codes}
    missing = shipped if all(head.code != shipped for head in found) else None
    return render(request, "admin/reforms.html", ReformsPage(found, missing, today, people, names, done), who=who)


@router.post("/admin/reforms/people")
async def move_people(session: Db, who: Admin, at: Now) -> Response:
    """Accounts of ended departments go to the heir, where there is one."""
    await reforms.move_people(session, who, at)
    return go("/admin/reforms?done=people")


@router.get("/admin/new/reform")
async def new(request: Request, who: Admin, template: Word = "") -> Response:
    """The form of a new one: empty, or with the shipped document in it."""
    text = reforms.SHIPPED.read_text(encoding="utf-8") if template == "shipped" else _EXAMPLE
    return render(request, "admin/reform_text.html", TextPage(None, text), who=who)


@router.post("/admin/new/reform")
async def add(request: Request, session: Db, who: Admin, at: Now, form: PageForm) -> Response:
    """Keep a new one."""
    return await _store(request, session, who, at, form, None)


@router.get("/admin/reforms/{reform}")
async def one(request: Request, session: Db, who: Admin, today: Today, reform: CodeInPath, done: Word = "") -> Response:
    """What it would do, or did."""
    return render(request, "admin/reform.html", replace(await _page(session, reform, today), done=done), who=who)


@router.get("/admin/reforms/{reform}/yaml")
async def yaml(session: Db, who: Admin, reform: CodeInPath) -> Response:
    """Its document as a file."""
    row = await reforms.one(session, reform)
    headers = {"Content-Disposition": f'attachment; filename="{row.code}.yaml"', "Cache-Control": "no-store"}
    return Response(row.document, media_type="application/yaml", headers=headers)


@router.get("/admin/reforms/{reform}/edit")
async def edit_page(request: Request, session: Db, who: Admin, reform: CodeInPath) -> Response:
    """The document of one that is not applied."""
    row = await reforms.one(session, reform)
    if row.applied_at is not None:
        raise Conflict("Đợt sắp xếp đã áp dụng nên không sửa được.", "An applied reform is not edited.")
    return render(
        request, "admin/reform_text.html", TextPage(_head(row), row.document, seen=stamp(row.document)), who=who
    )


@router.post("/admin/reforms/{reform}/edit")
async def edit(request: Request, session: Db, who: Admin, at: Now, form: PageForm, reform: CodeInPath) -> Response:
    """Another document for it."""
    return await _store(request, session, who, at, form, _head(await reforms.one(session, reform)))


@router.post("/admin/reforms/{reform}/apply")
async def apply(
    request: Request, session: Db, who: Admin, at: Now, today: Today, form: PageForm, reform: CodeInPath
) -> Response:
    """Into the tables, all of it; cases are found by the names it brings from then on."""
    findings: Sequence[Finding] = ()
    async with trying(session) as trial:
        findings = await reforms.apply(session, who, at, reform, _seen(form))
        await search.rebuild(session)
    if trial.refused:
        page = replace(await _page(session, reform, today), alert=_told(request, trial.refused))
        return render(request, "admin/reform.html", page, who=who, status=409)
    if not findings:
        return go(f"/admin/reforms/{reform}?done=applied")
    page = replace(await _page(session, reform, today), findings=findings, done="applied")
    return render(request, "admin/reform.html", page, who=who)


@router.post("/admin/reforms/{reform}/withdraw")
async def withdraw(request: Request, session: Db, who: Admin, at: Now, today: Today, reform: CodeInPath) -> Response:
    """Out of the tables again, before its day."""
    async with trying(session) as trial:
        await reforms.withdraw(session, who, at, reform)
    if trial.refused is None:
        return go(f"/admin/reforms/{reform}?done=withdrawn")
    page = replace(await _page(session, reform, today), alert=_told(request, trial.refused))
    return render(request, "admin/reform.html", page, who=who, status=409)


@router.post("/admin/reforms/{reform}/delete")
async def drop(session: Db, who: Admin, at: Now, reform: CodeInPath) -> Response:
    """Forget one that is not applied."""
    await reforms.drop(session, who, at, reform)
    return go("/admin/reforms?done=dropped")


async def _store(
    request: Request, session: AsyncSession, who: Admin, at: datetime, form: PageForm, head: ReformHead | None
) -> Response:
    text, page, seen = "", None, _seen(form) if head is not None else ""
    try:
        text = _text(form)
        code = parse(text).code
        if head is not None and code != head.code:
            raise Conflict("Không đổi được mã của đợt sắp xếp.", "The code of a reform does not change.")
    except BadReform as bad:
        page = TextPage(head, text, bad.faults)
    except (Invalid, Conflict) as refused:
        page = TextPage(head, text, alert=_told(request, refused))
    status = 422
    if page is None:
        async with trying(session) as trial:
            stored = await reforms.store(session, who, at, text, seen)
        if trial.refused is None:
            return go(f"/admin/reforms/{stored.code}?done=stored")
        page, status = TextPage(head, text, alert=_told(request, trial.refused)), trial.refused.status
    return render(request, "admin/reform_text.html", replace(page, seen=seen or ""), who=who, status=status)


def _seen(form: Form) -> str | None:
    return next(iter(form.members.get("seen", [])), None)


def _text(form: Form) -> str:
    """The file that was chosen, else what stands in the box."""
    for upload in form.files("file"):
        raw = upload.data if isinstance(upload.data, bytes) else upload.data.read(LONGEST * 4 + 1)
        try:
            return nfc(raw.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise Invalid.at("file", "Tệp không phải văn bản UTF-8.", "The file is not UTF-8 text.") from None
    return "".join(form.members.get("yaml", [])[-1:]).replace("\r\n", "\n")


def _told(request: Request, refused: DomainError) -> str:
    return refused.en if language_of(request) == "en" else refused.vi


def _head(row: Any) -> ReformHead:
    return ReformHead(row.code, row.name, row.effective_on, row.source, row.applied_at)


async def _page(session: AsyncSession, code: str, today: date) -> ReformPage:
    row = await reforms.one(session, code)
    seen = await reforms.look(session, reforms.read(row.document))
    day = max(row.effective_on, today)
    moves = await rehoming.preview(session, seen.after, day)
    mine = [move for move in moves if move.department in seen.reform.ended_departments]
    by_kind = {kind: [step for step in seen.steps if step.what == kind] for kind in KINDS}
    return ReformPage(
        head=_head(row),
        today=today,
        seen=stamp(row.document),
        steps={kind: found for kind, found in by_kind.items() if found},
        left=sum(not step.already for step in seen.steps),
        errors=seen.faults,
        passages=_passages(mine, seen.reform, seen.after),
        cases=sum(move.cases for move in mine),
        to_centre=sum(move.cases for move in mine if move.heir is None),
    )


def _passages(moves: Sequence[Move], reform: Reform, after: Directory) -> list[Passage]:
    """By department: first those with cases that nobody takes over, then those with the most."""
    found = []
    for department, group in groupby(moves, key=lambda move: move.department):
        to = [
            (None if move.heir is None else after.name_at(move.heir, reform.effective_on), move.cases) for move in group
        ]
        found.append(Passage(after.name_at(department, reform.effective_on), to))
    return sorted(
        found,
        key=lambda each: (all(heir for heir, _ in each.to), -sum(count for _, count in each.to), each.name),
    )


_EXAMPLE = """\
reform:
  code: ten-dot-sap-xep
  name: "Tên đợt sắp xếp"
  effective_on: 2027-01-01
  source: "Nghị quyết …"

committees: true  # UBND của địa bàn bắt đầu và kết thúc cùng địa bàn

areas:
  new: []
    # - {code: dn-c-ten-moi, name: "Tên Mới", type: phường, parent: dn}
  renamed: {}
    # dn-c-giu-ma: "Tên mới của xã"
  ended: {}
    # dn-c-ten-cu: dn-c-ten-moi

departments:
  new: []
    # - {code: so-moi, name: "Sở Mới", kind: so_xd}
  renamed: {}
    # so-cu: "Tên mới của sở"
  ended: {}
    # so-a: {to: so-moi}
    # so-b: {to: so-moi, heirs: [{to: so-c, fields: [infra.*]}]}
"""

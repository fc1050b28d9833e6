"""Rule sets on pages: read as tables, written as YAML, checked, put in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from core.errors import Conflict, DomainError, Invalid, NotFound
from routing.editing import rule_sets
from routing.editing.rule_sets import DRAFTS, LONGEST_TEXT, RuleSetHead
from routing.editing.shared import Finding
from web.admin.ground import Admin, Filled, Word, again, read, trying
from web.admin.rule_desk import show_set
from web.administration.edge import RulesChange
from web.administration.rule_sets import RuleSetText
from web.deps import Db, Now, Rules
from web.pages import Form, FromHere, PageForm
from web.rendering import go, language_of, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])


@dataclass(frozen=True, slots=True)
class RuleSetsPage:
    """Every rule set, the latest first."""

    sets: Sequence[RuleSetHead]
    done: str


@dataclass(frozen=True, slots=True)
class TextPage:
    """A rule set as text to be written, and the places where it cannot be read."""

    rule_set: RuleSetHead | None
    form: Filled
    errors: Sequence[Mapping[str, Any]] = ()
    longest: int = LONGEST_TEXT


@dataclass(frozen=True, slots=True)
class CheckPage:
    """What the checker finds; before a draft is put in force, also what it takes the place of."""

    rule_set: RuleSetHead
    findings: Sequence[Finding]
    replaces: RuleSetHead | None
    activating: bool
    kept: bool = False  # it was written a moment ago
    alert: str = ""

    @property
    def errors(self) -> int:
        """With one of them it cannot be put in force."""
        return sum(finding.severity == "error" for finding in self.findings)


@router.get("/admin/rules")
async def listed(request: Request, session: Db, who: Admin, at: Now, done: Word = "") -> Response:
    """Every rule set."""
    return render(request, "admin/rules.html", RuleSetsPage(await rule_sets.listed(session, at), done), who=who)


@router.get("/admin/new/rule-set")
async def new(request: Request, session: Db, who: Admin, at: Now, like: UUID | None = None) -> Response:
    """The form of a new draft; with `like` it begins as that set."""
    text = await rule_sets.yaml_of(session, like) if like else ""
    return render(request, "admin/rule_text.html", TextPage(None, Filled({"yaml": text})), who=who)


@router.post("/admin/new/rule-set")
async def store(request: Request, session: Db, who: Admin, at: Now, form: PageForm) -> Response:
    """Keep a draft, and say what the checker finds."""
    text = ""
    async with trying(session) as trial:
        text = _text(form)
        change = await rule_sets.store(session, who, at, read(RuleSetText, {"yaml": text}).yaml)
    if trial.refused:
        return _written(request, who, None, text, trial.refused)
    page = CheckPage(change.rule_set, change.findings, None, activating=False, kept=True)
    return render(request, "admin/rule_check.html", page, who=who) if page.findings else _kept(change.rule_set)


@router.get("/admin/rules/{rule_set}/yaml")
async def yaml(session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """The rule set as a YAML file."""
    head = await _head(session, rule_set, at)
    name = f"{head.code}-v{head.version}.yaml".encode("ascii", "replace").decode().replace("?", "_")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(await rule_sets.yaml_of(session, rule_set), media_type="application/yaml", headers=headers)


@router.get("/admin/rules/{rule_set}/edit")
async def edit_page(request: Request, session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """A draft's text."""
    head = await _head(session, rule_set, at)
    text = await rule_sets.yaml_of(session, rule_set)
    page = TextPage(head, Filled({"yaml": text, "seen": rule_sets.stamp(text)}))
    return render(request, "admin/rule_text.html", page, who=who)


@router.post("/admin/rules/{rule_set}/edit")
async def rewrite(request: Request, session: Db, who: Admin, at: Now, form: PageForm, rule_set: UUID) -> Response:
    """Another text for a draft."""
    head, text, seen = await _head(session, rule_set, at), "", form.text("seen")
    async with trying(session) as trial:
        text = _text(form)
        change = await rule_sets.rewrite(session, who, at, rule_set, read(RuleSetText, {"yaml": text}).yaml, seen)
    if trial.refused:
        return _written(request, who, head, text, trial.refused, seen)
    page = CheckPage(change.rule_set, change.findings, None, activating=False, kept=True)
    return render(request, "admin/rule_check.html", page, who=who) if page.findings else _kept(change.rule_set)


@router.get("/admin/rules/{rule_set}/check")
async def check(request: Request, session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """What the checker finds with departments, fields and areas as they are now."""
    return await _checked(request, session, who, at, rule_set, activating=False)


@router.get("/admin/rules/{rule_set}/activate")
async def activate_page(request: Request, session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """What putting it in force would mean."""
    return await _checked(request, session, who, at, rule_set, activating=True)


@router.post("/admin/rules/{rule_set}/activate")
async def activate(request: Request, session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """Put a draft in force from its day on."""
    async with trying(session) as trial:
        begins = (await rule_sets.activate(session, who, at, rule_set)).rule_set.valid_from
    if trial.refused:
        alert = trial.refused.en if language_of(request) == "en" else trial.refused.vi
        return await _checked(request, session, who, at, rule_set, activating=True, alert=alert)
    return go(f"/admin/rules/{rule_set}?done={'scheduled' if begins > at else 'activated'}")


@router.post("/admin/rules/{rule_set}/delete")
async def delete(request: Request, session: Db, who: Admin, routing: Rules, at: Now, rule_set: UUID) -> Response:
    """Forget a draft."""
    async with trying(session) as trial:
        await rule_sets.delete(session, who, at, rule_set)
    if trial.refused:
        alert = trial.refused.en if language_of(request) == "en" else trial.refused.vi
        return await show_set(request, session, who, routing, at, rule_set, alert=alert)
    return go("/admin/rules?done=deleted")


def _text(form: Form) -> str:
    """The file that was chosen, else what stands in the box, as it was typed."""
    for upload in form.files("file"):
        most = LONGEST_TEXT * 4
        raw = upload.data if isinstance(upload.data, bytes) else upload.data.read(most + 1)
        if len(raw) > most:
            raise Invalid.at("file", "Tệp quá lớn.", "The file is too large.", "too_large")
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Invalid.at(
                "file", "Tệp không phải văn bản UTF-8.", "The file is not UTF-8 text.", "encoding"
            ) from None
    return "".join(form.members.get("yaml", [])[-1:]).replace("\r\n", "\n")


def _kept(head: RuleSetHead) -> Response:
    return go(f"/admin/rules/{head.id}?done=stored")


def _written(
    request: Request, who: Admin, head: RuleSetHead | None, text: str, refused: DomainError, seen: str = ""
) -> Response:
    """The text again, with a line for each place where it cannot be read."""
    english = language_of(request) == "en"
    errors = [
        {**each, "detail": (english and each.get("detail_en")) or each["detail"]}
        for each in refused.errors
        if each.get("code") == "unreadable"
    ]
    form = (
        Filled({"yaml": text, "seen": seen}, alert=refused.en if english else refused.vi)
        if errors
        else again(request, refused, {"yaml": text, "seen": seen}, "file")
    )
    return render(request, "admin/rule_text.html", TextPage(head, form, errors), who=who, status=422)


async def _head(session: AsyncSession, rule_set: UUID, at: Any) -> RuleSetHead:
    found = next((each for each in await rule_sets.listed(session, at) if each.id == rule_set), None)
    if found is None:
        raise NotFound("Không có bộ quy tắc này.", "There is no such rule set.")
    return found


async def _checked(
    request: Request, session: AsyncSession, who: Admin, at: Any, rule_set: UUID, *, activating: bool, alert: str = ""
) -> Response:
    heads = await rule_sets.listed(session, at)
    head = next((each for each in heads if each.id == rule_set), None)
    if head is None:
        raise NotFound("Không có bộ quy tắc này.", "There is no such rule set.")
    if activating and head.state not in DRAFTS and not alert:
        raise Conflict("Bộ quy tắc này không còn là bản nháp.", "Only a draft can be put in force.")
    replaces = next(
        (
            each
            for each in heads
            if each.state == "active"
            and each.valid_from < head.valid_from
            and (each.valid_to is None or each.valid_to > head.valid_from)
        ),
        None,
    )
    found = await rule_sets.check(session, rule_set, at)
    page = CheckPage(head, found, replaces, activating, alert=alert)
    return render(request, "admin/rule_check.html", page, who=who, status=409 if alert else 200)

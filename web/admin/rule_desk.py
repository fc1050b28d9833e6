"""The rule desk on pages: from "the council changed a limit" to "active from Monday", one form a row.

A set as text, its upload and its activation by itself are in `rules.py`; what the forms say is read in `rule_forms.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from core.errors import BadUpload, Conflict, Invalid, NotFound
from core.files import take
from routing import rule_forms
from routing.decide import STAGES
from routing.editing import rule_desk, rule_sets
from routing.editing.rule_desk import Desk, Seen
from routing.editing.rule_sets import DRAFTS, RuleSetHead, RuleSetView, findings_of, found, open_draft
from routing.editing.shared import Finding
from routing.queries import PROVINCE, Routing, read_draft
from routing.rule_drafts import LeadDraft, LimitDraft
from routing.rulesets import dump
from web.admin.ground import Admin, Filled, Word, again, trying
from web.admin.rule_forms import (
    BLANK_HEAD,
    BLANK_LEAD,
    BLANK_LIMIT,
    BLANK_SETTINGS,
    first_day,
    head_members,
    lead_of,
    limit_of,
    settings_of,
    shown_lead,
    shown_limit,
    shown_settings,
    text_of,
    typed,
)
from web.admin.rule_words import Told, Words
from web.administration.edge import RulesChange, Today
from web.attachments import send
from web.deps import Db, Here, Now, Rules
from web.pages import FromHere, PageForm
from web.rendering import go, language_of, render

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
Row = TypeVar("Row", bound=rule_forms.Rule)


@dataclass(frozen=True, slots=True)
class RuleSetPage:
    """A rule set as tables; `words` says what its codes mean, and a draft is told what is wrong and what changes."""

    view: RuleSetView
    desk: Desk
    words: Words
    changes: Sequence[Told]
    done: str
    alert: str = ""
    wrong_file: str = ""

    @property
    def open(self) -> bool:
        """Whether it may be edited."""
        return self.view.head.state in DRAFTS

    @property
    def errors(self) -> int:
        """With one of them it cannot be put in force."""
        return sum(finding.severity == "error" for finding in self.desk.findings)

    @property
    def general(self) -> list[Finding]:
        """Findings that are about no rule of the tables."""
        known = {rule.code for rule in rule_forms.all_rules(self.desk.draft)}
        return [each for each in self.desk.findings if not known & set(each.where.split(", "))]

    def about(self, code: str) -> list[Finding]:
        """Findings about a rule."""
        return [each for each in self.desk.findings if code in each.where.split(", ")]


@dataclass(frozen=True, slots=True)
class ChangePage:
    """From which day a copy of a set is to hold, and by which document."""

    head: RuleSetHead
    form: Filled
    words: Words


@dataclass(frozen=True, slots=True)
class RowPage:
    """One row as a form: a limit or a lead rule; `was` is its code, None for a new one."""

    head: RuleSetHead
    kind: str  # limit | lead
    was: str | None
    form: Filled
    words: Words
    findings: Sequence[Finding]
    options: Mapping[str, Sequence[tuple[str, str]]]
    seen: str  # stamp of what the draft says of it
    stages: Sequence[str] = STAGES


@dataclass(frozen=True, slots=True)
class PartPage:
    """The settings of a set as a form, or its dates and words."""

    head: RuleSetHead
    form: Filled
    words: Words
    seen: str
    roles: Sequence[tuple[str, str]] = ()
    stages: Sequence[str] = STAGES


@router.get("/admin/rules/{rule_set}")
async def one(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, rule_set: UUID, done: Word = ""
) -> Response:
    """A rule set as tables."""
    return await show_set(request, session, who, routing, at, rule_set, done=done)


@router.get("/admin/rules/{rule_set}/change")
async def change_page(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, today: Today, rule_set: UUID
) -> Response:
    """Which day a change begins, the coming Monday unless said otherwise."""
    head = rule_sets.head_of(await found(session, rule_set), at)
    values = {"valid_from": rule_forms.next_monday(today).isoformat(), "source": ""}
    page = ChangePage(head, Filled(values), Words(routing, language_of(request)))
    return render(request, "admin/rule_change.html", page, who=who)


@router.post("/admin/rules/{rule_set}/change")
async def change(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm, rule_set: UUID
) -> Response:
    """A copy of the set as a draft that begins on that day."""
    async with trying(session) as trial:
        made = await rule_desk.next_version(session, who, at, rule_set, first_day(form), text_of(form, "source"))
    if trial.refused:
        head = rule_sets.head_of(await found(session, rule_set), at)
        page = ChangePage(
            head, again(request, trial.refused, typed(form, BLANK_HEAD)), Words(routing, language_of(request))
        )
        return render(request, "admin/rule_change.html", page, who=who, status=422)
    return go(f"/admin/rules/{made.id}?done=copied")


@router.get("/admin/rules/{rule_set}/limit")
async def limit_page(
    request: Request,
    session: Db,
    who: Admin,
    routing: Rules,
    at: Now,
    rule_set: UUID,
    code: Word = "",
) -> Response:
    """A limit as a form; without a code the form of a new one."""
    draft = await read_draft(session, await open_draft(session, rule_set))
    row = _row(draft.limits, code) or LimitDraft("", "resolve", "")
    return await _row_page(request, session, who, routing, at, rule_set, "limit", row.code, Filled(shown_limit(row)))


@router.post("/admin/rules/{rule_set}/limit")
async def put_limit(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm, rule_set: UUID
) -> Response:
    """Keep a limit."""
    was = form.text("was") or None
    async with trying(session) as trial:
        row = limit_of(form)
        await rule_desk.edit(
            session,
            who,
            at,
            rule_set,
            lambda draft, known: rule_forms.put_limit(draft, row, was, known),
            Seen(form.text("seen"), "limit", was),
        )
    if trial.refused:
        filled = again(request, trial.refused, typed(form, BLANK_LIMIT), "stage", "amount")
        return await _row_page(request, session, who, routing, at, rule_set, "limit", was or "", filled)
    # A new row's page begins above, with what it changes; an edited one's where the reader was.
    return go(f"/admin/rules/{rule_set}?done=edited{f'#rule-{was}' if was else ''}")


@router.get("/admin/rules/{rule_set}/lead")
async def lead_page(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, rule_set: UUID, code: Word = ""
) -> Response:
    """A lead rule as a form; without a code the form of a new one."""
    draft = await read_draft(session, await open_draft(session, rule_set))
    row = _row(draft.leads, code) or LeadDraft("", "")
    return await _row_page(request, session, who, routing, at, rule_set, "lead", row.code, Filled(shown_lead(row)))


@router.post("/admin/rules/{rule_set}/lead")
async def put_lead(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm, rule_set: UUID
) -> Response:
    """Keep a lead rule."""
    was = form.text("was") or None
    async with trying(session) as trial:
        row = lead_of(form)
        await rule_desk.edit(
            session,
            who,
            at,
            rule_set,
            lambda draft, known: rule_forms.put_lead(draft, row, was, known),
            Seen(form.text("seen"), "lead", was),
        )
    if trial.refused:
        filled = again(request, trial.refused, typed(form, BLANK_LEAD), "lead")
        return await _row_page(request, session, who, routing, at, rule_set, "lead", was or "", filled)
    # A new row's page begins above, with what it changes; an edited one's where the reader was.
    return go(f"/admin/rules/{rule_set}?done=edited{f'#rule-{was}' if was else ''}")


@router.post("/admin/rules/{rule_set}/move")
async def move(session: Db, who: Admin, at: Now, form: PageForm, rule_set: UUID) -> Response:
    """Ask a rule one step earlier or later."""
    code, up = form.text("code"), form.text("direction") == "up"
    await rule_desk.edit(session, who, at, rule_set, lambda draft, _: rule_forms.move(draft, code, up=up))
    return go(f"/admin/rules/{rule_set}#rule-{code}")


@router.post("/admin/rules/{rule_set}/drop")
async def drop(session: Db, who: Admin, at: Now, form: PageForm, rule_set: UUID) -> Response:
    """Take a rule out."""
    code = form.text("code")
    await rule_desk.edit(session, who, at, rule_set, lambda draft, _: rule_forms.drop_rule(draft, code))
    return go(f"/admin/rules/{rule_set}?done=dropped")


@router.get("/admin/rules/{rule_set}/settings")
async def settings_page(request: Request, session: Db, who: Admin, routing: Rules, at: Now, rule_set: UUID) -> Response:
    """The settings as a form."""
    draft = await read_draft(session, await open_draft(session, rule_set))
    return await _part(request, session, who, routing, at, rule_set, "settings", Filled(shown_settings(draft)))


@router.post("/admin/rules/{rule_set}/settings")
async def put_settings(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm, rule_set: UUID
) -> Response:
    """Keep the settings."""
    async with trying(session) as trial:
        await rule_desk.edit(
            session,
            who,
            at,
            rule_set,
            lambda draft, _: rule_forms.put_settings(draft, settings_of(form, draft)),
            Seen(form.text("seen"), "settings"),
        )
    if trial.refused:
        known = ("escalate", *rule_forms.SETTINGS)
        filled = again(request, trial.refused, typed(form, BLANK_SETTINGS), *known)
        return await _part(request, session, who, routing, at, rule_set, "settings", filled)
    return go(f"/admin/rules/{rule_set}?done=edited#settings")


@router.get("/admin/rules/{rule_set}/head")
async def head_page(request: Request, session: Db, who: Admin, routing: Rules, at: Now, rule_set: UUID) -> Response:
    """Dates, source and note as a form."""
    draft = await read_draft(session, await open_draft(session, rule_set))
    values = {
        "valid_from": draft.valid_from.isoformat(),
        "valid_to": draft.valid_to.isoformat() if draft.valid_to else "",
        "source": draft.source,
        "note": draft.note,
    }
    return await _part(request, session, who, routing, at, rule_set, "head", Filled(values))


@router.post("/admin/rules/{rule_set}/head")
async def put_head(
    request: Request, session: Db, who: Admin, routing: Rules, at: Now, form: PageForm, rule_set: UUID
) -> Response:
    """Keep dates, source and note."""
    async with trying(session) as trial:
        members = head_members(form)
        await rule_desk.edit(
            session,
            who,
            at,
            rule_set,
            lambda draft, _: rule_forms.put_head(draft, **members),
            Seen(form.text("seen"), "head"),
        )
    if trial.refused:
        filled = again(request, trial.refused, typed(form, BLANK_HEAD), "valid_to")
        return await _part(request, session, who, routing, at, rule_set, "head", filled)
    return go(f"/admin/rules/{rule_set}?done=edited")


@router.post("/admin/rules/{rule_set}/check")
async def check(session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """Ask the checker; without errors the draft may be put in force next."""
    change = await rule_desk.mark_checked(session, who, at, rule_set)
    return go(f"/admin/rules/{rule_set}?done={'checked' if change.rule_set.state == 'checked' else 'faulty'}")


@router.post("/admin/rules/{rule_set}/withdraw")
async def withdraw(request: Request, session: Db, who: Admin, routing: Rules, at: Now, rule_set: UUID) -> Response:
    """Take back a set that waits for its first day."""
    async with trying(session) as trial:
        await rule_desk.withdraw(session, who, at, rule_set)
    if trial.refused:
        alert = trial.refused.en if language_of(request) == "en" else trial.refused.vi
        return await show_set(request, session, who, routing, at, rule_set, alert=alert)
    return go(f"/admin/rules/{rule_set}?done=withdrawn")


@router.post("/admin/rules/{rule_set}/files")
async def attach(
    request: Request, session: Db, here: Here, who: Admin, routing: Rules, at: Now, form: PageForm, rule_set: UUID
) -> Response:
    """Keep a file of the document the set comes from."""
    english, wrong = language_of(request) == "en", ""
    try:
        uploads = form.files("file")
        if not uploads:
            raise Invalid.at("file", "Chọn một tệp.", "Choose a file.", "missing")
        await found(session, rule_set)
        async with trying(session) as trial:
            for stored in await take(uploads, here.files, at=at):
                await rule_desk.attach(session, who, at, rule_set, stored)
        if trial.refused:
            raise trial.refused
    except (BadUpload, Conflict, Invalid) as refused:
        wrong = refused.en if english else refused.vi
    if wrong:
        return await show_set(request, session, who, routing, at, rule_set, wrong_file=wrong)
    return go(f"/admin/rules/{rule_set}?done=attached#files")


@router.get("/admin/rules/{rule_set}/files/{file}")
async def download(session: Db, here: Here, who: Admin, rule_set: UUID, file: UUID) -> Response:
    """The bytes of a file."""
    return await send(here, await rule_desk.file_of(session, rule_set, file), None)


@router.post("/admin/rules/{rule_set}/files/{file}/delete")
async def detach(session: Db, who: Admin, at: Now, rule_set: UUID, file: UUID) -> Response:
    """Take a file from a draft."""
    await rule_desk.detach(session, who, at, rule_set, file)
    return go(f"/admin/rules/{rule_set}?done=detached#files")


async def show_set(
    request: Request,
    session: AsyncSession,
    who: Admin,
    routing: Routing,
    at: Now,
    rule_set: UUID,
    *,
    done: str = "",
    alert: str = "",
    wrong_file: str = "",
) -> Response:
    """The page of a set, with what an act on it was refused for."""
    view = await rule_sets.one(session, rule_set, at)
    desk = await rule_desk.on_desk(session, rule_set, at)
    words = Words(routing, language_of(request))
    changes = [words.change(each) for each in desk.changes]
    page = RuleSetPage(view, desk, words, changes, done, alert, wrong_file)
    status = 409 if alert else 422 if wrong_file else 200
    return render(request, "admin/rule_set.html", page, who=who, status=status)


async def _row_page(
    request: Request,
    session: AsyncSession,
    who: Admin,
    routing: Routing,
    at: Now,
    rule_set: UUID,
    kind: str,
    was: str,
    form: Filled,
) -> Response:
    row = await open_draft(session, rule_set)
    draft = await read_draft(session, row)
    findings: tuple[Finding, ...] = ()
    if was:
        told = await findings_of(session, row, draft, at, dump(draft))
        findings = tuple(each for each in told if was in each.where.split(", "))
    words = Words(routing, language_of(request))
    zone = routing.calendars[PROVINCE].zone
    options = words.options(max(at, row.valid_from).astimezone(zone).date())
    seen = rule_desk.part_stamp(draft, kind, was or None)
    page = RowPage(rule_sets.head_of(row, at), kind, was or None, form, words, findings, options, seen)
    return render(request, "admin/rule_row.html", page, who=who, status=form.status)


async def _part(
    request: Request,
    session: AsyncSession,
    who: Admin,
    routing: Routing,
    at: Now,
    rule_set: UUID,
    part: str,
    form: Filled,
) -> Response:
    row = await open_draft(session, rule_set)
    words = Words(routing, language_of(request))
    seen = rule_desk.part_stamp(await read_draft(session, row), part)
    page = PartPage(rule_sets.head_of(row, at), form, words, seen, words.roles())
    return render(request, f"admin/rule_{part}.html", page, who=who, status=form.status)


def _row(rows: Sequence[Row], code: str) -> Row | None:
    """The row of a code, None without a code; NotFound for one that the draft has not."""
    known = next((row for row in rows if row.code == code), None)
    if code and known is None:
        raise NotFound("Bản nháp không có quy tắc này.", "The draft has no such rule.")
    return known

"""Rule sets: read as tables and as YAML, kept as drafts, checked, put in force. In force they never change again."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import delete as sql_delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Conflict, Invalid, NotFound
from core.staff import Actor
from routing import commands, models
from routing.calendars import SEED
from routing.decide import STAGES, Condition
from routing.directory import Directory
from routing.editing.shared import Finding, as_finding, begin, in_force_from, note, zone_of_province
from routing.queries import PROVINCE, local_midnight, read_calendars, read_directory, read_draft, read_fields
from routing.rule_check import Problem
from routing.rule_check import check as check_rules
from routing.rule_drafts import CONDITION_LISTS, LeadDraft, LimitDraft, RuleSetDraft
from routing.rule_lines import has_aliases, line_in, line_of, lines_of
from routing.rulesets import BadRuleSet, dump, parse_rule_set, to_dict
from routing.seeds import seed_kind_names

LONGEST_TEXT = 200_000  # characters; the shipped examples have 20,000
MOST_RULES = 500  # the shipped examples have 100; the checker's time grows with their square
LARGEST_NUMBER = 1_000_000  # version and rank
DAYS = (date(2000, 1, 1), date(2199, 12, 31))
DRAFTS = ("draft", "checked")  # states in which a set may still be edited
_CODE = re.compile(r"[\w.\-]{1,80}")


@dataclass(frozen=True, slots=True)
class RuleSetHead:
    """A rule set in the list. `in_force`: cases opened now are opened under it."""

    id: UUID
    code: str
    version: int
    state: str  # draft | checked | active | retired
    valid_from: datetime
    valid_to: datetime | None
    note: str
    source: str
    created_at: datetime
    in_force: bool
    checked_at: datetime | None = None
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition of a rule: what it asks about (`fields`, `urgencies`, …) and which values fit."""

    about: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeadLine:
    """A lead rule in the order in which rules are asked; departments as written and as named."""

    code: str
    rank: int
    conditions: tuple[Asked, ...]
    lead: str
    lead_name: str
    supporting: tuple[str, ...]
    supporting_names: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit rule, such as `8h/working`."""

    code: str
    rank: int
    conditions: tuple[Asked, ...]
    amount: str
    note: str
    source: str


@dataclass(frozen=True, slots=True)
class StageLimits:
    """The limits of one stage, in the order in which they are asked."""

    stage: str
    limits: tuple[LimitLine, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One member of a rule set that is no rule, such as `extend.max`; several values stand in one line each."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProvisionLine:
    """A provision of the source document in words."""

    number: int
    key: str
    says: str
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class RuleSetView:
    """A rule set as tables."""

    head: RuleSetHead
    leads: tuple[LeadLine, ...]
    limits: tuple[StageLimits, ...]
    settings: tuple[Setting, ...]
    provisions: tuple[ProvisionLine, ...]


@dataclass(frozen=True, slots=True)
class RuleSetChange:
    """A rule set after it was stored, checked or put in force, and what there is to know about it."""

    rule_set: RuleSetHead
    findings: tuple[Finding, ...] = ()


async def listed(session: AsyncSession, at: datetime) -> list[RuleSetHead]:
    """Every rule set, the latest first."""
    order = (
        col(models.RuleSet.valid_from).desc(),
        col(models.RuleSet.created_at).desc(),
        col(models.RuleSet.id).desc(),
    )
    return [head_of(row, at) for row in (await session.exec(select(models.RuleSet).order_by(*order))).all()]


async def one(session: AsyncSession, rule_set_id: UUID, at: datetime) -> RuleSetView:
    """A rule set as tables, or NotFound."""
    row = await found(session, rule_set_id)
    draft, directory = await read_draft(session, row), await read_directory(session)
    leads = tuple(
        LeadLine(
            code=rule.code,
            rank=rule.rank,
            conditions=_asked(rule.when),
            lead=rule.lead,
            lead_name=_unit(rule.lead, directory),
            supporting=rule.supporting,
            supporting_names=tuple(_unit(written, directory) for written in rule.supporting),
            note=rule.note,
        )
        for rule in draft.leads
    )
    stages = dict.fromkeys((*STAGES, *(rule.stage for rule in draft.limits)))
    limits = tuple(
        StageLimits(
            stage,
            tuple(
                LimitLine(rule.code, rule.rank, _asked(rule.when), rule.amount, rule.note, rule.source)
                for rule in draft.limits
                if rule.stage == stage
            ),
        )
        for stage in stages
    )
    provisions = tuple(ProvisionLine(p.number, p.key, p.says, p.mark, p.source) for p in draft.provisions)
    return RuleSetView(head_of(row, at), leads, limits, _settings(draft), provisions)


async def yaml_of(session: AsyncSession, rule_set_id: UUID) -> str:
    """A rule set as YAML that `store` takes, or NotFound."""
    return dump(await read_draft(session, await found(session, rule_set_id)))


async def store(session: AsyncSession, by: Actor, at: datetime, text: str) -> RuleSetChange:
    """Keep YAML text as a new draft, whatever the checker finds in it.

    Invalid, with a line and a sentence for each place, when it cannot be read; Conflict when code and version are
    taken.
    """
    await begin(session, by)
    draft = read(text)
    row = await commands.store(session, draft, at)
    await note(session, by, "rule_set.store", str(row.id), at, code=row.code, version=row.version)
    return RuleSetChange(head_of(row, at), await findings_of(session, row, draft, at, text))


def stamp(text: str) -> str:
    """What tells a text from one that was edited meanwhile."""
    return sha256(text.encode()).hexdigest()[:32]


async def rewrite(
    session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID, text: str, seen: str = ""
) -> RuleSetChange:
    """Another text for a draft. As `store`; Conflict too when the set is no draft any more.

    `seen` is the `stamp` of the text that was edited, where it is known: Conflict when the draft says something else
    by now, for that would be lost.
    """
    await begin(session, by)
    row = await open_draft(session, rule_set_id)
    draft = read(text)
    if seen and seen != stamp(dump(await read_draft(session, row))):
        raise Conflict(
            "Bản nháp đã được sửa ở nơi khác từ lúc mở trang này. Hãy giữ lại phần đã viết, mở lại trang rồi sửa tiếp.",
            "The draft was edited elsewhere since this page was opened. Keep what you wrote, open the page again.",
        )
    await reopened(session, row)
    taken = select(models.RuleSet.id).where(
        models.RuleSet.code == draft.code, models.RuleSet.version == draft.version, models.RuleSet.id != row.id
    )
    if (await session.exec(taken)).first() is not None:
        raise Conflict(
            f"Bộ quy tắc {draft.code} phiên bản {draft.version} đã có. Hãy tăng số phiên bản.",
            f"Rule set {draft.code} version {draft.version} exists. Raise the version.",
        )
    await commands.rewrite(session, row, draft)
    await note(session, by, "rule_set.rewrite", str(row.id), at, code=row.code, version=row.version)
    return RuleSetChange(head_of(row, at), await findings_of(session, row, draft, at, text))


async def delete(session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID) -> None:
    """Forget a draft. Conflict for a set that holds or held: it is never deleted."""
    await begin(session, by)
    row = await open_draft(session, rule_set_id)
    await reopened(session, row)
    await session.execute(sql_delete(models.RuleSetFile).where(col(models.RuleSetFile.rule_set_id) == row.id))
    await commands.drop_rules(session, row)
    await session.delete(row)
    await note(session, by, "rule_set.delete", str(row.id), at, code=row.code, version=row.version)


async def check(session: AsyncSession, rule_set_id: UUID, at: datetime) -> tuple[Finding, ...]:
    """What the checker finds in a set with the tables as they are now; lines are those of `yaml_of`."""
    row = await found(session, rule_set_id)
    draft = await read_draft(session, row)
    return await findings_of(session, row, draft, at, dump(draft))


async def activate(session: AsyncSession, by: Actor, at: datetime, rule_set_id: UUID) -> RuleSetChange:
    """Put a draft in force from its day on; the set before it ends there, and cases keep the set they have.

    Conflict, with what is wrong in `errors`, when the checker finds an error, when its first day has passed while
    another set holds, or when another set's dates overlap.
    """
    await begin(session, by)
    row = await open_draft(session, rule_set_id)
    draft = await read_draft(session, row)
    findings = await findings_of(session, row, draft, at, dump(draft))
    if wrong := [finding for finding in findings if finding.severity == "error"]:
        raise Conflict(
            f"Bộ quy tắc còn {len(wrong)} lỗi, chưa thể đưa vào áp dụng. {wrong[0].detail}",
            f"The rule set has {len(wrong)} errors and cannot be put in force. {wrong[0].detail_en}",
            errors=[
                {"where": each.where, "detail": each.detail, "detail_en": each.detail_en, "code": each.code}
                for each in wrong[:50]
            ],
        )
    row = await commands.activate(session, row.id)
    await note(session, by, "rule_set.activate", str(row.id), at, code=row.code, version=row.version)
    return RuleSetChange(head_of(row, at), findings)


def read(text: str) -> RuleSetDraft:
    """The draft a text states; Invalid with `errors {where, line, detail, code}` when it cannot be read or kept."""
    if len(text) > LONGEST_TEXT:
        raise _unreadable([f"document: more than {LONGEST_TEXT} characters"], {})
    if has_aliases(text):
        raise _unreadable(["document: aliases (*name) are not taken; write the value again"], {})
    lines = lines_of(text)
    try:
        draft = parse_rule_set(text, SEED)
    except BadRuleSet as error:
        raise _unreadable(error.problems, lines) from None
    if problems := list(unstorable(draft)):
        raise _unreadable(problems, lines)
    return draft


def unstorable(draft: RuleSetDraft) -> list[str]:
    """What can be read but not kept as rows."""
    problems = []
    if not _CODE.fullmatch(draft.code):
        problems.append("ruleset.code: at most 80 letters, digits, hyphens, dots")
    if not 1 <= draft.version <= LARGEST_NUMBER:
        problems.append(f"ruleset.version: must be from 1 to {LARGEST_NUMBER}")
    for name, day in (("valid_from", draft.valid_from), ("valid_to", draft.valid_to)):
        if day is not None and not DAYS[0] <= day <= DAYS[1]:
            problems.append(f"ruleset.{name}: must be between {DAYS[0]} and {DAYS[1]}")
    if draft.valid_to is not None and draft.valid_to <= draft.valid_from:
        problems.append("ruleset.valid_to: must be later than valid_from")
    rules: list[LeadDraft | LimitDraft] = [*draft.leads, *draft.limits]
    if len(rules) > MOST_RULES:
        problems.append(f"document: more than {MOST_RULES} rules")
    seen: set[str] = set()
    for rule in rules:
        if rule.code in seen:
            problems.append(f"{rule.code}: this code is used twice")
        if not 0 <= rule.rank <= LARGEST_NUMBER:
            problems.append(f"{rule.code}: rank must be from 0 to {LARGEST_NUMBER}")
        seen.add(rule.code)
    try:
        written = json.dumps(to_dict(draft), allow_nan=False, ensure_ascii=False)
        if "\\u0000" in written:
            raise ValueError("NUL")
        written.encode()
    except (ValueError, TypeError, RecursionError):
        problems.append("document: holds a value or character that cannot be kept")
    return problems


# What the reader says most, for people; the rest is told as it is.
_VIETNAMESE = (
    ("not readable as YAML", "không đọc được theo cú pháp YAML"),
    ("must be a text", "phải là chữ"),
    ("must be a list of texts", "phải là danh sách các chữ"),
    ("must be a list", "phải là danh sách"),
    ("must be a whole number", "phải là số nguyên"),
    ("must be a number", "phải là số"),
    ("must be a date", "phải là ngày"),
    ("must be a mapping", "phải là các mục và giá trị"),
    ("must be true or false", "phải là true hoặc false"),
    ("unknown key", "không có mục này"),
    ("this code is used twice", "mã này được dùng hai lần"),
    ("must be later than valid_from", "phải sau ngày có hiệu lực"),
)


def _unreadable(problems: tuple[str, ...] | list[str], lines: Mapping[str, int]) -> Invalid:
    errors = []
    for problem in problems[:50]:
        where, _, what = problem.partition(": ")
        if not what or where == "not readable as YAML":
            where, what = "document", problem
        line = line_of(where, lines) or line_in(what)
        vi = next((f"{told} ({what})" for english, told in _VIETNAMESE if what.startswith(english)), what)
        place = f"Dòng {line}, mục {where}" if line else f"Mục {where}"
        errors.append(
            {"where": where, "line": line, "detail": f"{place}: {vi}.", "detail_en": problem, "code": "unreadable"}
        )
    return Invalid(
        f"Không đọc được bộ quy tắc: {len(problems)} chỗ. {errors[0]['detail']}",
        f"The rule set cannot be read: {len(problems)} places. {errors[0]['detail_en']}",
        errors=errors,
    )


async def found(session: AsyncSession, rule_set_id: UUID) -> models.RuleSet:
    """The set with this id; NotFound when there is none."""
    statement = select(models.RuleSet).where(models.RuleSet.id == rule_set_id)
    row = (await session.exec(statement.execution_options(populate_existing=True))).first()
    if row is None:
        raise NotFound("Không có bộ quy tắc này.", "There is no such rule set.")
    return row


async def open_draft(session: AsyncSession, rule_set_id: UUID) -> models.RuleSet:
    """The set with this id while it may be edited: a draft, checked or not. Conflict when it holds or held."""
    row = await found(session, rule_set_id)
    if row.state not in DRAFTS:
        raise Conflict(
            "Bộ quy tắc đã áp dụng thì không sửa, không xóa được. Hãy lập phiên bản mới.",
            "A rule set that holds or held does not change. Make a new version.",
        )
    return row


async def reopened(session: AsyncSession, row: models.RuleSet) -> None:
    """A checked set is a draft again before anything of it changes, which the database insists on."""
    if row.state == "checked":
        row.state, row.checked_at, row.checked_by = "draft", None, None
        await session.flush()


async def findings_of(
    session: AsyncSession, row: models.RuleSet, draft: RuleSetDraft, at: datetime, text: str
) -> tuple[Finding, ...]:
    """What the checker finds, with lines of `text`, and for a draft what stands against putting it in force."""
    lines = lines_of(text)
    directory, fields = await read_directory(session), await read_fields(session)
    # In a thread: hundreds of rules take seconds, in which others are served.
    calendar = (await read_calendars(session)).get(PROVINCE)
    problems = await asyncio.to_thread(check_rules, draft, directory, fields, calendar)
    told = [as_finding(problem, line=line_of(problem.where, lines)) for problem in problems]
    if row.state in DRAFTS:
        told += [
            as_finding(problem, line=line_of(problem.where, lines)) for problem in await _dates(session, row, draft, at)
        ]
    return tuple(sorted(told, key=lambda finding: finding.severity != "error"))


async def _dates(session: AsyncSession, row: models.RuleSet, draft: RuleSetDraft, at: datetime) -> list[Problem]:
    """What is wrong with how a draft fits between the sets in force."""
    zone = await zone_of_province(session)
    today = at.astimezone(zone).date()
    later = [each for each in await in_force_from(session, min(draft.valid_from, today)) if each.id != row.id]
    found = []
    if draft.valid_from < today and any(each.valid_from <= at for each in later):
        vi = f"Ngày có hiệu lực {draft.valid_from} đã qua; bộ quy tắc mới chỉ áp dụng từ hôm nay trở đi."
        en = f"The first day {draft.valid_from} is over; a new rule set holds from today on at the earliest."
        found.append(Problem("past_validity", "ruleset.valid_from", vi, en))
    for each in later:
        ends_later = row.valid_to is None or row.valid_to > each.valid_from
        if each.valid_from >= row.valid_from and ends_later:
            day = each.valid_from.astimezone(zone).date()
            vi = f"Bộ quy tắc {each.code} phiên bản {each.version} có hiệu lực từ {day}, trong thời gian của bộ này."
            en = f"The rule set {each.code} version {each.version} holds from {day}, within the time of this one."
            found.append(Problem("overlapping_validity", "ruleset.valid_to", vi, en))
            break
    if draft.valid_to is not None:
        end = local_midnight(draft.valid_to, zone)
        if not any(each.valid_from <= end for each in later if each.valid_from > row.valid_from):
            vi = f"Từ {draft.valid_to} chưa có bộ quy tắc nào: khi đó không mở được phản ánh mới."
            en = f"There is no rule set from {draft.valid_to} on: no case can be opened then."
            found.append(Problem("validity_gap", "ruleset.valid_to", vi, en, "warning"))
    return found


def head_of(row: models.RuleSet, at: datetime) -> RuleSetHead:
    """The set as a line of the list."""
    return RuleSetHead(
        id=row.id,
        code=row.code,
        version=row.version,
        state=row.state,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        note=row.note,
        source=row.source_document,
        created_at=row.created_at,
        in_force=row.state == "active" and row.valid_from <= at and (row.valid_to is None or at < row.valid_to),
        checked_at=row.checked_at,
        retired_at=row.retired_at,
    )


def _asked(when: Condition) -> tuple[Asked, ...]:
    asked = [Asked(key, tuple(value)) for key in CONDITION_LISTS if (value := getattr(when, key)) is not None]
    if when.competence_clear is not None:
        asked.append(Asked("competence_clear", ("true" if when.competence_clear else "false",)))
    return tuple(asked)


def _unit(written: str, directory: Directory) -> str:
    """The name of a department or kind as a rule writes it."""
    known = directory.departments.get(written)
    if known is not None:
        return known.name
    return seed_kind_names().get(written.removeprefix("kind:"), written)


def _settings(draft: RuleSetDraft) -> tuple[Setting, ...]:
    document = to_dict(draft)
    for part in ("ruleset", "provisions", "leads", "limits"):
        del document[part]
    return tuple(Setting(name, values) for name, values in _flat(document, ""))


def _flat(value: Any, path: str) -> list[tuple[str, tuple[str, ...]]]:
    """Nested mappings as dotted names; lists as lines, their mappings written `key: value, …`."""
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _flat(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list):
        return [(path, tuple(_line(item) for item in value))]
    return [(path, (_line(value),))]


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_line(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " · ".join(_line(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)

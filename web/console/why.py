"""Why a case went where it went and why by then, for people: rules that matched and did not, deadlines hour by hour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases import looks
from cases.explain import Change, changes, counted_otherwise, traced
from cases.facts import facts_of
from cases.limits import Op
from cases.models import Case, Limit
from cases.queries import case_by_code, case_file
from routing.decide import STAGES, Condition, Facts, LeadRule, LimitRule, Rulebook, decide
from routing.queries import Routing
from web.console.hours import in_vietnamese
from web.console.showing import amount_words
from web.deps import Db, Now, Rules
from web.names import name_of
from web.pages import FromHere, Looking
from web.rendering import Viewer, is_partial, render, viewer_of
from web.shapes import named_area, named_department, named_field

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
STATED = ("competence_clear", "asset_owner", "road_class", "flags")  # facts that people state


@dataclass(frozen=True, slots=True)
class Passed:
    """Rules that were asked before and did not match, and the facts they did not fit."""

    codes: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Matched:
    """What was decided, by which rule, and what was passed over before it."""

    about: str
    rule: str
    note: str
    says: str
    passed: tuple[Passed, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One clock of the case: how its due time came about, or would by the calendar as it was `changed` since."""

    limit: Limit
    holder: str
    amount: str
    lines: tuple[str, ...]
    changed: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """What one act did to a clock: moments are shown where there are any."""

    stage: str
    holder: str
    did: str
    was: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """One act that decided anew or changed clocks."""

    at: datetime
    kind: str
    about: str
    rules: tuple[str, ...]
    rules_before: tuple[str, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class WhyPage:
    """The decision and every clock of a case, told."""

    code: str
    rule_set: str
    source: str
    facts: tuple[tuple[str, str], ...]
    lead: Matched
    limits: tuple[Matched, ...]
    clocks: tuple[Told, ...]
    later: tuple[Later, ...]


@router.get("/console/cases/{code}/explain")
async def why(request: Request, session: Db, who: Looking, routing: Rules, at: Now, code: str) -> Response:
    """The page, or its inside for the dialog of a case's page."""
    case = await case_by_code(session, who, code)
    await looks.note(session, who, case, "explain", at)
    limits = (await case_file(session, case, at)).limits
    page = why_page(case, limits, await changes(session, case), routing, viewer_of(request, who))
    return render(request, "console/why_inside.html" if is_partial(request) else "console/why.html", page, who=who)


def why_page(case: Case, limits: list[Limit], changed: Sequence[Change], routing: Routing, view: Viewer) -> WhyPage:
    """Told for the case as it is classified now, by the rule set it was opened under; clocks that run first."""
    book, facts = routing.rulebook(case.rule_set_id), facts_of(case)
    teller = _Teller(book, facts, routing, view)
    ordered = sorted(limits, key=lambda each: (bool(each.met_at or each.cancelled_at), each.opened_at))
    return WhyPage(
        case.code,
        f"{book.code} v{book.version}",
        book.source or book.note,
        tuple(teller.facts()),
        teller.lead(),
        tuple(teller.limits()),
        tuple(teller.clock(each) for each in ordered),
        tuple(teller.later(each) for each in changed),
    )


@dataclass(frozen=True, slots=True)
class _Teller:
    book: Rulebook
    asked: Facts
    routing: Routing
    view: Viewer

    def facts(self) -> Iterator[tuple[str, str]]:
        for name in ("field", "area", "urgency", "kind", "track", "channel", "mode", *STATED):
            if name in STATED and getattr(self.asked, name) in (None, frozenset()):
                continue
            yield name_of("fact", name, self.view.lang), self.fact(name)

    def fact(self, name: str) -> str:
        value = getattr(self.asked, name)
        if value is None:
            return self.view.say("chưa rõ")
        if isinstance(value, bool):
            return self.view.say("có") if value else self.view.say("không")
        if name == "field":
            return (named_field(value, self.routing) or {"name": value})["name"]
        if name == "area":
            return (named_area(value, self.routing) or {"name": value})["name"]
        if isinstance(value, frozenset):
            named = [name_of("flag", flag, self.view.lang) for flag in sorted(value)]
            return ", ".join(named) or self.view.say("không")
        return name_of(name, value, self.view.lang)

    def lead(self) -> Matched:
        decision, lineage = decide(self.asked, self.book), self.book.lineage(self.asked)
        on = self.book.day_of(self.asked.received_at)
        tried: list[tuple[str, tuple[str, ...]]] = []
        says = self.unit(decision.lead)
        if decision.supporting:
            helpers = ", ".join(self.unit(code) for code in decision.supporting)
            says += self.view.say("; phối hợp: %(units)s", units=helpers)
        for rule in self.book.leads:
            misses = rule.when.misses(self.asked, lineage)
            if misses:
                tried.append((rule.code, misses))
            elif self.book.directory.resolve(rule.lead, self.asked.area, self.asked.field, on) is None:
                tried.append((rule.code, ("nobody",)))
            else:
                return self.matched(self.view.say("Đơn vị chủ trì"), rule, says, tried)
        return Matched(self.view.say("Đơn vị chủ trì"), "", "", says, tuple(self.passed(tried)))

    def limits(self) -> Iterator[Matched]:
        decision, lineage = decide(self.asked, self.book), self.book.lineage(self.asked)
        for stage in STAGES:
            limit = decision.limit(stage)
            if limit is None:
                continue
            tried: list[tuple[str, tuple[str, ...]]] = []
            for rule in (rule for rule in self.book.limits if rule.stage == stage):
                misses = rule.when.misses(self.asked, lineage)
                if not misses:
                    amount = limit.amount
                    says = amount_words(amount.value, amount.unit, amount.clock, self.view.lang)
                    yield self.matched(name_of("stage", stage, self.view.lang), rule, says, tried)
                    break
                tried.append((rule.code, misses))

    def matched(
        self, about: str, rule: LeadRule | LimitRule, says: str, tried: list[tuple[str, tuple[str, ...]]]
    ) -> Matched:
        note = " ".join(part for part in (rule.note, getattr(rule, "source", "")) if part)
        return Matched(about, rule.code, note or self.conditions(rule.when), says, tuple(self.passed(tried)))

    def conditions(self, when: Condition) -> str:
        """What the rule asks, by the names of the facts."""
        asked = {
            "field": when.fields,
            "urgency": when.urgencies,
            "kind": when.kinds,
            "track": when.tracks,
            "area": when.areas,
            "channel": when.channels,
            "mode": when.modes,
            "asset_owner": when.asset_owners,
            "road_class": when.road_classes,
            "flags": when.flags,
            "competence_clear": when.competence_clear,
        }
        names = [name_of("fact", name, self.view.lang) for name, values in asked.items() if values is not None]
        if not names:
            return self.view.say("áp dụng cho mọi vụ việc")
        return self.view.say("xét theo %(facts)s", facts=", ".join(names))

    def passed(self, tried: list[tuple[str, tuple[str, ...]]]) -> Iterator[Passed]:
        """Rules that failed on the same facts together."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for code, misses in tried:
            groups.setdefault(misses, []).append(code)
        for misses, codes in groups.items():
            yield Passed(tuple(codes), "; ".join(self.miss(name) for name in misses))

    def miss(self, name: str) -> str:
        if name == "nobody":
            return self.view.say("không có đơn vị nào đang hoạt động để nhận")
        return self.view.say("%(fact)s là %(value)s", fact=name_of("fact", name, self.view.lang), value=self.fact(name))

    def unit(self, code: str) -> str:
        return (named_department(code, self.routing) or {"name": code})["name"]

    def clock(self, limit: Limit) -> Told:
        told = traced(limit, self.routing, self.book)
        lines = told.lines if self.view.lang == "en" else tuple(in_vietnamese(line) for line in told.lines)
        words = amount_words(limit.amount, limit.unit, limit.clock, self.view.lang)
        return Told(limit, self.unit(limit.holder), words, lines, counted_otherwise(limit, told))

    def later(self, change: Change) -> Later:
        """An act, by what it changed: the rules only where others hold from then on."""
        before = change.rules_before or ()
        anew = change.rules is not None and change.rules_before is not None and change.rules != before
        return Later(
            change.at,
            change.kind,
            self.about(change),
            (change.rules or ()) if anew else (),
            before if anew else (),
            tuple(self.turn(op) for op in change.clocks),
        )

    def about(self, change: Change) -> str:
        """To whom it went, or what was said anew."""
        said, parts = change.said, []
        if units := [each for each in (said.get("lead"), *said.get("supporting", ()), said.get("department")) if each]:
            parts.append(", ".join(self.unit(code) for code in dict.fromkeys(units)))
        if said.get("suggested"):
            parts.append(self.view.say("gợi ý %(unit)s", unit=self.unit(said["suggested"])))
        if said.get("changed"):
            parts.append(", ".join(name_of("fact", name, self.view.lang) for name in said["changed"]))
        return "; ".join(parts)

    def turn(self, op: Op) -> Turn:
        """What became of a clock."""
        vi, en = _TURNS.get(op["op"], (op["op"], op["op"]))
        was, due = (datetime.fromisoformat(op[name]) if op.get(name) else None for name in ("was", "due_at"))
        return Turn(op["stage"], self.unit(op["holder"]), en if self.view.lang == "en" else vi, was, due)


_TURNS = {  # ops of the journal: what happened to a clock
    "opened": ("bắt đầu", "begins"),
    "met": ("xong", "done"),
    "cancelled": ("thôi tính", "owed no more"),
    "reopened": ("tính tiếp", "owed again"),
    "moved": ("gia hạn", "extended"),
    "amended": ("tính lại theo quyết định mới", "counted anew"),
    "stopped": ("tạm dừng", "stopped"),
    "resumed": ("chạy tiếp", "runs on"),
    "breached": ("quá hạn", "late"),
    "recounted": ("tính lại theo lịch đã sửa", "recounted by a corrected calendar"),
}

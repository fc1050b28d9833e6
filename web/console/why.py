"""Why a case went where it went and why by then, for people: rules that matched and did not, deadlines hour by hour."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases import looks
from cases.facts import facts_of
from cases.limits import amount_of, stops_of
from cases.models import Case, Limit
from cases.queries import case_by_code, case_file
from routing import telling
from routing.decide import STAGES, Condition, Facts, LeadRule, LimitRule, Rulebook, decide
from routing.queries import Routing
from web.console.showing import amount_words
from web.deps import Db, Now, Rules
from web.names import Lang, name_of
from web.pages import FromHere, Looking
from web.rendering import Viewer, is_partial, render, viewer_of
from web.shapes import named_area, named_department, named_field
from web.times import weekday

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
    """One clock of the case: how its due time came about."""

    limit: Limit
    holder: str
    amount: str
    lines: tuple[str, ...]


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


@router.get("/console/cases/{code}/explain")
async def why(request: Request, session: Db, who: Looking, routing: Rules, at: Now, code: str) -> Response:
    """The page, or its inside for the dialog of a case's page."""
    case = await case_by_code(session, who, code)
    await looks.note(session, who, case, "explain", at)
    limits = (await case_file(session, case)).limits
    page = why_page(case, limits, routing, viewer_of(request, who))
    return render(request, "console/why_inside.html" if is_partial(request) else "console/why.html", page, who=who)


def why_page(case: Case, limits: list[Limit], routing: Routing, view: Viewer) -> WhyPage:
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
    )


@dataclass(frozen=True, slots=True)
class _Teller:
    book: Rulebook
    asked: Facts
    routing: Routing
    view: Viewer

    def facts(self) -> Iterator[tuple[str, str]]:
        for name in ("field", "area", "urgency", "kind", "track", "channel", "mode", *STATED):
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
            elif self.book.directory.resolve(rule.lead, self.asked.area, on) is None:
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
        """Neighbours that failed on the same facts together."""
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
        calendar = self.routing.calendars.get(limit.calendar, self.book.calendar)
        traced = telling.explain(
            limit.opened_at, amount_of(limit), calendar, day_end=self.book.day_end, stops=stops_of(limit)
        )
        lines = traced.lines if self.view.lang == "en" else tuple(in_vietnamese(line) for line in traced.lines)
        words = amount_words(limit.amount, limit.unit, limit.clock, self.view.lang)
        return Told(limit, self.unit(limit.holder), words, lines)


# The sentences of routing.telling, said in Vietnamese. A sentence that is not here stays as it is.
_DAY = r"[A-Z][a-z]{2,8} \d{4}-\d\d-\d\d"
_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), told)
    for pattern, told in (
        (r"Start (?P<a>.+) \((?P<zone>[^)]+)\), limit (?P<limit>.+)\.", "Bắt đầu {a}, thời hạn {limit}."),
        (r"Due (?P<a>.+)\.", "Hết hạn {a}."),
        (r"The calendar clock runs day and night: (?P<d>.+)\.", "Tính liên tục ngày đêm: {d}."),
        (
            r"Stopped from (?P<a>.+) to (?P<b>.+): (?P<d>.+) not counted\.",
            "Dừng từ {a} đến {b}: không tính {d}.",
        ),
        (r"(?P<a>.+): the day of the start is not counted\.", "{a}: không tính ngày bắt đầu."),
        (
            r"(?P<a>.+): the clock is stopped for some of the day, not counted\.",
            "{a}: có lúc dừng trong ngày, không tính.",
        ),
        (
            r"(?P<a>.+): working day (?P<n>\d+) of (?P<of>\d+)(?P<why> \(.+\))?, closes at (?P<t>\d\d:\d\d)\.",
            "{a}: ngày làm việc thứ {n}/{of}{why}, hết giờ lúc {t}.",
        ),
        (
            r"(?P<a>.+): working day (?P<n>\d+) of (?P<of>\d+)(?P<why> \(.+\))?, ends at midnight\.",
            "{a}: ngày làm việc thứ {n}/{of}{why}, hết ngày.",
        ),
        (
            r"(?P<a>.+): working day (?P<n>\d+) of (?P<of>\d+)(?P<why> \(.+\))?\.",
            "{a}: ngày làm việc thứ {n}/{of}{why}.",
        ),
        (r"(?P<a>.+): closed after (?P<t>\d\d:\d\d)\.", "{a}: đã hết giờ làm việc lúc {t}."),
        (r"(?P<a>.+): closed, (?P<why>.+)\.", "{a}: nghỉ, {why}."),
        (r"(?P<a>.+): closed\.", "{a}: nghỉ."),
        (
            r"(?P<a>.+): the clock is stopped, (?P<d>.+) not counted\.",
            "{a}: đang dừng, không tính {d}.",
        ),
        (
            r"(?P<a>.+): (?P<d>[^:]+), (?P<used>[^:]+) of (?P<of>[^:]+) used\.",
            "{a}: {d}, cộng {used} trên {of}.",
        ),
    )
)
_WORDS = (
    (re.compile(r"\bworking hours?\b"), "giờ làm việc"),
    (re.compile(r"\bworking days?\b"), "ngày làm việc"),
    (re.compile(r"\bworking minutes?\b"), "phút làm việc"),
    (re.compile(r"\bhours?\b|\bh\b"), "giờ"),
    (re.compile(r"\bminutes?\b|\bmin\b"), "phút"),
    (re.compile(r"\bdays?\b"), "ngày"),
    (re.compile(r"(?<=\d) s\b"), " giây"),
)


def in_vietnamese(line: str, lang: Lang = "vi") -> str:
    """A line of `routing.telling` in Vietnamese."""
    for pattern, told in _SENTENCES:
        if found := pattern.fullmatch(line):
            parts = {name: _plain(value or "", lang) for name, value in found.groupdict().items()}
            return told.format(**parts)
    return line


def _plain(text: str, lang: Lang) -> str:
    text = re.sub(_DAY, lambda found: _weekday(found[0], lang), text)
    for pattern, told in _WORDS:
        text = pattern.sub(told, text)
    return text


def _weekday(text: str, lang: Lang) -> str:
    return weekday(date.fromisoformat(text[-10:]), _ANY_ZONE, lang)


_ANY_ZONE = ZoneInfo("UTC")  # a day has none

"""A draft of the rules tried on past cases, as a page: who would have led, which due times would have moved.

The newest cases of the period are replayed, as many as a person waits for; the page says so where older ones are left
out, and the command `rules simulate` takes all. One at a time in a process, in short transactions and a thread, so that
reports come in meanwhile.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases.simulating import Simulation, simulate, stored_book
from core.errors import Conflict, Invalid
from routing.decide import STAGES
from routing.editing import rule_sets
from routing.editing.rule_sets import DRAFTS, RuleSetHead
from routing.queries import Routing
from routing.simulating import StageChange, UnitChange
from web.deps import Here, Now, who_of
from web.names import name_of
from web.pages import FromHere
from web.rendering import Viewer, render, viewer_of
from web.shapes import named_department
from web.state import State

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
MOST = 20_000  # cases replayed for a page: some ten seconds
USUAL = 30  # days
DRAWN = 12  # departments in the picture; the table has all
_turn = asyncio.Lock()


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the table; `shift` is how far a moved due time moved on average, and whether it was `earlier`."""

    name: str
    change: StageChange
    shift: timedelta | None
    earlier: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """One department: a row of the table, and two bars in hundredths of the longest."""

    name: str
    change: UnitChange
    bar: float
    bar_after: float


@dataclass(frozen=True, slots=True)
class Move:
    """Cases that would go from one lead to another."""

    before: str
    after: str
    cases: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a simulation found, in the order of the page."""

    name: str
    whole: bool
    cases: int
    first: datetime | None
    last: datetime | None
    moved_leads: int
    moved_dues: int
    resolve: StageChange
    stages: Sequence[Stage]
    units: Sequence[Unit]
    moves: Sequence[Move]
    late: Sequence[str]
    kept: Sequence[str]
    seconds: float
    drawn: int = DRAWN


@dataclass(frozen=True, slots=True)
class SimulatePage:
    """The form as it was sent, and what was found."""

    sets: Sequence[RuleSetHead]
    chosen: str
    since: str
    until: str
    today: date
    found: Found | None = None
    alert: str = ""
    most: int = MOST


@router.get("/admin/simulate")
async def page(request: Request, here: Here, at: Now) -> Response:
    """The form; with a rule set and two days, what that set would have done."""
    given = {name: value.strip()[:80] for name, value in request.query_params.items()}
    today = at.astimezone(here.settings.zone).date()
    async with here.database.transaction(frozen=True) as session:
        who = await who_of(request, here, session, at)
        who.require("rules.simulate")
        sets = await rule_sets.listed(session, at)
        routing = await here.routing.get(session)
    sets = sorted(sets, key=lambda each: each.state not in DRAFTS)  # drafts first, otherwise as they come
    view = viewer_of(request, who)
    shown = SimulatePage(
        sets,
        given.get("set", ""),
        given.get("since") or (today - timedelta(days=USUAL - 1)).isoformat(),
        given.get("until") or today.isoformat(),
        today,
    )
    if not shown.chosen:
        return render(request, "admin/simulate.html", shown, who=who)
    try:
        told, status = replace(shown, found=await _try(here, shown, routing, at, view)), 200
    except (Invalid, Conflict) as problem:
        told, status = replace(shown, alert=problem.en if view.lang == "en" else problem.vi), problem.status
    return render(request, "admin/simulate.html", told, who=who, status=status)


async def _try(here: State, asked: SimulatePage, routing: Routing, at: datetime, view: Viewer) -> Found:
    try:
        rule_set, first, last = UUID(asked.chosen), date.fromisoformat(asked.since), date.fromisoformat(asked.until)
    except ValueError:
        raise Invalid.at(
            "since", "Mời chọn bộ quy tắc, ngày đầu và ngày cuối.", "Choose a rule set, the first and the last day."
        ) from None
    if _turn.locked():
        raise Conflict(
            "Đang có một lần chạy thử khác. Chờ chừng nửa phút rồi bấm lại.",
            "Another simulation is running. Wait half a minute and try again.",
        )
    async with _turn:
        async with here.database.transaction(frozen=True) as session:
            draft = await stored_book(session, rule_set, routing)
        began = time.monotonic()
        done = await simulate(here.database, routing, draft, first, last, at, zone=here.settings.zone, most=MOST)
        return _found(done, routing, view, time.monotonic() - began)


def _found(done: Simulation, routing: Routing, view: Viewer, seconds: float) -> Found:
    def unit(code: str) -> str:
        return (named_department(code, routing) or {"name": code})["name"]

    result = done.result
    longest = max((max(each.led, each.led_after) for each in result.units.values()), default=0) or 1
    return Found(
        name=f"{done.draft.code} v{done.draft.version}",
        whole=done.whole,
        cases=result.cases,
        first=result.first,
        last=result.last,
        moved_leads=result.moved.total(),
        moved_dues=sum(each.earlier + each.later for each in result.stages.values()),
        resolve=result.stages.get("resolve", StageChange()),
        stages=[
            _stage(name_of("stage", name, view.lang), result.stages[name]) for name in STAGES if name in result.stages
        ],
        units=[
            Unit(unit(code), each, round(100 * each.led / longest, 1), round(100 * each.led_after / longest, 1))
            for code, each in result.by_load()
        ],
        moves=[Move(unit(before), unit(after), cases) for (before, after), cases in result.moved.most_common()],
        late=result.late_codes,
        kept=result.kept_codes,
        seconds=seconds,
    )


def _stage(name: str, change: StageChange) -> Stage:
    mean = change.mean_shift
    return Stage(name, change, None if mean is None else abs(mean), mean is not None and mean < timedelta())

"""The board's page of late minutes: who held which clock while it was late, and the cases behind each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from cases.charging import DELIVERY
from cases.lateness import LONGEST, LateCase, Row, behind, report
from core.errors import Invalid
from routing.queries import Routing
from web.deps import Db, Here, Now, Rules
from web.names import name_of
from web.pages import FromHere, Looking
from web.rendering import Viewer, render, viewer_of
from web.shapes import named_department

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
USUAL = 14  # days
MOST_CASES = 200


@dataclass(frozen=True, slots=True)
class Holder:
    """One holder in one stage; `share` is of the longest bar, in hundredths."""

    name: str
    stage: str
    minutes: int
    limits: int
    cases: int
    share: float
    href: str


@dataclass(frozen=True, slots=True)
class LatenessPage:
    """The period, its rows, and the cases of the row that was opened."""

    from_: str
    to: str
    today: date
    rows: Sequence[Holder]
    minutes: int
    opened: Holder | None
    cases: Sequence[LateCase]
    wrong: str
    longest: int = LONGEST
    most: int = MOST_CASES


@router.get("/ioc/lateness")
async def lateness(request: Request, here: Here, session: Db, who: Looking, routing: Rules, at: Now) -> Response:
    """Late minutes of a period; with `holder` and `stage` also the cases they come from."""
    who.require("feed.read")
    view, zone = viewer_of(request, who), here.settings.zone
    today = at.astimezone(zone).date()
    given = {name: value.strip()[:80] for name, value in request.query_params.items()}
    first, last, wrong = today - timedelta(days=USUAL - 1), today, ""
    try:
        first, last = _period(given, first, last)
        rows = await report(session, first, last, routing, at, zone)
    except Invalid as problem:
        wrong, rows = (problem.en if view.lang == "en" else problem.vi), []
    shown = _shown(rows, first, last, routing, view)
    asked = (given.get("holder", ""), given.get("stage", ""))
    opened = next((each for row, each in zip(rows, shown, strict=True) if (row.holder, row.stage) == asked), None)
    cases: Sequence[LateCase] = ()
    if opened is not None:
        holder, stage = asked
        cases = await behind(session, first, last, routing, at, zone, holder=holder, stage=stage, most=MOST_CASES)
    page = LatenessPage(
        given.get("from") or first.isoformat(),
        given.get("to") or last.isoformat(),
        today,
        shown,
        sum(row.minutes for row in rows),
        opened,
        cases,
        wrong,
    )
    return render(request, "board/lateness.html", page, who=who, status=422 if wrong else 200)


def _period(given: dict[str, str], first: date, last: date) -> tuple[date, date]:
    try:
        last = date.fromisoformat(given["to"]) if given.get("to") else last
        first = date.fromisoformat(given["from"]) if given.get("from") else min(first, last)
    except ValueError:
        raise Invalid.at("from", "Mời chọn ngày đầu và ngày cuối.", "Choose the first and the last day.") from None
    if not date(2000, 1, 1) <= last <= date(2199, 12, 31):
        raise Invalid.at("to", "Không có số liệu cho ngày này.", "There are no figures for this day.")
    return first, last


def _shown(rows: Sequence[Row], first: date, last: date, routing: Routing, view: Viewer) -> list[Holder]:
    most = max((row.minutes for row in rows), default=0) or 1
    days = {"from": first.isoformat(), "to": last.isoformat()}
    return [
        Holder(
            (named_department(row.holder, routing) or {"name": row.holder})["name"],
            stage_name(row.stage, view),
            row.minutes,
            row.limits,
            row.cases,
            round(100 * row.minutes / most, 1),
            f"/ioc/lateness?{urlencode({**days, 'holder': row.holder, 'stage': row.stage})}#cases",
        )
        for row in rows
    ]


def stage_name(stage: str, view: Viewer) -> str:
    """A stage as people know it; what is late while an approved answer is on its way has no limit of its own."""
    if stage == DELIVERY:
        return view.say("Gửi câu trả lời đã duyệt")
    return name_of("stage", stage, view.lang)

"""The queue: the saved views a role works from, a search, or any narrowing of all cases; and its single rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cases.lists import COUNTED, Page, list_cases, view_counts
from cases.models import Case
from cases.states import OPEN, Status
from cases.views import NONE, Order, View, views_for
from core.errors import NotFound
from core.staff import CENTRE_ROLES, Actor
from ioc.behind import Counted, cases_behind, counted
from ioc.definitions import Definition, definition_of
from routing.queries import Routing
from web.deps import Db, Here, Now, Rules
from web.filtering import Narrowing, as_query, read_narrowing
from web.names import NAMES
from web.pages import FromHere, Looking
from web.rendering import is_partial, language_of, render, say
from web.shapes import named_area, named_department, named_field

router = APIRouter(include_in_schema=False, dependencies=[FromHere])
ROWS = 50
ViewCode = Annotated[str | None, Query(alias="view", max_length=40, pattern=r"^[a-z0-9_]*$")]


@dataclass(frozen=True, slots=True)
class Tab:
    """A saved view in the side list; no count where none was asked for."""

    code: str
    name: str
    count: int | None
    here: bool

    @property
    def shown(self) -> str:
        """The count, as far as it is counted."""
        return f"{COUNTED - 1}+" if self.count == COUNTED else str(self.count)


@dataclass(frozen=True, slots=True)
class Row:
    """One case in the list."""

    case: Case
    field: str | None
    area: str | None
    lead: str | None
    holder: str | None
    officer: str | None
    address: str  # where the row fetches itself anew


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filter form offers: (code, name) pairs."""

    status: Sequence[str]
    urgency: Sequence[str]
    channel: Sequence[str]
    fields: Sequence[tuple[str, Sequence[tuple[str, str]]]]  # grouped
    departments: Sequence[tuple[str, str]]
    areas: Sequence[tuple[str, str]]
    former: Sequence[tuple[str, str]]  # areas that have ended


@dataclass(frozen=True, slots=True)
class FigureTold:
    """The figure that a list is the cases of: what it means and how it adds up."""

    definition: Definition
    counted: Counted


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A list of cases with everything around it."""

    title: str
    tabs: Sequence[Tab]
    rows: Sequence[Row]
    narrowing: Narrowing
    choices: Choices
    query: str  # of this list, without its place
    next: str | None
    position: int | None
    is_view: bool
    narrowed: Mapping[str, str]  # what it is narrowed by, in words
    figure: FigureTold | None = None


@router.get("/console")
async def queue(
    request: Request, here: Here, session: Db, who: Looking, routing: Rules, at: Now, view: ViewCode = None
) -> Response:
    """A saved view, or what the address narrows to; without either the first view of the day."""
    position = here.live.position
    given = read_narrowing(request.query_params.multi_items())
    views, lang = views_for(who), language_of(request)
    chosen = _view(views, view, given)
    filters, order = (chosen.filters, chosen.order) if chosen else (given.filters(), _order(request, given))
    behind = None if chosen else given.behind(who, routing, at)
    also = [cases_behind(behind)] if behind else []
    page = await list_cases(session, who, filters, routing, at, cursor=given.cursor, limit=ROWS, order=order, also=also)
    counts = {} if given.q else await view_counts(session, who, views, routing, at)
    query = urlencode({"view": chosen.code} if chosen else as_query(given), doseq=True)
    title = _name(chosen, lang) if chosen else say(lang, "Kết quả tìm" if given.q else "Danh sách phản ánh")
    shown = QueuePage(
        title=title,
        tabs=_tabs(who, views, chosen, counts, lang),
        rows=_rows(page, routing, query),
        narrowing=given,
        choices=_choices(routing, at),
        query=query,
        next=f"/console?{query}&cursor={page.next_cursor}" if page.next_cursor else None,
        position=position,
        is_view=chosen is not None,
        narrowed=_narrowed(given, routing, lang),
        figure=FigureTold(definition_of(behind.figure), await counted(session, behind)) if behind else None,
    )
    template = "console/rows.html" if is_partial(request) and given.cursor else "console/queue.html"
    return render(request, template, shown, who=who)


@router.get("/console/views")
async def tabs(request: Request, session: Db, who: Looking, routing: Rules, at: Now, view: ViewCode = None) -> Response:
    """The side list again, with its counts."""
    views = views_for(who)
    chosen = next((each for each in views if each.code == view), None)
    counts = await view_counts(session, who, views, routing, at)
    return render(request, "console/tabs.html", _tabs(who, views, chosen, counts, language_of(request)), who=who)


@router.get("/console/rows/{code}")
async def row(
    request: Request, session: Db, who: Looking, routing: Rules, at: Now, code: str, view: ViewCode = None
) -> Response:
    """One row of a list again; nothing when the case no longer belongs to it or is out of this person's sight."""
    given = read_narrowing(request.query_params.multi_items())
    chosen = _view(views_for(who), view, given)
    filters = chosen.filters if chosen else given.filters()
    behind = None if chosen else given.behind(who, routing, at)
    also = [cases_behind(behind)] if behind else []
    page = await list_cases(session, who, replace(filters, q=code), routing, at, cursor=None, limit=1, also=also)
    found = [each for each in page.items if each.code == code]
    query = urlencode({"view": chosen.code} if chosen else as_query(given), doseq=True)
    if not found:
        return Response("", headers={"Cache-Control": "no-store", "HX-Reswap": "delete"})
    return render(request, "console/row.html", _rows(replace(page, items=found), routing, query)[0], who=who)


def _view(views: Sequence[View], code: str | None, given: Narrowing) -> View | None:
    """The view of this code; the first one when the address says nothing; NotFound for one this person has not."""
    if code:
        found = next((each for each in views if each.code == code), None)
        if found is None:
            raise NotFound("Không có danh sách này.", "There is no such list.")
        return found
    return None if as_query(given) or not views else views[0]


def _order(request: Request, given: Narrowing) -> Order:
    """What is at work comes soonest due first, unless the address says otherwise."""
    if "order" in request.query_params:
        return given.order
    work = given.open or bool(given.status and set(given.status) <= OPEN) or given.late or given.due_before is not None
    return "due" if work and not given.q else "received"


def _name(view: View, lang: str) -> str:
    return view.name_en if lang == "en" else view.name


def _tabs(who: Actor, views: Sequence[View], chosen: View | None, counts: Mapping[str, int], lang: str) -> list[Tab]:
    centre = bool(who.roles & CENTRE_ROLES)
    shown = [each for each in views if centre or each == chosen or not each.quiet or counts.get(each.code)]
    return [Tab(each.code, _name(each, lang), counts.get(each.code), each == chosen) for each in shown]


def _rows(page: Page, routing: Routing, query: str) -> list[Row]:
    def name(found: dict[str, str] | None) -> str | None:
        return found["name"] if found else None

    centre = routing.directory.centre  # who works there need not be told on every line
    return [
        Row(
            case=case,
            field=name(named_field(case.field, routing)),
            area=name(named_area(case.area, routing)),
            lead=name(named_department(case.lead, routing)),
            holder=None if case.next_holder == centre else name(named_department(case.next_holder, routing)),
            officer=_officer(page, case),
            address=f"/console/rows/{case.code}?{query}",
        )
        for case in page.items
    ]


def _officer(page: Page, case: Case) -> str | None:
    found = page.officers.get(case.officer_id) if case.officer_id else None
    return found.name if found else None


def _choices(routing: Routing, at: datetime) -> Choices:
    day = at.astimezone(routing.calendars["province"].zone).date()
    rows = routing.field_rows.values()
    groups = sorted((each for each in rows if each.parent is None), key=lambda each: each.name)
    places = [place for place in map(routing.places.get, routing.directory.areas) if place and place.began(day)]
    former = [place for place in places if not place.valid(day)]
    return Choices(
        status=tuple(Status),
        urgency=tuple(NAMES["urgency"]),
        channel=tuple(NAMES["channel"]),
        fields=[
            (group.name, [(each.code, each.name) for each in rows if each.parent == group.code]) for group in groups
        ],
        departments=sorted(
            (
                (each.code, each.name)
                for each in routing.departments.values()
                if each.valid_to is None or each.valid_to > day
            ),
            key=lambda pair: pair[1],
        ),
        areas=sorted(((each.code, each.name) for each in places if each.valid(day)), key=lambda pair: pair[1]),
        former=sorted(((each.code, f"{each.type} {each.name}") for each in former), key=lambda pair: pair[1]),
    )


def _narrowed(given: Narrowing, routing: Routing, lang: str) -> dict[str, str]:
    """What the list is narrowed by, one word each, to be taken away again."""
    english = lang == "en"
    told: dict[str, str] = {}
    for name, value in as_query(given, order=None, limit=None).items():
        if name in ("q",):
            continue
        if name in ("status", "urgency", "channel", "track", "stage", "above", "promise"):
            codes = value if isinstance(value, list) else [value]
            told[name] = ", ".join(NAMES[name].get(code, (code, code))[english] for code in codes)
        elif value == NONE and name in UNKNOWN:
            told[name] = UNKNOWN[name][english]
        elif name in ("department", "lead", "holder", "figure_department"):
            told[name] = (named_department(str(value), routing) or {}).get("name", str(value))
        elif name in ("field", "figure_field"):
            told[name] = (named_field(str(value), routing) or {}).get("name", str(value))
        elif name in ("area", "figure_area"):
            told[name] = (named_area(str(value), routing) or {}).get("name", str(value))
        elif name == "figure_channel":
            told[name] = NAMES["channel"].get(str(value), (str(value), str(value)))[english]
        elif name == "figure":
            definition = definition_of(str(value))
            told[name] = definition.en if english else definition.vi
        elif name == "geography":
            told[name] = "Areas as they are today" if english else "Theo địa bàn hiện nay"
        else:
            label = FILTER_NAMES.get(name, (name, name))[english]
            told[name] = label if _yes(value) else f"{label}: {_plain(value, english)}"
    return told


def _yes(value: object) -> bool:
    return value is True


def _plain(value: object, english: bool) -> str:
    if value is False:
        return "no" if english else "không"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


UNKNOWN = {
    "field": ("Chưa phân loại", "Not classified"),
    "figure_field": ("Chưa phân loại", "Not classified"),
    "area": ("Chưa rõ địa bàn", "Area unknown"),
    "figure_area": ("Chưa rõ địa bàn", "Area unknown"),
}
FILTER_NAMES = {
    "figure_from": ("Từ ngày", "From"),
    "figure_to": ("Đến ngày", "To"),
    "late": ("Quá hạn", "Late"),
    "open": ("Đang xử lý", "Open"),
    "assigned": ("Người xử lý", "Assigned"),
    "due_before": ("Đến hạn trước", "Due before"),
    "needs_supervisor": ("Cần trưởng ca", "Needs the supervisor"),
    "restricted": ("Luồng hạn chế", "Restricted"),
    "track_suggested": ("Chờ xác nhận loại vụ việc", "Track to confirm"),
    "extension_asked": ("Xin gia hạn", "Extension asked for"),
    "extension_beyond": ("Xin gia hạn thêm", "More time beyond the rule"),
    "incident": ("Cùng sự cố", "Incident"),
    "support_owed": ("Chờ đơn vị phối hợp", "Waiting for those who help"),
    "given_back": ("Số lần trả lại từ", "Given back at least"),
    "published": ("Đã công khai", "Published"),
    "rating": ("Đánh giá", "Rating"),
    "received_from": ("Nhận từ ngày", "Received from"),
    "received_to": ("Nhận đến ngày", "Received to"),
    "replied_from": ("Trả lời từ ngày", "Answered from"),
    "replied_to": ("Trả lời đến ngày", "Answered to"),
    "closed_from": ("Đóng từ ngày", "Closed from"),
    "closed_to": ("Đóng đến ngày", "Closed to"),
    "ended_from": ("Kết thúc từ ngày", "Ended from"),
    "ended_to": ("Kết thúc đến ngày", "Ended to"),
}

"""What lists of cases are narrowed by, and the saved views each role works from through the day. Data only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from cases.states import OPEN, Status
from core.staff import CENTRE_ROLES, Actor, Role

NONE = "none"  # in addresses: where nothing is known
Geography = Literal["stored", "today"]  # areas as cases have them · as the units they are today
Order = Literal["due", "received"]  # soonest due first, what is not due last · newest first


@dataclass(frozen=True, slots=True)
class Ago:
    """A local day counted back from the day of asking; `Ago(0)` is that day itself."""

    days: int


Day = date | Ago


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of cases is narrowed by; None, False and empty mean all, unless said otherwise.

    Days are local and both belong to the range. "Late" is about the clock that runs out next: it is over.
    """

    status: Sequence[str] = ()
    open: bool = False  # at work: neither replied nor ended
    department: str | None = None  # leads or supports
    lead: str | None = None  # the centre leads what no department does
    field: str | None = None  # of the first level: its fields too; NONE: not classified
    area: str | None = None  # NONE: not known
    geography: Geography = "stored"
    channel: str | None = None
    urgency: str | None = None
    track: str | None = None
    track_suggested: bool | None = None  # the text seems to be of a track that nobody has confirmed
    restricted: bool | None = None
    late: bool | None = None
    due_before: datetime | timedelta | None = None  # a moment, or so long from now
    stage: str | None = None  # of the clock that runs out next
    holder: str | None = None  # who owes it
    needs_supervisor: bool | None = None
    given_back: int | None = None  # at least so many times
    extension_asked: bool | None = None
    extension_beyond: bool | None = None  # asked for, and not the unit's own to grant
    above: Literal["directive", "dispute"] | None = None  # such a clock runs: an order, a dispute
    above_ours: bool = False  # and a department of the person who asks owes it
    promise: Literal["none", "broken"] | None = None  # no date stands that a unit committed itself to; it was broken
    support_owed: bool | None = None  # a supporting unit has not contributed yet
    incident: bool | None = None  # one of several reports of the same thing
    approved: bool | None = None  # the answer
    published: bool | None = None
    rating: Sequence[int] = ()
    assigned: str | None = None  # me | none | an e-mail
    part: Literal["lead", "supporting"] | None = None  # of a department of the person who asks
    centre_decides: Literal["answer", "extension"] | None = None  # by its rule set: which answers, more time
    contribution_owed: bool = False  # by a department of the person who asks
    q: str | None = None
    received_from: Day | None = None
    received_to: Day | None = None
    replied_from: Day | None = None
    replied_to: Day | None = None
    closed_from: Day | None = None
    closed_to: Day | None = None
    ended_from: Day | None = None  # closed, refused, redirected, merged or spam
    ended_to: Day | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A saved list. `code` is stable and stands in addresses."""

    code: str
    name: str
    name_en: str
    filters: Filters
    order: Order = "due"
    quiet: bool = False  # shown to units only while it holds something


HOUR = timedelta(hours=1)
WITH_UNITS = (Status.FORWARDED, Status.IN_PROGRESS, Status.WAITING_CITIZEN)
_MONTH = Ago(29)

_OPEN = View("open", "Đang xử lý", "All open", Filters(open=True))
_LATE = View("late", "Quá hạn", "Late", Filters(open=True, late=True))
_RECEIVED = View("received", "Cần tiếp nhận", "To take in", Filters(status=(Status.RECEIVED,)))
_TO_FORWARD = View("to_forward", "Cần chuyển đơn vị", "To forward", Filters(status=(Status.RECEIVED,)))
_MINE = View("mine", "Của tôi", "Mine", Filters(open=True, assigned="me"))
_WAITING = View(
    "waiting_citizen", "Chờ người dân bổ sung", "Waiting for the citizen", Filters(status=(Status.WAITING_CITIZEN,))
)
_GIVEN_BACK = View(
    "given_back", "Đơn vị trả lại", "Given back", Filters(status=(Status.RECEIVED,), open=True, given_back=1)
)
_NEEDS_SUPERVISOR = View(
    "needs_supervisor", "Cần trưởng ca quyết", "Needs the supervisor", Filters(open=True, needs_supervisor=True)
)
_BADLY_RATED = View(
    "badly_rated",
    "Người dân chưa hài lòng (30 ngày)",
    "Rated 1 or 2 (30 days)",
    Filters(rating=(1, 2), received_from=_MONTH),
    "received",
)
_DONE_TODAY = View("done_today", "Kết thúc hôm nay", "Done today", Filters(ended_from=Ago(0)), "received")
_EXTENSIONS = View(
    "extensions",
    "Xin gia hạn",
    "Extensions asked for",
    Filters(status=(Status.IN_PROGRESS, Status.WAITING_CITIZEN), open=True, extension_asked=True, part="lead"),
)
_BEYOND = View(
    "extensions_beyond",
    "Xin gia hạn thêm, chờ lãnh đạo tỉnh",
    "More time beyond the rule, for the leadership",
    Filters(status=(Status.IN_PROGRESS, Status.WAITING_CITIZEN), open=True, extension_beyond=True),
)
_UNIT_LATE = View("unit_late", "Đơn vị quá hạn", "Late, ours", Filters(open=True, part="lead", late=True))
_UNIT_SOON = View(
    "unit_due_soon",
    "Sắp đến hạn (24 giờ)",
    "Due within 24 hours, ours",
    Filters(open=True, part="lead", late=False, due_before=24 * HOUR),
)
_TRACK_SUGGESTED = View(
    "track_suggested",
    "Chờ xác nhận loại vụ việc",
    "Track to confirm",
    Filters(status=(Status.RECEIVED, Status.FORWARDED), open=True, track_suggested=True),
    "received",
)
_DIRECTIVES = View("directives", "Có chỉ đạo, chờ trả lời", "Orders, unanswered", Filters(open=True, above="directive"))
_TO_ANSWER = View(
    "to_answer_directive",
    "Phải trả lời chỉ đạo",
    "Orders to answer",
    Filters(open=True, above="directive", above_ours=True),
)
_DISPUTES = View("disputes", "Tranh chấp chờ quyết định", "Disputes to decide", Filters(open=True, above="dispute"))
_SUPPORT_OWED = View(
    "support_owed",
    "Chờ đơn vị phối hợp",
    "Waiting for those who help",
    Filters(status=WITH_UNITS, open=True, part="lead", support_owed=True),
)
_BROKEN = View("promise_broken", "Thất hẹn", "Promise broken", Filters(open=True, promise="broken"))
_PROGRESS_OWED = View(
    "progress_owed",
    "Quá hạn, chưa hẹn lại",
    "Late, without a new date",
    Filters(status=WITH_UNITS, open=True, part="lead", late=True, promise="none"),
)
_OVERVIEW = (_OPEN, _LATE, _DONE_TODAY, _BADLY_RATED)

# Tracks that are nobody's secret and have limits of their own. Few units ever have such a case.
_TRACKS = (
    View(
        "admin_regulation",
        "Quy định hành chính",
        "Administrative regulation",
        Filters(open=True, track="admin_regulation"),
        quiet=True,
    ),
    View(
        "national_portal",
        "Cổng dịch vụ công",
        "National portal",
        Filters(open=True, track="national_portal"),
        quiet=True,
    ),
)


def _tips(**narrowed: Any) -> Filters:
    return Filters(restricted=True, track="crime_tip", **narrowed)


VIEWS: Mapping[Role, tuple[View, ...]] = {
    Role.AGENT: (
        _RECEIVED,
        _MINE,
        _WAITING,
        View(
            "replied",
            "Đã trả lời, chờ kết thúc",
            "Replied, to close",
            Filters(status=(Status.REPLIED,)),
            "received",
        ),
        View(
            "to_publish",
            "Cần công khai",
            "To publish",
            Filters(stage="publish", status=(Status.REPLIED, Status.CLOSED)),
        ),
        _TRACK_SUGGESTED,
        _OPEN,
    ),
    Role.DISPATCHER: (
        _TO_FORWARD,
        View(
            "due_soon",
            "Sắp đến hạn (4 giờ)",
            "Due within 4 hours",
            Filters(open=True, late=False, due_before=4 * HOUR),
        ),
        _GIVEN_BACK,
        _NEEDS_SUPERVISOR,
        View(
            "centre_to_approve",
            "Trung tâm duyệt trả lời",
            "Answers for the centre to approve",
            Filters(status=(Status.ANSWERED,), open=True, approved=False, centre_decides="answer"),
        ),
        View(
            "centre_extensions",
            "Trung tâm duyệt gia hạn",
            "Extensions for the centre to decide",
            Filters(
                status=(Status.IN_PROGRESS, Status.WAITING_CITIZEN),
                open=True,
                extension_asked=True,
                extension_beyond=False,
                centre_decides="extension",
            ),
        ),
        View(
            "units_late",
            "Đơn vị đang quá hạn",
            "With units and late",
            Filters(status=WITH_UNITS, open=True, late=True),
        ),
        View("incidents", "Cùng sự cố", "Of the same incident", Filters(open=True, incident=True)),
        *_TRACKS,
        _WAITING,
        _OPEN,
    ),
    Role.OFFICER: (
        View(
            "to_accept",
            "Cần tiếp nhận xử lý",
            "To accept",
            Filters(status=(Status.FORWARDED,), open=True, part="lead"),
        ),
        _TO_ANSWER,
        View(
            "mine_in_work",
            "Tôi đang xử lý",
            "In work, mine",
            Filters(status=WITH_UNITS, open=True, assigned="me"),
        ),
        View(
            "unit_in_work",
            "Đơn vị đang xử lý",
            "In work, ours",
            Filters(status=(Status.IN_PROGRESS, Status.WAITING_CITIZEN), open=True, part="lead"),
        ),
        View(
            "to_contribute",
            "Phối hợp",
            "To contribute",
            Filters(status=(*WITH_UNITS, Status.ANSWERED), open=True, part="supporting", contribution_owed=True),
        ),
        _SUPPORT_OWED,
        _UNIT_SOON,
        _UNIT_LATE,
        _PROGRESS_OWED,
        _BROKEN,
        *_TRACKS,
    ),
    Role.HEAD: (
        View(
            "to_approve",
            "Cần duyệt trả lời",
            "To approve",
            Filters(status=(Status.ANSWERED,), open=True, part="lead", approved=False),
        ),
        _TO_ANSWER,
        _EXTENSIONS,
        _UNIT_LATE,
        _PROGRESS_OWED,
        _BROKEN,
        _UNIT_SOON,
        View(
            "unassigned",
            "Chưa phân công",
            "Nobody assigned",
            Filters(status=WITH_UNITS, open=True, part="lead", assigned="none"),
        ),
        *_TRACKS,
        View("unit_open", "Tất cả của đơn vị", "All open, ours", Filters(open=True)),
    ),
    Role.SUPERVISOR: (
        _LATE,
        View(
            "due_in_2h",
            "Đến hạn trong 2 giờ",
            "Due within 2 hours",
            Filters(open=True, late=False, due_before=2 * HOUR),
        ),
        _NEEDS_SUPERVISOR,
        View(
            "given_back_often",
            "Trả lại từ 3 lần",
            "Given back three times",
            Filters(open=True, given_back=3),
        ),
        _DIRECTIVES,
        _DISPUTES,
        _BEYOND,
        _BROKEN,
        _TRACK_SUGGESTED,
        *_TRACKS,
        View(
            "to_forward_late",
            "Chuyển chậm",
            "Forwarding is late",
            Filters(status=(Status.RECEIVED,), open=True, late=True),
        ),
        _BADLY_RATED,
        _OPEN,
    ),
    Role.INSPECTOR: (
        View(
            "restricted_received",
            "Luồng hạn chế cần xem",
            "Restricted, to take in",
            Filters(status=(Status.RECEIVED,), restricted=True),
        ),
        View("restricted_open", "Luồng hạn chế đang xử lý", "Restricted, open", Filters(open=True, restricted=True)),
        View(
            "restricted_late",
            "Luồng hạn chế quá hạn",
            "Restricted, late",
            Filters(open=True, restricted=True, late=True),
        ),
        _MINE,
        View("restricted_all", "Luồng hạn chế, tất cả", "Restricted, all", Filters(restricted=True), "received"),
    ),
    Role.POLICE: (
        View("tips_received", "Tin báo tội phạm cần xem", "Crime tips, to take in", _tips(status=(Status.RECEIVED,))),
        View("tips_open", "Tin báo đang xử lý", "Crime tips, open", _tips(open=True)),
        View("tips_late", "Tin báo quá hạn", "Crime tips, late", _tips(open=True, late=True)),
        _MINE,
        View("tips_all", "Tin báo tội phạm, tất cả", "Crime tips, all", _tips(), "received"),
    ),
    Role.LEADER: (*_OVERVIEW, _DISPUTES, _BEYOND, _DIRECTIVES),
    Role.ADMIN: _OVERVIEW,
}


def views_for(actor: Actor) -> tuple[View, ...]:
    """The views of all roles this person holds, in the order of the day; one that two roles share comes once."""
    views = {view.code: view for role in Role if role in actor.roles for view in VIEWS[role]}
    if not actor.roles & (CENTRE_ROLES | {Role.INSPECTOR, Role.LEADER, Role.ADMIN}):
        return tuple(views.values())
    views.pop("unit_open", None)  # to somebody who sees every unit it says the same as "open"
    return tuple(views.values())


def is_open(filters: Filters) -> bool:
    """Whether the filters let through only what is at work."""
    return filters.open or bool(filters.status and set(filters.status) <= OPEN)

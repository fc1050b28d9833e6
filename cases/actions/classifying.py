"""What the matter is: its field and place, the facts the rules ask for, its legal track."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import select

from cases import facts
from cases.accused import somebody_left, with_parts
from cases.bodies import Classify, SetTrack
from cases.desk import Desk, action
from cases.facts import NOT_SAID
from cases.giving_back import SINCE
from cases.giving_back import STAGE as GIVE_BACK
from cases.limits import BESIDE
from cases.models import Case
from cases.states import Action, Status
from core.errors import Invalid
from core.journal import Journal
from core.staff import Role
from routing.tracks import RESTRICTED_TRACKS
from routing.working_time import due


@action(Action.CLASSIFY, Classify)
async def classify(desk: Desk, given: Classify) -> None:
    """Say what and where it is, and decide anew: running limits are counted again from their opening."""
    case = desk.case
    changed = [name for name in ("field", "area", "urgency", "kind") if getattr(given, name) is not None]
    if given.field is not None:
        check_field(desk, given.field)
        case.field = given.field
        meant = desk.book.defaults(given.field).track
        if meant in RESTRICTED_TRACKS and case.track == "ordinary" and case.status != Status.IN_PROGRESS:
            change_track(desk, meant)  # naming such a field is as good as naming the track: hidden until confirmed
        if given.urgency is None:
            case.urgency = desk.book.defaults(given.field).urgency
            changed.append("urgency")
    if given.area is not None:
        if desk.routing.area(given.area) is None:
            raise Invalid.at("area", f"Không có địa bàn mã {given.area}.", f"Unknown area {given.area}.", "unknown")
        case.area, case.area_candidates = given.area, []
    if given.urgency is not None:
        case.urgency = given.urgency
    if given.kind is not None:
        case.kind = given.kind
    changed += _state_facts(desk, given)
    await _decide_anew(desk)
    desk.data["changed"] = sorted(set(changed))


@action(Action.SET_TRACK, SetTrack)
async def set_track(desk: Desk, given: SetTrack) -> None:
    """Move the case to a legal track. An agent's word counts at once, so that a denouncer is hidden at once, and
    waits to be confirmed; a supervisor's or inspector's is the confirmation."""
    change_track(desk, given.track)
    desk.case.track_confirmed = bool(desk.actor.roles & {Role.SUPERVISOR, Role.INSPECTOR})
    desk.data["confirmed"] = desk.case.track_confirmed
    if given.accused is not None and desk.case.restricted:
        await _accuse(desk, given.accused)
    await _decide_anew(desk)


def check_field(desk: Desk, code: str) -> None:
    """Invalid unless a field of the second level."""
    if code not in desk.routing.fields:
        raise Invalid.at("field", f"Không có lĩnh vực mã {code}.", f"Unknown field {code}.", "unknown")


def change_track(desk: Desk, track: str) -> None:
    """Put the case on a track; a restricted one is promised and published nothing. Nothing is suggested any more."""
    case = desk.case
    desk.data |= {"track": track, "was": case.track}
    case.track, case.restricted, case.suggested_track = track, track in RESTRICTED_TRACKS, None
    if case.restricted:
        case.promised_at = None
        case.public = False
        desk.clocks.cancel(only=BESIDE)  # whoever owes an order's answer or a decision can no longer open the case
    else:
        case.accused_units = []


def _state_facts(desk: Desk, given: Classify) -> list[str]:
    """What people know of the matter; the names of the facts that were stated."""
    case, stated = desk.case, []
    for name, known in (("asset_owner", facts.asset_owners), ("road_class", facts.road_classes)):
        value: str | None = getattr(given, name)
        if value is not None:
            _check_known(name, value, (*known(desk.book), NOT_SAID))
            stated += _set(case, name, None if value == NOT_SAID else value)
    if given.competence is not None:
        stated += _set(case, "competence", None if given.competence == NOT_SAID else given.competence)
    if given.flags is not None:
        for flag in given.flags:
            _check_known("flags", flag, facts.flags(desk.book))
        stated += _set(case, "flags", sorted(set(given.flags)))
    return stated


def _check_known(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        named = ", ".join(known)
        raise Invalid.at(name, f"Không có giá trị {value}. Có: {named}.", f"Unknown; known are {named}.", "unknown")


def _set(case: Case, name: str, value: str | list[str] | None) -> list[str]:
    if getattr(case, name) == value:
        return []
    setattr(case, name, value)
    return [name]


async def _accuse(desk: Desk, codes: Sequence[str]) -> None:
    """Whom the matter is about, with those who took their work over and the parts of all of these: nobody who works
    there knows of it from now on.

    Invalid when no inspector would be left.
    """
    directory = desk.routing.directory
    for code in codes:
        if code not in directory.departments:
            raise Invalid.at("accused", f"Không có đơn vị mã {code}.", f"Unknown department {code}.", "unknown")
    today = desk.book.day_of(desk.at)
    heirs = {heir for code in codes for heir in directory.heirs(code, today)}
    units = sorted(with_parts({*codes, *heirs}, directory.departments.values()))
    if units and not await somebody_left(desk.session, units):
        raise Invalid.at(
            "accused",
            "Không còn thanh tra nào được thấy phản ánh này. Hãy cử thanh tra của cơ quan khác trước.",
            "No inspector would be left who may see this case: name one of another body first.",
            "nobody_left",
        )
    desk.case.accused_units = units
    desk.data["accused"] = units


async def _decide_anew(desk: Desk) -> None:
    decision, was = desk.decide(), desk.case.decision
    limits = {limit.stage: str(limit.amount) for limit in decision.limits}
    other = limits.get(GIVE_BACK) != was.get("limits", {}).get(GIVE_BACK)
    since = desk.at.isoformat() if other else was.get(SINCE)
    desk.case.decision = {
        "lead": decision.lead,
        "supporting": list(decision.supporting),
        "rules": list(decision.rules),
        "limits": limits,
        **({SINCE: since} if since else {}),
    }
    desk.data["rules"] = list(decision.rules)
    desk.clocks.amend(decision)
    if desk.case.status == Status.RECEIVED:  # a stage that had no limit before has one from now on
        desk.open_forward()
    else:
        desk.start_clocks()
    if desk.case.status == Status.RECEIVED and not desk.case.restricted and (limit := decision.limit("resolve")):
        # Not forwarded yet: the date the citizen is told with that follows the new decision.
        calendar = desk.routing.calendar_of(decision.lead, desk.book)
        reopened = select(func.max(Journal.occurred_at)).where(
            Journal.case_id == desk.case.id, Journal.kind == "case.reopen"
        )
        again: datetime | None = (await desk.session.exec(reopened)).one()
        promised = due(again or desk.case.received_at, limit.amount, calendar, day_end=desk.book.day_end)
        if promised <= desk.at:  # nobody is promised a moment that is over
            promised = due(desk.at, limit.amount, calendar, day_end=desk.book.day_end)
        desk.case.promised_at = promised

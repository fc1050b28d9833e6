"""What the matter is: its field and place, the facts the rules ask for, its legal track."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from cases import facts
from cases.accused import somebody_left, with_parts
from cases.actions.triage import check_field, take_from_units
from cases.bodies import Classify, SetTrack
from cases.desk import Desk, action
from cases.facts import NOT_SAID
from cases.giving_back import SINCE
from cases.giving_back import STAGE as GIVE_BACK
from cases.limits import BESIDE
from cases.models import Case
from cases.queries import seen_by, sees
from cases.states import TABLE, Action, Status
from core import auth
from core.errors import Conflict, Invalid
from core.journal import Journal
from core.staff import RESTRICTED_ROLES, Actor, Role, Staff, roles_from
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
async def set_track(desk: Desk, given: SetTrack) -> Status | None:
    """Move the case to a legal track. An agent's word counts at once, so that a denouncer is hidden at once, and
    waits to be confirmed; a supervisor's, inspector's or the police's is the confirmation."""
    case = desk.case
    knew = seen_by(case.track, confirmed=case.track_confirmed) if case.restricted else frozenset()
    change_track(desk, given.track)
    case.track_confirmed = bool(desk.actor.roles & {Role.SUPERVISOR, *RESTRICTED_ROLES})
    desk.data["confirmed"] = case.track_confirmed
    if case.restricted:
        know = seen_by(case.track, confirmed=case.track_confirmed)
        if knew - know:  # their screens let go of it
            desk.data["hidden_from"] = sorted(knew - know)
        await _accuse(desk, given, know)
    await _decide_anew(desk)
    if case.lead in case.accused_units:  # as was not known when it was forwarded
        take_from_units(desk, "recalled")
        return Status.RECEIVED
    return None


async def suspect(desk: Desk, said: str) -> None:
    """What a later message makes an ordinary case look like, while its track may still change.

    A denunciation or a tip is hidden at once, as in a first report, for the accused may be those who read it here;
    anything else, such as an angry word of complaining, is only suggested. A person confirms either.
    """
    case = desk.case
    if case.track != "ordinary" or Status(case.status) not in TABLE[Action.SET_TRACK].who:
        return
    seems = desk.book.detect_track(said, None, None)
    if seems in ("denunciation", "crime_tip"):
        change_track(desk, seems)
        await _decide_anew(desk)
    elif seems != "ordinary":
        case.suggested_track = seems


def change_track(desk: Desk, track: str) -> None:
    """Put the case on a track, which somebody has to confirm; a restricted one is promised and published nothing.

    Nothing is suggested any more. Whoever was shown the reporter was so for another reason: they are hidden again.
    """
    case = desk.case
    desk.data |= {"track": track, "was": case.track}
    if track != case.track:
        case.track_confirmed = case.identity_revealed = False
    case.track, case.restricted, case.suggested_track = track, track in RESTRICTED_TRACKS, None
    if case.restricted:
        case.promised_at = case.public_text = None
        case.public = False
        desk.clocks.cancel(only=BESIDE)  # whoever owes an order's answer or a decision can no longer open the case
    else:
        case.accused_units, case.accused_staff = [], []


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


async def _accuse(desk: Desk, given: SetTrack, know: Collection[Role]) -> None:
    """Whom the matter is about: these people, and units with those who took their work over and the parts of all of
    these. Neither they nor anybody who works there knows of it from now on.

    Invalid, or Conflict where nobody was named, when nobody of those who `know` of such cases would be left.
    """
    case = desk.case
    units = case.accused_units if given.accused is None else _units_meant(desk, given.accused)
    people = case.accused_staff if given.accused_staff is None else await _people_meant(desk, given.accused_staff)
    named = given.accused is not None or given.accused_staff is not None
    if named and (units or people) and not await somebody_left(desk.session, know, units, people):
        raise Invalid.at(
            "accused" if given.accused else "accused_staff",
            "Không còn ai được thấy phản ánh này. Hãy cử thanh tra (hoặc công an) của cơ quan khác trước.",
            "Nobody would be left who may see this case: name somebody of another body first.",
            "nobody_left",
        )
    if know == {Role.POLICE} and not await somebody_left(desk.session, know, units, people):
        raise Conflict(
            "Chưa có tài khoản công an nào nhận được tin báo này. Hãy chuyển công an bằng “Chuyển cơ quan khác”.",
            "No account of the police could receive this tip: hand it over to the police by “redirect”.",
        )
    case.accused_units, case.accused_staff = units, people
    if given.accused is not None:
        desk.data["accused"] = units
    if given.accused_staff is not None:
        desk.data["accused_staff"] = [str(each) for each in people]
    await _let_go(desk)


async def _people_meant(desk: Desk, emails: Sequence[str]) -> list[UUID]:
    """Accounts of these addresses; Invalid for one that there is not."""
    wanted = {each.lower() for each in emails}
    found = dict((await desk.session.exec(select(Staff.email, Staff.id).where(col(Staff.email).in_(wanted)))).all())
    if wanted - found.keys():
        raise Invalid.at("accused_staff", "Không có cán bộ này.", "There is no such member of staff.", "unknown")
    return sorted(found.values())


async def _let_go(desk: Desk) -> None:
    """Whoever may not know of it any more does not work on it any more."""
    officer = desk.case.officer_id
    if officer is None:
        return
    roles, homes = await auth.grants_of(desk.session, officer)
    person = Actor("staff", officer, roles=roles_from(roles), departments=frozenset(homes))
    if not sees(person, desk.case):
        desk.case.officer_id = None


def _units_meant(desk: Desk, codes: Sequence[str]) -> list[str]:
    """These departments, their heirs of today and the parts of all; Invalid for one that there is not."""
    directory = desk.routing.directory
    for code in codes:
        if code not in directory.departments:
            raise Invalid.at("accused", f"Không có đơn vị mã {code}.", f"Unknown department {code}.", "unknown")
    today = desk.book.day_of(desk.at)
    heirs = {heir for code in codes for heir in directory.heirs(code, today)}
    return sorted(with_parts({*codes, *heirs}, directory.departments.values()))


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

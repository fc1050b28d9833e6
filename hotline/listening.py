"""Who may listen to a recording, and that it is known who did."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_, true
from sqlmodel import col, select

from cases import looks
from cases.models import Case
from cases.queries import visible_to
from core.due import Session
from core.errors import NotFound
from core.ids import uuid7
from core.staff import CENTRE_ROLES, Actor, Role
from hotline.models import Recording, RecordingAccess
from hotline.recordings import noted

PURPOSES: Final = ("handling", "quality", "inspection")
"""What somebody listens for: to handle the case, to see how calls are taken, to look into a complaint."""

ONE_LISTENING: Final = timedelta(minutes=10)  # a player asks for a recording piece by piece, and again to go back in it
WITH_US: Final = frozenset({"kept", "removed"})


def usual_purpose(who: Actor) -> str:
    """What this person listens for when they do not say."""
    if who.roles & {Role.AGENT, Role.DISPATCHER, Role.OFFICER, Role.HEAD}:
        return "handling"
    return "quality" if Role.SUPERVISOR in who.roles else "inspection"


def recordings_visible_to(who: Actor) -> ColumnElement[bool]:
    """Those of cases this person sees; of no case, only the centre's people. For statements that join the case."""
    of_no_case = and_(col(Recording.case_id).is_(None), true() if who.roles & CENTRE_ROLES else false())
    return or_(of_no_case, and_(col(Case.id).is_not(None), visible_to(who)))


async def recording_for(session: Session, who: Actor, id: UUID) -> Recording:
    """A recording that this person may listen to. NotAllowed by the role; NotFound when it is out of their sight."""
    who.require("recordings.play")
    found = await session.exec(
        select(Recording)
        .join(Case, col(Case.id) == col(Recording.case_id), isouter=True)
        .where(Recording.id == id, recordings_visible_to(who))
    )
    recording = found.first()
    if recording is None:
        raise NotFound("Không tìm thấy bản ghi này.", "No such recording.")
    return recording


async def listened(session: Session, who: Actor, recording: Recording, purpose: str, at: datetime) -> None:
    """Write down who listens and what for: once for what one player asks for within some minutes."""
    if who.id is None:
        raise NotFound("Không tìm thấy bản ghi này.", "No such recording.")
    lately = select(RecordingAccess.id).where(
        RecordingAccess.recording_id == recording.id,
        RecordingAccess.staff_id == who.id,
        RecordingAccess.purpose == purpose,
        col(RecordingAccess.at) > at - ONE_LISTENING,
    )
    if (await session.exec(lately.limit(1))).first() is not None:
        return
    if recording.case_id is not None and (case := await session.get(Case, recording.case_id)) is not None:
        await looks.note(session, who, case, "recording", at)
    session.add(RecordingAccess(id=uuid7(at), recording_id=recording.id, staff_id=who.id, at=at, purpose=purpose))
    await noted(session, recording, "recording.play", at, staff_id=who.id, purpose=purpose)


async def recordings_of(session: Session, case: Case) -> Sequence[Recording]:
    """Those at the lines of a case, which the caller may see."""
    theirs = select(Recording).where(Recording.case_id == case.id).order_by(col(Recording.announced_at))
    return (await session.exec(theirs)).all()


async def hold(session: Session, who: Actor, id: UUID, held: bool, at: datetime) -> Recording:
    """Keep a recording whatever its time, or no longer."""
    who.require("recordings.hold")
    recording = await recording_for(session, who, id)
    if recording.held != held:
        recording.held = held
        session.add(recording)
        await noted(session, recording, "recording.hold" if held else "recording.release", at, staff_id=who.id)
    return recording

"""The sound of recordings, for those who may hear it: piece by piece as players ask, and never without a sign-in."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Query
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from core.errors import NotFound
from core.sealed_files import SealedFile
from core.sealing import Unsealable
from hotline.listening import WITH_US, hold, listened, recording_for, usual_purpose
from hotline.models import Recording
from hotline.recordings import open_sound
from web.deps import Db, Here, Now, Who
from web.docs import PROBLEMS, answers
from web.state import State

router = APIRouter(prefix="/api/v1/recordings", tags=["calls"], responses=PROBLEMS)
Purpose = Annotated[
    Literal["handling", "quality", "inspection"] | None,
    Query(description="What it is listened to for; absent: what the role usually does. It is written down"),
]
log = structlog.get_logger()

NOT_YET = {
    "announced": ("Bản ghi chưa được chép về. Xin thử lại sau ít phút.", "Not copied from the carrier yet."),
    "lost": ("Nhà mạng không còn bản ghi này.", "The carrier no longer had this recording."),
    "expired": ("Bản ghi đã hết thời gian lưu và đã được xóa.", "Its time was over: it has been deleted."),
    "short": ("Bản ghi quá ngắn nên không được lưu.", "It was too short and was not kept."),
    "absent": ("Cuộc gọi này không có bản ghi.", "There is no recording."),
}


class HoldIn(BaseModel):
    """Whether it is kept beyond its time."""

    held: bool


class Held(BaseModel):
    """A recording and whether it is held."""

    id: str
    held: bool


@router.get(
    "/{recording}",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"audio/mpeg": {}}, "description": "The sound"},
        206: {"content": {"audio/mpeg": {}}, "description": "The part of it that `Range` asked for"},
        416: {"description": "There is no such part"},
    },
)
async def play(
    here: Here,
    session: Db,
    who: Who,
    at: Now,
    recording: UUID,
    purpose: Purpose = None,
    range: Annotated[str | None, Header(description="bytes=first-last")] = None,
) -> Response:
    """The sound of a recording of a case this person sees. Who listened, when and what for is written down."""
    found = await recording_for(session, who, recording)
    sound = await _sound(here, found)
    await listened(session, who, found, purpose or usual_purpose(who), at)
    return sent(sound, found.media_type or "application/octet-stream", range)


@router.post("/{recording}/hold", response_model=None, responses=answers(Held, description="As it is now"))
async def hold_one(session: Db, who: Who, at: Now, recording: UUID, given: HoldIn) -> dict[str, Any]:
    """Keep a recording whatever its time, as evidence; or let its time run again."""
    found = await hold(session, who, recording, given.held, at)
    return {"id": str(found.id), "held": found.held}


async def _sound(here: State, recording: Recording) -> SealedFile:
    """The open file; NotFound says in plain words why there is none."""
    if recording.state not in WITH_US:
        raise NotFound(*NOT_YET[recording.state])
    try:
        return await open_sound(here.files, here.key, recording)
    except (FileNotFoundError, Unsealable) as error:
        log.error("recording cannot be read", recording=str(recording.id), error=type(error).__name__)
        raise NotFound("Không đọc được tệp của bản ghi này.", "The file of this recording cannot be read.") from None


def sent(sound: SealedFile, media_type: str, asked: str | None) -> Response:
    """The whole sound, or the part of it that a player asks for. Nothing between us and the ear may keep it."""
    part = part_of(asked, sound.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": "inline",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if part == ():
        with sound:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{sound.size}"})
    start, end = part or (0, sound.size)

    def pieces() -> Iterator[bytes]:
        with sound:
            yield from sound.read(start, end)

    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{sound.size}"
    return StreamingResponse(pieces(), 200 if part is None else 206, headers, media_type)


def part_of(asked: str | None, size: int) -> tuple[int, int] | tuple[()] | None:
    """The part that `Range` asks for, from and up to; () when there is none such, None when the whole is to be sent.

    As RFC 9110 has it, what cannot be read is as if it had not been said; several parts at once no player asks for.
    """
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", (asked or "").replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    return (start, end) if start < end else ()

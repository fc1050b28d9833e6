"""Files of cases, for staff who see the case and for the citizen with its key."""

from collections.abc import Iterator
from typing import Annotated, Literal, Protocol
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response, StreamingResponse

from cases import looks
from cases.models import Case, Entry
from cases.queries import visible_to
from core.attachments import Attachment
from core.errors import NotFound
from core.files import INLINE_TYPES, content_disposition, small
from core.filestore import key_of
from web.deps import COOKIE, Db, Here, Now, who_of
from web.docs import PROBLEMS
from web.following import Key, KeyHeader, own_case
from web.state import State

router = APIRouter(prefix="/api/v1/attachments", tags=["attachments"], responses=PROBLEMS)
CHUNK = 1 << 16
AN_HOUR, A_MONTH = 3600, 30 * 86400
Size = Annotated[Literal["small"] | None, Query(description="small: a picture of at most 320 pixels, as JPEG")]


@router.get("/{attachment_id}", response_class=StreamingResponse)
async def attachment(
    request: Request,
    here: Here,
    session: Db,
    at: Now,
    attachment_id: UUID,
    code: str | None = None,
    key: Key = None,
    tracking_key: KeyHeader = None,
    size: Size = None,
) -> Response:
    """The bytes of a file. Citizens add the case `code` and their key; they get what they sent and were sent."""
    signed_in = "authorization" in request.headers or "x-api-key" in request.headers or COOKIE in request.cookies
    if code is not None and (key or tracking_key) and not signed_in:
        own = await own_case(request, here, session, code, tracking_key or key, at)
        return await send(here, await own_attachment(session, own, attachment_id), size)
    who = await who_of(request, here, session, at)
    statement = (
        select(Attachment, Case)
        .join(Case, Case.id == Attachment.case_id)  # type: ignore[arg-type]
        .where(Attachment.id == attachment_id, visible_to(who))
    )
    file, case = (await session.exec(statement)).first() or (None, None)
    if case is not None:
        await looks.note(session, who, case, "attachment", at)
    return await send(here, _there(file), size, kept=case is not None and not case.restricted)


async def own_attachment(session: AsyncSession, case: Case, attachment_id: UUID) -> Attachment:
    """A file that the reporter of this case sent or was sent; NotFound otherwise."""
    statement = (
        select(Attachment)
        .join(Entry, Entry.id == Attachment.entry_id)  # type: ignore[arg-type]
        .where(Attachment.id == attachment_id, Attachment.case_id == case.id, Entry.to_citizen)
    )
    return _there((await session.exec(statement)).first())


def _there(file: Attachment | None) -> Attachment:
    if file is None:
        raise NotFound("Không tìm thấy tệp này.", "No such file.")
    return file


class Kept(Protocol):
    """A file whose bytes lie in the file store."""

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


async def send(here: State, file: Kept, size: Literal["small"] | None, *, kept: bool = True) -> Response:
    """The bytes of a file: pictures that we wrote ourselves may be shown, all else is a download.

    Where there is no small one, as of a video or a damaged picture, the file itself is sent. `kept`: the reader's
    browser may show it again without asking, and so without anybody knowing.
    """
    if size == "small" and (made := await small(here.files, file.sha256, file.media_type)) is not None:
        return Response(made, media_type="image/jpeg", headers=_headers("inline", A_MONTH if kept else None))
    stream = await here.files.open(key_of(file.sha256))

    def chunks() -> Iterator[bytes]:
        with stream:
            while piece := stream.read(CHUNK):
                yield piece

    inline = file.media_type in INLINE_TYPES
    return StreamingResponse(
        chunks(),
        media_type=file.media_type,
        headers={
            **_headers("inline" if inline else content_disposition(file.name), AN_HOUR if kept else None),
            "Content-Length": str(file.size),
        },
    )


def _headers(disposition: str, seconds: int | None) -> dict[str, str]:
    return {
        "Content-Disposition": disposition,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": f"private, max-age={seconds}" if seconds is not None else "no-store",
    }

"""Files of cases, for staff who see the case and for the citizen with its key."""

from collections.abc import Iterator
from uuid import UUID

from fastapi import APIRouter, Request
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from cases.models import Case, Entry
from cases.queries import visible_to
from core.attachments import Attachment
from core.errors import NotFound
from core.files import INLINE_TYPES, content_disposition
from web.deps import COOKIE, Db, Here, Now, who_of
from web.docs import PROBLEMS
from web.following import Key, KeyHeader, own_case
from web.state import State

router = APIRouter(prefix="/api/v1/attachments", tags=["attachments"], responses=PROBLEMS)
CHUNK = 1 << 16


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
) -> StreamingResponse:
    """The bytes of a file. Citizens add the case `code` and their key; they get what they sent and were sent."""
    signed_in = "authorization" in request.headers or "x-api-key" in request.headers or COOKIE in request.cookies
    if code is not None and (key or tracking_key) and not signed_in:
        own = await own_case(request, here, session, code, tracking_key or key, at)
        return await send(here, await own_attachment(session, own, attachment_id))
    statement = (
        select(Attachment)
        .join(Case, Case.id == Attachment.case_id)  # type: ignore[arg-type]
        .where(Attachment.id == attachment_id, visible_to(await who_of(request, here, session, at)))
    )
    return await send(here, _there((await session.exec(statement)).first()))


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


async def send(here: State, file: Attachment) -> StreamingResponse:
    """The bytes of a file: pictures that we wrote ourselves may be shown, all else is a download."""
    stream = await here.files.open(f"{file.sha256[:2]}/{file.sha256}")

    def chunks() -> Iterator[bytes]:
        with stream:
            while piece := stream.read(CHUNK):
                yield piece

    inline = file.media_type in INLINE_TYPES
    return StreamingResponse(
        chunks(),
        media_type=file.media_type,
        headers={
            "Content-Disposition": "inline" if inline else content_disposition(file.name),
            "Content-Length": str(file.size),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, max-age=3600",
        },
    )

"""The official document an answer is given by: its number, date and signer, and which file is the signed one."""

from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.act_models import AnswerDocument
from cases.bodies import OfficialDocument
from cases.desk import Desk
from cases.models import Entry
from core.attachments import Attachment
from core.errors import Invalid
from core.files import Stored


def sent_along(desk: Desk, given: OfficialDocument | None) -> Stored | None:
    """The file sent with this act that the document names as the signed one."""
    named = given.file if given is not None else None
    return next((stored for stored in desk.files if named in (stored.name, str(stored.id))), None)


async def keep(desk: Desk, answer: Entry, given: OfficialDocument, signed: Stored | None) -> None:
    """Note the document of an answer; its signed file stands with the answer where the citizen may read it.

    Invalid for a date to come, for a file that is not the case's, and for one that everybody but not the citizen may
    read.
    """
    if given.file_public and not (given.public and given.file):
        raise Invalid.at(
            "document.file_public",
            "Chỉ đăng công khai được tệp có chữ ký mà người dân cũng xem.",
            "Only a signed file that the citizen may read can be published.",
        )
    if given.issued_on > desk.book.day_of(desk.at):
        raise Invalid.at(
            "document.issued_on", "Ngày văn bản chưa tới.", "The document's date is still to come.", "too_late"
        )
    file_id = signed.id if signed is not None else None
    if signed is not None and not given.public:
        await desk.attach(desk.write("files", signed.name), [signed])
    elif signed is None and given.file is not None:
        file_id = await _earlier(desk, answer, given)
    await desk.session.flush()  # the lines and files before what refers to them
    desk.session.add(
        AnswerDocument(
            entry_id=answer.id,
            case_id=desk.case.id,
            number=given.number,
            issued_on=given.issued_on,
            signer=given.signer,
            file_id=file_id,
            public=given.public,
            file_public=given.file_public,
        )
    )
    desk.data["document"] = {
        "issued_on": given.issued_on.isoformat(),
        "public": given.public,
        "file_public": given.file_public,
        "file": str(file_id) if file_id else None,
    }


async def _earlier(desk: Desk, answer: Entry, given: OfficialDocument) -> UUID:
    """A file that was attached to the case before."""
    try:
        wanted = UUID(given.file or "")
    except ValueError:
        wanted = UUID(int=0)
    statement = select(Attachment).where(Attachment.id == wanted, Attachment.case_id == desk.case.id)
    file = (await desk.session.exec(statement)).first()
    if file is None:
        raise Invalid.at("document.file", "Không có tệp này trong phản ánh.", "The case has no such file.", "unknown")
    if given.public:
        file.entry_id = answer.id
    return file.id


async def document_of(session: AsyncSession, entry_id: UUID) -> AnswerDocument | None:
    """The document of an answer, if it was given by one."""
    return (await session.exec(select(AnswerDocument).where(AnswerDocument.entry_id == entry_id))).first()


def reference(document: AnswerDocument, language: str) -> str:
    """The document in one line, as it is told to the citizen."""
    issued = f"{document.issued_on:%d/%m/%Y}"
    if language == "en":
        return f"Document No. {document.number} of {issued}, signed by {document.signer}."
    return f"Văn bản số {document.number} ngày {issued}, {document.signer} ký."

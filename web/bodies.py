"""Request bodies: JSON or multipart with files, read within limits, refused in words."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cases.desk import invalid_body
from core.errors import DomainError, Invalid, TooLarge, UnknownType
from core.files import Upload
from web.problems import on_domain_error

LARGEST_JSON = 1 << 20
LARGEST_MULTIPART = 45 << 20  # files together plus the form around them
MULTIPART = "multipart/form-data"
MOST_FILES = 300  # parsed before they are counted, so that too many is told as such
JSON_MEMBERS = ("location", "contact", "attachments", "supporting", "document")  # sent as JSON text in one form field

FORMS = "hotline.forms"  # where the forms of a request wait to be closed, in its scope

B = TypeVar("B", bound=BaseModel)


async def read_body(request: Request, shape: type[B]) -> tuple[B, list[Upload]]:
    """The body as `shape`, and the files sent along under `attachments`."""
    kind = media_type(request)
    if kind != MULTIPART:
        raw = await request.body()
        only_json(kind)
        try:
            return shape.model_validate_json(raw), []
        except ValidationError as problem:
            raise invalid_body(problem) from None
    members, uploads = await read_form(request)
    try:
        return shape.model_validate(members), uploads
    except ValidationError as problem:
        raise invalid_body(problem) from None


async def read_members(request: Request) -> tuple[dict[str, Any], list[Upload]]:
    """The body as a plain mapping, for actions, which check it once they know who asks; nothing at all is {}."""
    kind = media_type(request)
    if kind == MULTIPART:
        return await read_form(request)
    raw = await request.body()
    if not raw.strip():
        return {}, []
    only_json(kind)
    try:
        members = json.loads(raw)
    except (ValueError, RecursionError):
        raise not_json() from None
    if not isinstance(members, dict):
        raise not_json()
    return members, []


def media_type(request: Request) -> str:
    """The body's media type in lower case, without parameters; empty when none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_multipart(request: Request) -> bool:
    """Whether the body comes with files."""
    return media_type(request) == MULTIPART


def only_json(given: str) -> None:
    """UnknownType unless this media type is JSON, or none was named."""
    if given and given != "application/json" and not given.endswith("+json"):
        raise UnknownType(
            "Nội dung phải là JSON (application/json), hoặc multipart/form-data khi có tệp.",
            "The body must be application/json, or multipart/form-data with files.",
            errors=[{"where": "Content-Type", "detail": "Không phải JSON, cũng không phải biểu mẫu.", "code": "type"}],
        )


async def read_form(request: Request) -> tuple[dict[str, Any], list[Upload]]:
    """Members and files of a multipart body."""
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=50, max_part_size=LARGEST_JSON)
    except (HTTPException, UnicodeError) as error:  # UnicodeError: a charset that cannot read its own bytes
        why = error.detail if isinstance(error, HTTPException) else "its charset does not fit"
        raise Invalid(
            "Biểu mẫu gửi lên không đọc được (multipart).",
            f"The multipart body cannot be read: {why.rstrip('.')}.",
            errors=[{"where": "body", "detail": "Biểu mẫu multipart bị hỏng.", "code": "multipart"}],
        ) from None
    request.scope[FORMS].append(form)  # closed by BodyLimit, when the answer is out
    members: dict[str, Any] = {}
    uploads: list[Upload] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "attachments":
                raise Invalid.at(name, "Tệp phải gửi trong trường attachments.", "Files go under attachments.")
            uploads.append(Upload(value.filename or "", value.file))
        elif name in members:
            raise Invalid.at(name, f"Trường {name} bị lặp.", f"The member {name} is repeated.", "repeated")
        elif name in JSON_MEMBERS:
            try:
                members[name] = json.loads(value)
            except (ValueError, RecursionError):
                raise Invalid.at(name, f"Trường {name} phải là JSON.", f"{name} must be JSON text.", "json") from None
        else:
            members[name] = value
    return members, uploads


def not_json() -> DomainError:
    """The body is not a JSON object."""
    return Invalid.at(
        "body", "Nội dung gửi lên không phải một đối tượng JSON.", "The body is not a JSON object.", "json_invalid"
    )


def too_large(largest: int) -> DomainError:
    """The body has more than this many bytes."""
    return TooLarge(
        f"Nội dung gửi lên quá lớn, nhiều nhất {largest >> 20} MB.",
        f"The body is too large; at most {largest >> 20} MB.",
        errors=[{"where": "body", "detail": f"Nhiều nhất {largest >> 20} MB.", "code": "too_large"}],
        headers={"Connection": "close"},
    )


class BodyLimit:
    """Refuses a body larger than its kind may be, by its announced length at once, otherwise while it comes.

    Also closes the temporary files of a multipart body once it is answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        multipart = headers.get(b"content-type", b"").lower().startswith(b"multipart/")
        largest = LARGEST_MULTIPART if multipart else LARGEST_JSON
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > largest):
            answer = await on_domain_error(Request(scope), too_large(largest))
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > largest:
                raise too_large(largest)
            return message

        scope[FORMS] = []
        try:
            await self._app(scope, counted, send)
        finally:
            for form in scope[FORMS]:
                await form.close()

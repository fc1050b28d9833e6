"""Request bodies: JSON or multipart with files, read within limits, refused in words."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cases.desk import invalid_body
from core.errors import DomainError, Invalid, TooLarge
from core.files import Upload

LARGEST_JSON = 1 << 20
LARGEST_MULTIPART = 45 << 20  # files together plus the form around them
MOST_FILES = 300  # parsed before they are counted, so that too many is told as such
JSON_MEMBERS = ("location", "contact", "attachments", "supporting")  # sent as JSON text in one form field

B = TypeVar("B", bound=BaseModel)


async def read_body(request: Request, shape: type[B]) -> tuple[B, list[Upload]]:
    """The body as `shape`, and the files sent along under `attachments`."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        try:
            return shape.model_validate_json(await request.body()), []
        except ValidationError as problem:
            raise invalid_body(problem) from None
    members, uploads = await read_form(request)
    try:
        return shape.model_validate(members), uploads
    except ValidationError as problem:
        raise invalid_body(problem) from None


async def read_members(request: Request) -> tuple[dict[str, Any], list[Upload]]:
    """The body as a plain mapping, for actions, which check it once they know who asks; nothing at all is {}."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        return await read_form(request)
    raw = await request.body()
    if not raw.strip():
        return {}, []
    try:
        members = json.loads(raw)
    except (ValueError, RecursionError):
        raise not_json() from None
    if not isinstance(members, dict):
        raise not_json()
    return members, []


async def read_form(request: Request) -> tuple[dict[str, Any], list[Upload]]:
    """Members and files of a multipart body."""
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=50, max_part_size=LARGEST_JSON)
    except HTTPException as error:
        raise Invalid(
            "Biểu mẫu gửi lên không đọc được (multipart).", f"The multipart body cannot be read: {error.detail}."
        ) from None
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
    return Invalid("Nội dung gửi lên không phải JSON hợp lệ.", "The body is not a JSON object.")


class BodyLimit:
    """Refuses a body larger than its kind may be, by its announced length at once, otherwise while it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        largest = LARGEST_MULTIPART if headers.get(b"content-type", b"").startswith(b"multipart/") else LARGEST_JSON
        announced = headers.get(b"content-length", b"")
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > largest or (announced.isdigit() and int(announced) > largest):
                raise TooLarge(
                    f"Nội dung gửi lên quá lớn, nhiều nhất {largest >> 20} MB.",
                    f"The body is too large; at most {largest >> 20} MB.",
                    headers={"Connection": "close"},
                )
            return message

        await self._app(scope, counted, send)

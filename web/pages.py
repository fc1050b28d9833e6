"""What page routes ask for: who is looking, the form that was sent, and that it came from a page of ours."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from core import auth
from core.db import FAILURES
from core.errors import DomainError, Invalid, NotAllowed, NotSignedIn
from core.files import Upload
from core.staff import Actor
from web.bodies import FORMS, LARGEST_JSON, MOST_FILES
from web.deps import COOKIE, SAFE, Db, Now, rules_in_force, state_of

MOST_FIELDS = 500


def same_site(request: Request) -> None:
    """Refuse a write that another site's page sends: browsers say where a request comes from."""
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        fits = site in ("same-origin", "none")
    else:
        origin = request.headers.get("origin")
        ours = {request.headers.get("host", ""), urlsplit(state_of(request).settings.public_url).netloc}
        fits = origin is None or _host(origin) in ours
    if not fits:
        raise NotAllowed(
            "Yêu cầu đến từ trang khác nên không được nhận. Hãy mở lại trang này và thử lại.",
            "The request came from another site. Open this page again and retry.",
        )


def _host(address: str) -> str | None:
    """Host and port of an address; None when it is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


async def _same_site(request: Request) -> None:
    same_site(request)
    if request.method in SAFE and request.headers.get("hx-request") != "true":
        with suppress(*FAILURES, DomainError):  # the banner above the page; the page itself says what is out of order
            await rules_in_force(state_of(request))
    if request.method not in SAFE:
        await read_page_form(request)


# A router's own dependencies come before those of its routes, so a slow upload is over before a connection is taken.
FromHere = Depends(_same_site)


@dataclass(frozen=True, slots=True)
class Form:
    """What a page's form sent."""

    members: Mapping[str, list[str]] = field(default_factory=dict)
    uploads: Mapping[str, list[Upload]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """One member without surrounding space; empty when absent."""
        return (self.members.get(name) or [""])[-1].strip()

    def all(self, name: str) -> list[str]:
        """Every value of a member that is not empty."""
        return [value.strip() for value in self.members.get(name, []) if value.strip()]

    def flag(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def files(self, name: str = "attachments") -> list[Upload]:
        """The files chosen under a name."""
        return list(self.uploads.get(name, []))


async def read_page_form(request: Request) -> Form:
    """The form of this request, urlencoded or multipart; fields without a file chosen are left out."""
    try:
        sent = await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=LARGEST_JSON)
    except (HTTPException, UnicodeError):
        raise Invalid("Biểu mẫu gửi lên không đọc được.", "The form cannot be read.") from None
    request.scope[FORMS].append(sent)
    members: dict[str, list[str]] = {}
    uploads: dict[str, list[Upload]] = {}
    for name, value in sent.multi_items():
        if isinstance(value, UploadFile):
            if value.filename:
                uploads.setdefault(name, []).append(Upload(value.filename, value.file))
        else:
            members.setdefault(name, []).append(value)
    return Form(members, uploads)


async def _form(request: Request) -> AsyncIterator[Form]:
    yield await read_page_form(request)


PageForm = Annotated[Form, Depends(_form)]


async def _looking(request: Request, session: Db, at: Now) -> Actor:
    """Who is signed in on this browser; a write must bring the page's token, as header or form field."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        raise NotSignedIn("Mời anh/chị đăng nhập.", "Please sign in.")
    who = await auth.who_is(session, cookie, "cookie", at)
    if request.method not in SAFE:
        given = request.headers.get("x-csrf-token") or (await read_page_form(request)).text("csrf")
        if not auth.csrf_fits(state_of(request).key, cookie, given):
            raise NotAllowed(
                "Trang đã mở quá lâu hoặc anh/chị đã đăng nhập lại. Hãy tải lại trang rồi gửi lại.",
                "This page is too old, or you signed in again. Load it again and retry.",
            )
    return who


Looking = Annotated[Actor, Depends(_looking)]


def local_path(given: str | None, otherwise: str) -> str:
    """A path on this host to go on to; anything that could lead elsewhere becomes `otherwise`."""
    if not given or not given.startswith("/") or given.startswith("//") or "\\" in given or not given.isprintable():
        return otherwise
    parts = urlsplit(given)
    return otherwise if parts.scheme or parts.netloc else given

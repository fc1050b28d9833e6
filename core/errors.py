"""Errors that carry their HTTP status and a sentence for people, in Vietnamese and English.

A route lets them pass; `web.problems` renders them. Nothing here knows HTTP beyond the number.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Unusable(Exception):
    """Something the system needs in order to run is not as it must be: the message tells the operator what to do."""


class DomainError(Exception):
    """Something a person asked for that cannot be done, and why.

    `vi` and `en` are whole sentences saying what is wrong and what to do; `errors` lists single members
    (`{where, detail, code}`), `extra` holds further members of the problem document.
    """

    status = 400
    code = "error"

    def __init__(
        self,
        vi: str,
        en: str = "",
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(en or vi)
        self.vi = vi
        self.en = en or vi
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.extra = extra


class Invalid(DomainError):
    """Malformed or impossible input: 422, with `errors` saying which member."""

    status = 422
    code = "invalid"

    @classmethod
    def at(cls, where: str, vi: str, en: str, code: str = "invalid") -> "Invalid":
        """One faulty member, named by its path such as `location.lat`."""
        return cls(vi, en, errors=[{"where": where, "detail": vi, "code": code}])


class NotSignedIn(DomainError):
    """No or no longer valid credentials: 401."""

    status = 401
    code = "not_signed_in"


class NotAllowed(DomainError):
    """This person may not do this: 403."""

    status = 403
    code = "not_allowed"


class NotFound(DomainError):
    """Not there, or not for this person's eyes, which must look the same: 404."""

    status = 404
    code = "not_found"


class Conflict(DomainError):
    """The state forbids it: 409."""

    status = 409
    code = "conflict"


class Stale(DomainError):
    """Somebody changed it first: 412, with the present case in `extra`."""

    status = 412
    code = "stale"


class TooLarge(DomainError):
    """More bytes than we take: 413."""

    status = 413
    code = "too_large"


class UnknownType(DomainError):
    """A body of a media type that is not taken: 415."""

    status = 415
    code = "unknown_type"


class TooMany(DomainError):
    """Above the rate limit: 429 with Retry-After."""

    status = 429
    code = "too_many"


class Unavailable(DomainError):
    """A part we need is down: 503 with Retry-After."""

    status = 503
    code = "unavailable"


class BadUpload(DomainError):
    """A file that is not taken: `where` is `attachments[2]`, `status` 413, 415 or 422."""

    ENGLISH: ClassVar[dict[str, str]] = {
        "too_many": "There are too many files; send the rest in a further message.",
        "empty": "The file is empty.",
        "too_large": "The file, or all of them together, are too large.",
        "too_many_pixels": "The picture has too many pixels.",
        "broken_image": "The picture is damaged or incomplete.",
        "wrong_type": "This type of file is not taken. Send JPEG, PNG, WebP, GIF, PDF, DOCX, XLSX, video or audio.",
        "macros": "The file holds macros; save it as PDF and send that.",
        "name_mismatch": "The name of the file does not fit what is inside.",
    }

    def __init__(self, detail_vi: str, *, where: str, code: str, status: int) -> None:
        detail_en = f"{where}: {self.ENGLISH.get(code, 'This file is not taken.')}"
        super().__init__(detail_vi, detail_en, errors=[{"where": where, "detail": detail_vi, "code": code}])
        self.code = code
        self.status = status

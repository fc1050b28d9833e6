"""Errors as RFC 9457 problem details, in the reader's language."""

import json
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from core.db import FAILURES
from core.errors import DomainError
from core.validation import complaints, sentence
from web.open311 import formats as open311
from web.rendering import ErrorPage, error_page, is_page, language_of

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: ("Yêu cầu không đọc được", "Bad request"),
    401: ("Cần đăng nhập", "Sign in first"),
    403: ("Không được phép", "Not allowed"),
    404: ("Không tìm thấy", "Not found"),
    405: ("Không dùng được cách gọi này", "Method not allowed"),
    409: ("Trạng thái không cho phép", "Not possible now"),
    412: ("Đã có người thay đổi", "Changed meanwhile"),
    413: ("Quá lớn", "Too large"),
    415: ("Không nhận loại nội dung này", "Type not accepted"),
    422: ("Dữ liệu chưa đúng", "Not valid"),
    429: ("Quá nhiều lần", "Too many"),
    500: ("Lỗi hệ thống", "Internal error"),
    503: ("Tạm thời gián đoạn", "Temporarily unavailable"),
}


def language(request: Request) -> str:
    """What the viewer of a page chose; for programs `en` when they ask for it first, else the centre's language."""
    if is_page(request):
        return language_of(request)
    wanted = request.headers.get("accept-language", "").strip().lower()
    if wanted.startswith("en"):
        return "en"
    return "vi" if wanted.startswith("vi") else str(request.app.state.hotline.settings.language)


def problem(
    request: Request,
    status: int,
    vi: str,
    en: str,
    *,
    code: str = "error",
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> Response:
    """A problem document; on a page's path the page that says the same, on Open311's the errors in its own shape."""
    english = language(request) == "en"
    title = TITLES.get(status, ("Lỗi", "Error"))[english]
    if is_page(request):
        told = [_told(each, en, english, len(errors or [])) for each in errors or []]
        return error_page(request, ErrorPage(status, title, en if english else vi, told), headers or {})
    if request.url.path.startswith(open311.ROOT):
        told = [_told(each, en, english, len(errors or [])) for each in errors or []]
        sentences = [f"{each['where']}: {each['detail']}" for each in told] or [en if english else vi]
        return open311.refused(request.url.path, status, sentences, headers or {}, (extra or {}).get("challenge"))
    body = {
        "type": f"urn:1022:problem:{code}",
        "title": title,
        "status": status,
        "detail": en if english else vi,
        "errors": [_told(each, en, english, len(errors or [])) for each in errors or []],
        **(extra or {}),
    }
    return Response(
        json.dumps(body, ensure_ascii=False, default=str),
        status,
        {"Content-Language": "en" if english else "vi", **(headers or {})},
        MEDIA_TYPE,
    )


def _told(error: dict[str, Any], en: str, english: bool, among: int) -> dict[str, Any]:
    """One member of `errors` in the reader's language: its own English, else the document's when it is the only one."""
    told = {name: value for name, value in error.items() if name != "detail_en"}
    if english:
        told["detail"] = error.get("detail_en") or (en if among == 1 else error["detail"])
    return told


async def on_domain_error(request: Request, error: DomainError) -> Response:
    """Ours: it carries everything."""
    headers = error.headers
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer", **headers}
    return problem(
        request,
        error.status,
        error.vi,
        error.en,
        code=error.code,
        errors=error.errors,
        headers=headers,
        extra=error.extra,
    )


async def on_invalid(request: Request, error: RequestValidationError) -> Response:
    """Members of a body, query or path that do not fit; what was sent is not echoed."""
    told = complaints(error.errors())
    return problem(
        request,
        422,
        f"Dữ liệu gửi lên chưa đúng. {sentence(told, 'detail')}",
        f"The input is not valid. {sentence(told, 'detail_en')}",
        code="invalid",
        errors=list(told),
    )


async def on_http(request: Request, error: HTTPException) -> Response:
    """The framework's own: unknown path, wrong method, unreadable multipart."""
    vi, en = TITLES.get(error.status_code, ("Lỗi", "Error"))
    if error.status_code == 404 and is_page(request):
        return problem(
            request,
            404,
            "Trang này không có, hoặc đã chuyển đi nơi khác. Hãy kiểm tra lại địa chỉ.",
            "There is no such page, or it has moved. Check the address.",
            code="http",
        )
    detail = str(error.detail)
    return problem(
        request,
        error.status_code,
        f"{vi}.",
        f"{en}: {detail}" if detail and detail != en else f"{en}.",
        code="http",
        headers=dict(error.headers or {}),
    )


# classes of SQLSTATE: connection, rolled back to break a deadlock, resources, lock not available, shutting down
_NO_NUL = "22021"  # character_not_in_repertoire: PostgreSQL keeps every character but NUL
_AWAY = ("08", "40", "53", "55", "57")


async def on_database(request: Request, error: Exception) -> Response:
    """The database is away, busy or asked us to try again. It may have stored what it could not confirm any more."""
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None) or ""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if state == _NO_NUL:
        return problem(
            request,
            422,
            "Nội dung có ký tự NUL, không lưu và không tìm được. Xin xóa ký tự đó rồi gửi lại.",
            "A NUL character can neither be kept nor looked up. Remove it and send again.",
            code="invalid",
        )
    driver = original if original is error else getattr(original, "__cause__", None)
    if isinstance(driver, asyncpg.InterfaceError) and isinstance(driver, ValueError):
        return await on_crash(request, error)  # a value the driver could not encode: trying again is no use
    if state and not lost and not state.startswith(_AWAY):
        return await on_crash(request, error)
    log.warning("database unavailable", kind=type(error).__name__)
    return problem(
        request,
        503,
        "Hệ thống tạm gián đoạn, nội dung có thể chưa được lưu. Vui lòng xem lại hoặc gửi lại sau giây lát.",
        "Temporarily unavailable; what you sent may not have been stored. Please look or send again in a moment.",
        code="unavailable",
        headers={"Retry-After": "2"},
    )


async def on_gone(request: Request, error: Exception) -> Response:
    """The client hung up in the middle of its request."""
    return Response(status_code=400)


async def on_crash(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has it, the reader does not. Messages of errors may hold data, so only their kind."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    route = getattr(request.scope.get("route"), "path", "unknown")  # a path may hold codes
    log.error("request failed", kind=type(error).__name__, where=where, route=route)
    return problem(
        request, 500, "Hệ thống gặp lỗi. Sự cố đã được ghi lại.", "Something failed on our side. It has been noted."
    )


def install(app: FastAPI) -> None:
    """Register all of the above."""
    app.add_exception_handler(DomainError, on_domain_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, on_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, on_http)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, on_gone)
    for kind in FAILURES:
        app.add_exception_handler(kind, on_database)

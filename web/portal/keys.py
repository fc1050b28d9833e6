"""The tracking keys a browser holds, one cookie for each report, sent back to /track and nowhere else."""

from fastapi import Request
from starlette.responses import Response

from cases.codes import read_code
from web.state import State

PREFIX = "report-"
PATH = "/track"
MOST = 12  # reports a browser remembers; the oldest are forgotten first
LASTS = 365 * 86_400
LONGEST_KEY = 40
KEEPS = "keeps"  # shows that this browser keeps cookies, so that a receipt may follow on a page of its own


def held(request: Request) -> dict[str, str]:
    """Code → key of the reports this browser knows, newest first."""
    found = {}
    for name, key in request.cookies.items():
        code = read_code(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        if code is not None and 0 < len(key) <= LONGEST_KEY:
            found[code] = key
    return dict(sorted(found.items(), key=lambda each: _age(each[0]), reverse=True))


def _age(code: str) -> tuple[int, int]:
    year, number = code.split("-")[1:]
    return int(year), int(number)


def remember(response: Response, here: State, code: str, key: str) -> None:
    """Let the browser hold the key of a report."""
    response.set_cookie(PREFIX + code, key, max_age=LASTS, path=PATH, httponly=True, samesite="lax", secure=safe(here))


def forget(response: Response, here: State, *codes: str) -> None:
    """Take keys away from the browser."""
    for code in codes:
        response.delete_cookie(PREFIX + code, path=PATH, httponly=True, samesite="lax", secure=safe(here))


def prune(request: Request, response: Response, here: State) -> Response:
    """The answer, which makes the browser forget its oldest reports where it holds too many."""
    forget(response, here, *list(held(request))[MOST:])
    return response


def safe(here: State) -> bool:
    """Whether the browser may send cookies over encrypted connections only."""
    return here.settings.public_url.startswith("https://")

"""Showing a page: templates in two languages and two themes, security headers, the page of a problem.

A page is a dataclass declared next to its route and a template that shows it as `page`; `view` is who looks and how.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import yaml
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Match

from core import auth
from core.staff import Actor, Role
from routing.directory import Directory
from web import times
from web.assets import icon, static
from web.deps import COOKIE, SAFE, state_of
from web.names import CHANNEL_ICON, STATUS_ICON, STATUS_TONE, URGENCY_TONE, WAY_ICON, Lang, name_of

HERE = Path(__file__).parent
LANG_COOKIE, THEME_COOKIE = "lang", "theme"
THEMES = ("auto", "light", "dark")
NOT_PAGES = (
    "/api/", "/feed/", "/webhooks/", "/open311/", "/static/", "/console/live", "/healthz", "/readyz", "/metrics"
)  # fmt: skip

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(self), camera=(self), microphone=(self)",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page and how: language, theme, the moment, and what their forms must bring back.

    `path` is what was asked for, `back` an address that opens this page, or the one nearest to it, by a link.
    """

    lang: Lang
    theme: str
    at: datetime
    zone: ZoneInfo
    path: str
    back: str
    who: Actor | None = None
    csrf: str = ""
    mode: str = "normal"  # of the centre, for the banner
    ending: tuple["EndingUnit", ...] = ()  # departments the viewer works for that have ended or will

    def say(self, text: str, **values: object) -> str:
        """A Vietnamese sentence in the viewer's language."""
        return say(self.lang, text, **values)

    def has(self, *roles: str) -> bool:
        """Whether the viewer holds one of these roles."""
        return self.who is not None and bool(self.who.roles & {Role(role) for role in roles})


@dataclass(frozen=True, slots=True)
class EndingUnit:
    """A department of the viewer's that has a last day. `heirs` are the names of who goes on with its work."""

    name: str
    first_day_without: date
    over: bool
    heirs: tuple[str, ...]


def ending_units(directory: Directory | None, who: Actor | None, today: date) -> tuple[EndingUnit, ...]:
    """Those of the departments somebody works for that have a last day, by code."""
    found = []
    for code in sorted(who.departments) if who is not None and directory is not None else ():
        unit = directory.departments.get(code) if directory is not None else None
        if directory is None or unit is None or unit.valid_to is None:
            continue
        heirs = directory.heirs(code, max(today, unit.valid_to))
        names = tuple(sorted(directory.name_at(heir, max(today, unit.valid_to)) for heir in heirs))
        found.append(EndingUnit(unit.name_at(today), unit.valid_to, unit.ended(today), names))
    return tuple(found)


def _words() -> dict[str, str]:
    """Vietnamese → English, from web/words/*.yaml."""
    known: dict[str, str] = {}
    for path in sorted((HERE / "words").glob("*.yaml")):
        known |= yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return known


ENGLISH = _words()


def say(lang: Lang, text: str, **values: object) -> str:
    """`text`, written in Vietnamese, in this language; `%(name)s` are filled in."""
    told = ENGLISH.get(text, text) if lang == "en" else text
    return told % values if values else told


def _number(value: float | int | None, lang: Lang, decimals: int = 0) -> str:
    """1.248 and 92,4 in Vietnamese, 1,248 and 92.4 in English; a dash for none."""
    if value is None:
        return "–"
    told = f"{value:,.{decimals}f}"
    return told if lang == "en" else told.translate({ord(","): ".", ord("."): ","})


def _environment(lang: Lang) -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: say(lang, text),
        lambda one, many, count: say(lang, one if count == 1 else many),
        newstyle=True,
    )
    made.globals |= {"icon": icon, "asset": static.url, "lang": lang, "initials": _initials}
    made.globals |= {
        "status_tone": STATUS_TONE,
        "status_icon": STATUS_ICON,
        "channel_icon": CHANNEL_ICON,
        "way_icon": WAY_ICON,
        "urgency_tone": URGENCY_TONE,
    }
    made.filters |= {
        "named": lambda code, group: name_of(group, code, lang),
        "number": lambda value, decimals=0: _number(value, lang, decimals),
        "size": _size,
        "translated": lambda text: say(lang, text),  # of sentences that are data
    }
    return made


def _initials(name: str) -> str:
    """The first letters of the last two words: a Vietnamese given name comes last."""
    return "".join(word[0] for word in name.split()[-2:]).upper()


def _size(count: int) -> str:
    return f"{count / 1_048_576:.1f} MB" if count >= 1_048_576 else f"{max(1, count // 1024)} kB"


_environments: dict[Lang, Environment] = {"vi": _environment("vi"), "en": _environment("en")}


def is_page(request: Request) -> bool:
    """Whether people, not programs, look at this path."""
    return not str(request.scope["path"]).startswith(NOT_PAGES)


def is_partial(request: Request) -> bool:
    """Whether a script on a page of ours asks for a part of it."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-boosted") != "true"


def language_of(request: Request) -> Lang:
    """What the viewer chose, else the centre's language."""
    chosen = request.cookies.get(LANG_COOKIE)
    return cast(Lang, chosen) if chosen in ("vi", "en") else state_of(request).settings.language


def _way_back(request: Request) -> str:
    """After a form: the page it stood on, else the nearest one at or above the form's own address."""
    ours = {request.headers.get("host", ""), urlsplit(state_of(request).settings.public_url).netloc}
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        page = urlsplit("")
    if page.netloc and page.netloc in ours and _opens(request, page.path):
        return page._replace(scheme="", netloc="").geturl()
    path = request.url.path
    while not _opens(request, path):
        path = path.rpartition("/")[0] or "/"
    return path


def _opens(request: Request, path: str) -> bool:
    """Whether a link to this path is answered with anything but 404 or 405 by the routes."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": [], "app": request.app}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def viewer_of(request: Request, who: Actor | None = None) -> Viewer:
    """How this request wants to see its page."""
    here = state_of(request)
    theme, token = request.cookies.get(THEME_COOKIE, "auto"), request.cookies.get(COOKIE)
    query = f"?{request.url.query}" if request.url.query and request.method in SAFE else ""
    path = request.url.path + query
    return Viewer(
        lang=language_of(request),
        theme=theme if theme in THEMES else "auto",
        at=here.clock(),
        zone=here.settings.zone,
        path=path,
        back=path if request.method in SAFE else _way_back(request),
        who=who,
        csrf=auth.csrf_token(here.key, token) if who and token else "",
        mode=here.routing.mode,
        ending=ending_units(here.routing.directory, who, here.clock().astimezone(here.settings.zone).date()),
    )


def render(
    request: Request,
    template: str,
    page: object,
    *,
    who: Actor | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A template shown with its page's dataclass: a whole page, or a part of one for a script."""
    view = viewer_of(request, who)
    environment = _environments[view.lang]
    html = environment.get_template(template).render(page=page, view=view, times=_Times(view))
    body = html.encode()
    told = {**HEADERS, "Content-Language": view.lang, "Vary": "Accept-Encoding, Cookie, HX-Request", **(headers or {})}
    if len(body) > 1_000 and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 5, mtime=0)
        told["Content-Encoding"] = "gzip"
    return HTMLResponse(body, status, told)


@dataclass(frozen=True, slots=True)
class _Times:
    """`times` in templates: web.times for this viewer."""

    view: Viewer

    def element(self, value: datetime | None, style: str = "short") -> Markup:
        """`<time>`: short, moment, day or weekday, with the whole moment in its title."""
        if value is None:
            return Markup("–")
        view = self.view
        shown = {
            "short": lambda: times.short(value, view.zone, view.at),
            "moment": lambda: times.moment(value, view.zone),
            "day": lambda: times.day(value, view.zone),
            "weekday": lambda: times.weekday(value, view.zone, view.lang),
        }[style]()
        whole = f"{times.weekday(value, view.zone, view.lang)} {value.astimezone(view.zone):%H:%M}"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(_iso(value, view), whole, shown)

    def left(self, due: datetime, opened: datetime | None = None) -> Markup:
        """`<time data-due>`: how long is left, kept true by the page's script."""
        view = self.view
        return Markup('<time class="left" datetime="{}" data-due title="{}">{}</time>').format(
            _iso(due, view), times.moment(due, view.zone), times.left(due, view.at, view.lang)
        )

    def tone(self, due: datetime, opened: datetime | None = None) -> str:
        """late, warn or calm."""
        return times.tone(due, self.view.at, opened)

    def span(self, length: timedelta) -> str:
        """2 giờ 5 phút."""
        return times.span(length, self.view.lang)

    def day(self, value: date) -> str:
        """22/11/2026."""
        return times.day(value, self.view.zone)

    def read(self, iso: str | None) -> datetime | None:
        """A moment out of a JSON shape."""
        return datetime.fromisoformat(iso) if iso else None


def _iso(value: datetime, view: Viewer) -> str:
    return value.astimezone(view.zone).isoformat(timespec="seconds")


def go(path: str) -> Response:
    """On to another page after a form."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})


def toast(text: str, tone: str = "good") -> dict[str, str]:
    """The header by which an answer to a script shows a short message."""
    return {"HX-Trigger": json.dumps({"toast": {"text": text, "tone": tone}})}


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Something is wrong: what, and what to do."""

    status: int
    title: str
    detail: str
    errors: list[dict[str, Any]]


def error_page(request: Request, page: ErrorPage, headers: Mapping[str, str]) -> Response:
    """The page of a problem; for a script a short message; to sign in first when that is what is missing."""
    kept = {name: value for name, value in headers.items() if name.lower() in ("retry-after", "allow")}
    if page.status == 401:
        view = viewer_of(request)
        back = view.path if request.method in SAFE and not is_partial(request) else "/console"
        to = f"/sign-in?next={quote(back, safe='')}"
        return Response(status_code=401, headers={"HX-Redirect": to}) if is_partial(request) else go(to)
    if is_partial(request):
        kept |= {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
        return render(request, "toast.html", page, status=page.status, headers=kept)
    return render(request, "error.html", page, status=page.status, headers=kept)

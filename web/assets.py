"""Files of our own host that pages load: held in memory, compressed once, named by their content."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, max-age=3600"
_TEXTS = ("text/", "application/json", "image/svg+xml")
_TYPES = {".woff2": "font/woff2", ".js": "text/javascript", ".webmanifest": "application/manifest+json"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, the same compressed where that helps, its media type and the start of its SHA-256."""

    plain: bytes
    packed: bytes | None
    media_type: str
    version: str


class Assets:
    """All files under one folder, as an ASGI application to mount and as a namer of addresses for templates."""

    def __init__(self, folder: Path, mounted_at: str) -> None:
        self.mounted_at = mounted_at
        self.files = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }

    def url(self, name: str) -> str:
        """Where a file is; changes when the file does. KeyError for a file that is not there."""
        return f"{self.mounted_at}/{name}?v={self.files[name].version}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file. Compressed when the client takes it; for ever when asked for by its version."""
        request = Request(scope)
        path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        found = self.files.get(path)
        if found is None or request.method not in ("GET", "HEAD"):
            await Response(status_code=404 if found is None else 405)(scope, receive, send)
            return
        headers = {
            "ETag": f'"{found.version}"',
            "Cache-Control": FOREVER if request.query_params.get("v") == found.version else ASK_AGAIN,
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            await Response(status_code=304, headers=headers)(scope, receive, send)
            return
        body = found.plain
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = found.packed
            headers["Content-Encoding"] = "gzip"
        await Response(body, 200, headers, found.media_type)(scope, receive, send)


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = gzip.compress(plain, 9, mtime=0) if media_type.startswith(_TEXTS) and len(plain) > 500 else None
    return Asset(plain, packed, media_type, hashlib.sha256(plain).hexdigest()[:12])


static = Assets(FOLDER, "/static")
_ICONS = {
    Path(name).stem: asset.plain.decode()
    for name, asset in static.files.items()
    if name.startswith("vendor/tabler-icons/") and name.endswith(".svg")
}
_PATHS = {name: svg[svg.index("<path") : svg.rindex("</svg>")].strip() for name, svg in _ICONS.items()}


def icon(name: str, label: str = "", size: int = 20) -> Markup:
    """A Tabler icon, drawn in the page: decoration unless it has a `label`. KeyError for one that is not vendored."""
    paint = 'fill="currentColor"' if name.endswith("-filled") else 'fill="none" stroke="currentColor" stroke-width="2"'
    told = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup(
        f'<svg class="icon" width="{size}" height="{size}" viewBox="0 0 24 24" {paint} stroke-linecap="round" '
        f'stroke-linejoin="round" {told}>{_PATHS[name].replace(_NOTHING, "")}</svg>'
    )


_NOTHING = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'

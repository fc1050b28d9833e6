"""The receipt: code, key, the link and its picture for a camera, and by when what happens."""

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote

import segno
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from web.deps import state_of
from web.portal import keys, telling
from web.rendering import render, viewer_of


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """What the reporter keeps. `spoken` is the code letter by letter, `link` opens the report with its key."""

    code: str
    spoken: str
    key: str
    link: str
    picture: Markup
    received_at: datetime
    steps: list[str]


def show_receipt(request: Request, shown: dict[str, Any], key: str) -> Response:
    """The receipt of a report, from its shape for its reporter or from intake's answer."""
    view, code = viewer_of(request), str(shown["code"])
    base = state_of(request).settings.public_url.rstrip("/")
    link = f"{base}{keys.PATH}?code={quote(code)}&key={quote(key)}"
    return render(
        request,
        "portal/receipt.html",
        ReceiptPage(
            code=code,
            spoken=" ".join(code.replace("-", " – ")),
            key=key,
            link=link,
            picture=_picture(link),
            received_at=datetime.fromisoformat(shown["received_at"]),
            steps=telling.promises(shown, view.at, view.zone, view.lang),
        ),
        headers={"X-Robots-Tag": "noindex"},
    )


def _picture(link: str) -> Markup:
    """The link as a QR code, drawn in the page; dark on light in both themes, as cameras want it."""
    drawn = BytesIO()
    segno.make(link, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=4, dark="#000000", light="#ffffff",
        svgclass="qr", lineclass=None, nl=False,
    )  # fmt: skip
    return Markup(drawn.getvalue().decode())

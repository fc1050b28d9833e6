"""A stand-in for Telegram's Bot API and for the updates it pushes.

    python tests/fakes/telegram.py --port 9404

A process of its own that shares no code with the adapters. Under `/_control` (see vendor.py) a test also has:
`person`, `chat`, `say`, `press`, `block`.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile

sys.path[0] = str(Path(__file__).parents[2])  # not this folder, whose files are named as packages are

from tests.fakes.telegram_bot import LINK, Refused, Telegram  # noqa: E402
from tests.fakes.vendor import Json, application, serve  # noqa: E402

MOST_TEXT, MOST_CAPTION = 4096, 1024
MOST_DOWN, MOST_UP = 20 << 20, 50 << 20


async def given_of(request: Request) -> Json:
    """Parameters from the query, a form or JSON; in forms, what is not plain text is JSON."""
    given: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            raise Refused(400, "Bad Request: can't parse JSON object") from None
        return given | (body if isinstance(body, dict) else {})
    async with request.form() as form:
        for name, value in form.items():
            if isinstance(value, UploadFile):
                given[name] = (value.filename or "", value.content_type or "", await value.read())
            elif name in ("reply_parameters", "reply_markup", "allowed_updates"):
                given[name] = json.loads(value)
            else:
                given[name] = value
    return given


def send_message(bot: Telegram, given: Json) -> Json:
    where = bot.writable(given)
    text = str(given.get("text", ""))
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if len(text) > MOST_TEXT:
        raise Refused(400, "Bad Request: message is too long")
    return bot.arrived(where, given, "text", {"text": text}, text)


def send_file(bot: Telegram, given: Json, kind: str) -> Json:
    """sendPhoto and sendDocument: a file in the request, `attach://` one, one known already, or a link."""
    where = bot.writable(given)
    caption = str(given.get("caption", ""))
    if len(caption) > MOST_CAPTION:
        raise Refused(400, "Bad Request: message caption is too long")
    file = given.get(kind)
    if isinstance(file, str) and file.startswith("attach://"):
        file = given.get(file.removeprefix("attach://"))
    if isinstance(file, tuple):
        name, media_type, content = file
        if len(content) > MOST_UP:
            raise Refused(413, "Request Entity Too Large")
    elif isinstance(file, str) and file in bot.files:
        name, media_type, content = bot.files[file]
    elif isinstance(file, str) and file.startswith("http"):
        name, media_type, content = "link.jpg", "image/jpeg", b""
    else:
        raise Refused(400, f"Bad Request: there is no {kind} in the request")
    kept = bot.kept(f"{kind}s", name or "file", media_type, content)
    if kind == "photo":
        part: Json = {"photo": [kept | {"width": 1280, "height": 1280}]}
    else:
        part = {"document": kept | {"file_name": name, "mime_type": media_type}}
    made = bot.arrived(where, given, kind, part | ({"caption": caption} if caption else {}), caption)
    bot.sent[-1] |= {"file_id": kept["file_id"], "name": name, "size": len(content)}
    return made


def send_location(bot: Telegram, given: Json) -> Json:
    where = bot.writable(given)
    place = {name: float(given[name]) for name in ("latitude", "longitude")}
    return bot.arrived(where, given, "location", {"location": place}, "")


def get_file(bot: Telegram, given: Json) -> Json:
    path, media_type, content = bot.files.get(str(given.get("file_id")), ("", "", b""))
    if not path:
        raise Refused(400, "Bad Request: invalid file_id")
    if len(content) > MOST_DOWN:
        raise Refused(400, "Bad Request: file is too big")
    bot.put(f"file/{path}", media_type, content, LINK)
    made = {"file_id": given["file_id"], "file_unique_id": "AQAD" + str(given["file_id"])[-10:]}
    return made | {"file_size": len(content), "file_path": path}


def set_webhook(bot: Telegram, given: Json) -> bool:
    secret = str(given.get("secret_token", ""))
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
        raise Refused(400, "Bad Request: secret token contains unallowed characters")
    url = str(given.get("url", ""))
    if url and not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise Refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
    if given.get("drop_pending_updates"):
        bot.pending.clear()
        bot.forget()
    told = bot.told
    told.webhook_url, told.secret_token = url, secret
    told.allowed_updates = list(given.get("allowed_updates") or [])
    bot.last_error = {}
    if url:
        bot.catch_up()
    return True


def delete_webhook(bot: Telegram, given: Json) -> bool:
    return set_webhook(bot, {"drop_pending_updates": given.get("drop_pending_updates")})


def webhook_info(bot: Telegram, given: Json) -> Json:
    info: Json = {"url": bot.told.webhook_url, "has_custom_certificate": False}
    info |= {"pending_update_count": bot.waiting(), "max_connections": 40, **bot.last_error}
    return info | ({"allowed_updates": bot.told.allowed_updates} if bot.told.allowed_updates else {})


def get_updates(bot: Telegram, given: Json) -> list[Json]:
    if bot.told.webhook_url:
        words = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete it first"
        raise Refused(409, words)
    bot.pending = [each for each in bot.pending if each["update_id"] >= int(given.get("offset", 0))]
    return bot.pending[: int(given.get("limit", 100))]


METHODS: dict[str, Callable[[Telegram, Json], Any]] = {
    "getme": lambda bot, given: bot.bot() | {"can_join_groups": True, "can_read_all_group_messages": False},
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": webhook_info,
    "getupdates": get_updates,
    "sendmessage": send_message,
    "sendphoto": lambda bot, given: send_file(bot, given, "photo"),
    "senddocument": lambda bot, given: send_file(bot, given, "document"),
    "sendlocation": send_location,
    "sendchataction": lambda bot, given: bool(bot.writable(given)),
    "answercallbackquery": lambda bot, given: True,
    "setmycommands": lambda bot, given: True,
    "getfile": get_file,
}


def rest(bot: Telegram) -> APIRouter:
    """api.telegram.org."""
    router = APIRouter()

    @router.api_route("/bot{token}/{method}", methods=["GET", "POST"])
    async def call(request: Request, token: str, method: str) -> JSONResponse:
        try:
            if token != bot.told.token:
                raise Refused(401, "Unauthorized")
            act = METHODS.get(method.lower())
            if act is None:
                raise Refused(404, "Not Found")
            bot.counters[method] += 1
            return JSONResponse({"ok": True, "result": act(bot, await given_of(request))})
        except Refused as refused:
            bot.counters[f"error {refused.status}"] += 1
            body: Json = {"ok": False, "error_code": refused.status, "description": refused.description}
            body |= {"parameters": refused.parameters} if refused.parameters else {}
            return JSONResponse(body, refused.status)

    @router.get("/file/bot{token}/{path:path}")
    async def file(token: str, path: str) -> Response:
        if token != bot.told.token:
            return JSONResponse({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401)
        found = bot.file(f"file/{path}")
        missing = {"ok": False, "error_code": 404, "description": "Not Found"}
        return found if found.status_code == 200 else JSONResponse(missing, 404)

    return router


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    bot = Telegram()
    app = application(bot)
    app.include_router(rest(bot))
    serve(bot, app, given.host, given.port)


if __name__ == "__main__":
    main()

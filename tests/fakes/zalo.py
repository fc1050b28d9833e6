"""A stand-in for Zalo's Official Account interface: OAuth, messages, uploads, templates, signed webhooks.

    python tests/fakes/zalo.py --port 9402

A process of its own that shares no code with the adapters. All three of Zalo's hosts are this one address. Under
`/_control` (see vendor.py) a test also has: `user`, `say`, `act`, `oa_says`, `grant`, `consent`, `revoke`, `register`.
"""

import argparse
import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import UploadFile

sys.path[0] = str(Path(__file__).parents[2])  # not this folder, whose files are named as packages are

from tests.fakes.vendor import Json, application, serve  # noqa: E402
from tests.fakes.zalo_oa import FREE, MEDIA, WINDOW, Refused, Zalo  # noqa: E402

HANOI = timezone(timedelta(hours=7))
MOST_TEXT = 2000
MEGA = 1 << 20
# Path → endings taken, bytes at most, what the answer calls its handle.
UPLOADS = {
    "image": (("jpg", "jpeg", "png"), MEGA, "attachment_id"),
    "gif": (("gif",), 5 * MEGA, "attachment_id"),
    "file": (("pdf", "doc", "docx", "csv"), 5 * MEGA, "token"),
}
BAD_TOKEN, EXPIRED, BAD_PARAMETER, TOO_MUCH, RATE, PROOF = -216, -220, -201, -210, -32, -242


def oauth(zalo: Zalo) -> APIRouter:
    """oauth.zaloapp.com."""
    router = APIRouter(prefix="/v4/oa")

    def failed(name: str, reason: str, code: int) -> JSONResponse:
        body: Json = {"error_name": name, "error_reason": reason, "error_description": reason}
        return JSONResponse(body | ({"error": code} if zalo.told.oauth_codes else {}))

    @router.get("/permission")
    async def permission(app_id: str, redirect_uri: str, state: str = "") -> Response:
        """An administrator who consents at once."""
        told = zalo.told
        if app_id != told.app_id:
            return failed("Invalid app id", "app is not active", -14002)
        if told.redirect_uri not in ("", redirect_uri):
            return failed("Invalid redirect uri", "redirect uri is not registered", -14003)
        query = {"code": await zalo.control_consent({}), "oa_id": told.oa_id} | ({"state": state} if state else {})
        return RedirectResponse(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(query)}", 302)

    @router.post("/access_token")
    async def access_token(request: Request) -> JSONResponse:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        zalo.counters["token requests"] += 1
        if request.headers.get("secret_key") != zalo.told.app_secret or form.get("app_id") != zalo.told.app_id:
            return failed("Invalid app", "app id or secret key is wrong", -14002)
        now = zalo.now()
        match form.get("grant_type"):
            case "authorization_code":
                if zalo.codes.pop(form.get("code", ""), 0) < now or not zalo.verified(form.get("code_verifier", "")):
                    return failed("Invalid grant", "code is invalid, used or expired", -118)
            case "refresh_token":
                given = form.get("refresh_token", "")
                if zalo.refresh.get(given, 0) < now:
                    zalo.counters["refresh refused"] += 1
                    return failed("Invalid refresh token", "refresh token is invalid, used or expired", -14014)
                zalo.refresh[given] = 0
                zalo.counters["refreshes"] += 1
            case _:
                return failed("Invalid grant", "grant_type is unknown", -118)
        return JSONResponse(zalo.pair())

    return router


def admitted(zalo: Zalo, request: Request, bad_token: int = BAD_TOKEN) -> None:
    """Whether the token is good and the minute is not full."""
    token = request.headers.get("access_token", "")
    until = zalo.access.get(token)
    if until is None:
        raise Refused(bad_token, "Access token is invalid")
    if until < zalo.now():
        raise Refused(bad_token if bad_token != BAD_TOKEN else EXPIRED, "Access token has expired")
    proof = hmac.new(zalo.told.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    if zalo.told.proof_needed and request.headers.get("appsecret_proof") != proof:
        raise Refused(PROOF, "appsecret_proof is invalid")
    zalo.calls = [at for at in zalo.calls if at > zalo.now() - 60]
    if len(zalo.calls) >= zalo.told.calls_per_minute:
        raise Refused(RATE, "Your application reached the limit of calls per minute")
    zalo.calls.append(zalo.now())


def enveloped(zalo: Zalo, work: Callable[[], Any]) -> JSONResponse:
    """What comes of it in Zalo's envelope, always with HTTP 200."""
    try:
        body: Json = {"error": 0, "message": "Success", "data": work()}
    except Refused as refused:
        zalo.counters[f"error {refused.code}"] += 1
        body = {"error": refused.code, "message": refused.message}
    limit = zalo.told.calls_per_minute
    left = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remain": str(max(0, limit - len(zalo.calls)))}
    return JSONResponse(body, headers=left)


async def json_of(request: Request) -> Json:
    try:
        found = json.loads(await request.body())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Consult:
    """A message of the desk to a person who wrote within the window."""

    def __init__(self, zalo: Zalo, body: Json) -> None:
        self.zalo, self.body = zalo, body
        self.message: Json = body.get("message") or {}

    def send(self) -> Json:
        zalo = self.zalo
        zalo.due_refusal()
        uid = str((self.body.get("recipient") or {}).get("user_id", ""))
        user = zalo.writable(uid)
        kind, row = self.checked()
        mid = uuid4().hex
        billed = zalo.now() - user["last"] > FREE
        zalo.arrived(uid, kind, row, {"id": mid, "to": uid, "kind": kind, "billed": billed, **row})
        data: Json = {"message_id": mid, "user_id": uid}
        if billed:
            data["quota"] = {
                "quota_type": "sub_quota", "remain": "499", "total": "500", "owner_type": "OA",
                "expired_date": "31/12/2026",
            }  # fmt: skip
        return data

    def checked(self) -> tuple[str, Json]:
        """Its kind and what it says."""
        message = self.message
        row: Json = {}
        if "text" in message:
            if not isinstance(message["text"], str) or not message["text"].strip():
                raise Refused(BAD_PARAMETER, "text is invalid")
            if len(message["text"]) > MOST_TEXT:
                raise Refused(TOO_MUCH, f"text is longer than {MOST_TEXT} characters")
            row["text"] = message["text"]
        if "quote_message_id" in message:
            if message["quote_message_id"] not in self.zalo.messages:
                raise Refused(BAD_PARAMETER, "quote_message_id is invalid")
            row["quote"] = message["quote_message_id"]
        attachment = message.get("attachment")
        if attachment is None:
            if "text" not in row:
                raise Refused(BAD_PARAMETER, "message is empty")
            return "text", row
        payload = attachment.get("payload") or {}
        if attachment.get("type") == "file":
            row["token"] = self.upload(payload.get("token", ""), ("file",))
            return "file", row
        if attachment.get("type") != "template":
            raise Refused(BAD_PARAMETER, "attachment type is invalid")
        kind, element = self.element(payload)
        return kind, row | element

    def element(self, payload: Json) -> tuple[str, Json]:
        elements = payload.get("elements") or []
        if len(elements) != 1:
            raise Refused(BAD_PARAMETER, "elements must be one")
        [element] = elements
        if payload.get("template_type") == "request_user_info":
            if not all(element.get(name) for name in ("title", "subtitle", "image_url")):
                raise Refused(BAD_PARAMETER, "title, subtitle and image_url are needed")
            return "request_user_info", {"title": element["title"]}
        kind = element.get("media_type")
        if payload.get("template_type") != "media" or kind not in ("image", "gif", "sticker"):
            raise Refused(BAD_PARAMETER, "media_type is invalid")
        if ("url" in element) == ("attachment_id" in element):
            raise Refused(BAD_PARAMETER, "exactly one of url and attachment_id")
        if kind == "gif" and not (element.get("width") and element.get("height")):
            raise Refused(BAD_PARAMETER, "width and height are needed")
        if "url" in element:
            return kind, {"url": element["url"]}
        wanted = (kind,) if kind != "sticker" else ("image",)
        return kind, {"attachment_id": self.upload(element["attachment_id"], wanted)}

    def upload(self, handle: str, kinds: tuple[str, ...]) -> str:
        kind, until = self.zalo.uploads.get(handle, ("", 0.0))
        if kind not in kinds:
            raise Refused(BAD_PARAMETER, "attachment is invalid")
        if until < self.zalo.now():
            raise Refused(-100, "attachment has expired")
        return handle


def second_version(zalo: Zalo, body: Json) -> Json:
    """/v2.0/oa/message: answers to people without a name, and reactions; anything else is shut."""
    zalo.due_refusal()
    recipient, message = body.get("recipient") or {}, body.get("message") or {}
    if "anonymous_id" in recipient:
        user = zalo.users.get(recipient["anonymous_id"], {})
        if not user.get("conversation") or user["conversation"] != recipient.get("conversation_id"):
            raise Refused(BAD_PARAMETER, "conversation_id is invalid")
        mid, to, text = uuid4().hex, recipient["anonymous_id"], message.get("text", "")
        zalo.note(id=mid, to=to, kind="anonymous", text=text)
        if zalo.told.echo:
            said = {"msg_id": mid, "text": text, "conversation_id": user["conversation"]}
            sides = {"sender": {"id": zalo.told.oa_id}, "recipient": {"id": to}}
            zalo.tell("oa_send_anonymous_text", sides | {"message": said})
        return {"message_id": mid, "anonymous_id": to, "conversation_id": user["conversation"]}
    if "sender_action" in body:
        action = body["sender_action"]
        if action.get("react_message_id") not in zalo.messages:
            raise Refused(BAD_PARAMETER, "react_message_id is invalid")
        made = zalo.note(id=uuid4().hex, to=recipient.get("user_id"), kind="reaction", text=action.get("react_icon"))
        return {"message_id": made["id"], "user_id": made["to"]}
    raise Refused(-240, "This API has been shut down, use v3.0")


def filled(zalo: Zalo, body: Json, unknown: int, wrong: int) -> tuple[str, Json]:
    """The template and what fills it, each parameter given and none too long."""
    template, data = str(body.get("template_id", "")), body.get("template_data")
    if template not in zalo.told.templates:
        raise Refused(unknown, "template is invalid")
    if not isinstance(data, dict) or {*data} != {*zalo.told.templates[template]}:
        raise Refused(wrong, "template_data does not fit the template")
    return template, data


def template_to_user(zalo: Zalo, body: Json) -> Json:
    zalo.due_refusal()
    uid = str(body.get("user_id", ""))
    if uid not in zalo.users:
        raise Refused(BAD_PARAMETER, "user_id is invalid")
    template, data = filled(zalo, body, BAD_PARAMETER, BAD_PARAMETER)
    if template in zalo.told.phone_only:
        raise Refused(-249, "template cannot be sent by user id")
    mid = uuid4().hex
    zalo.arrived(uid, "template", {}, {"id": mid, "to": uid, "kind": "template", "template": template, "data": data})
    return {"message_id": mid, "user_id": uid}


def template_to_phone(zalo: Zalo, body: Json) -> Json:
    """business.openapi.zalo.me: an answer and a receipt of other shapes than those of the OA's host."""
    zalo.due_refusal()
    phone, tracking = str(body.get("phone", "")), str(body.get("tracking_id", ""))
    if not (phone.isdecimal() and phone.startswith("84") and 11 <= len(phone) <= 12):
        raise Refused(-108, "Phone number is invalid")
    template, data = filled(zalo, body, -109, -1122)
    if len(tracking) > 48:
        raise Refused(-1121, "tracking_id is too long")
    if zalo.told.balance <= 0:
        raise Refused(-115, "Out of balance")
    at = datetime.fromtimestamp(zalo.now(), HANOI)
    if zalo.told.night_guard and not 6 <= at.hour < 22:
        raise Refused(-133, "Sending is not allowed at night")
    if not any(user["phone"] == phone for user in zalo.users.values()):
        raise Refused(-118, "Zalo account does not exist")
    mid, stamp = uuid4().hex[:20], str(int(zalo.now() * 1000))
    zalo.statuses[mid] = {"delivery_time": stamp, "message": "The user received the message", "status": 1}
    zalo.told.balance -= 300 if body.get("mode") != "development" else 0
    zalo.note(id=mid, to=phone, kind="phone template", template=template, data=data, tracking_id=tracking)
    if "received" in zalo.told.receipts:
        told = {"delivery_time": stamp, "msg_id": mid, "tracking_id": tracking}
        event = {"sender": {"id": zalo.told.oa_id}, "recipient": {"id": phone}, "message": told}
        zalo.tell("user_received_message", event, **{"X-ZEvent-Server": "ZNS"})
    quota = {"dailyQuota": "500", "remainingQuota": "499"}
    return {"msg_id": mid, "sent_time": stamp, "sending_mode": str(body.get("sending_mode", "1")), "quota": quota}


def taken_up(zalo: Zalo, kind: str, name: str, content: bytes) -> Json:
    """An upload, checked by its ending and size."""
    endings, most, handle = UPLOADS[kind]
    if zalo.told.uploads_left <= 0:
        raise Refused(-211, "Out of quota for uploads this month")
    if name.rpartition(".")[2].lower() not in endings:
        raise Refused(BAD_PARAMETER, "file type is invalid")
    if len(content) > most:
        raise Refused(TOO_MUCH, f"file is larger than {most // MEGA} MB")
    zalo.told.uploads_left -= 1
    made = uuid4().hex
    zalo.uploads[made] = (kind, zalo.now() + MEDIA)
    zalo.media[f"uploaded/{made}"] = ("application/octet-stream", content, zalo.now() + MEDIA)
    zalo.counters["uploads"] += 1
    return {handle: made}


def detail(zalo: Zalo, uid: str) -> Json:
    user = zalo.users.get(uid)
    if user is None:
        raise Refused(BAD_PARAMETER, "user_id is invalid")
    last = datetime.fromtimestamp(user["last"] or 0, UTC).astimezone(HANOI)
    return {
        "user_id": uid, "user_id_by_app": user.get("by_app", ""), "display_name": user["name"], "user_alias": "",
        "user_is_follower": user["follower"], "user_last_interaction_date": last.strftime("%d/%m/%Y"),
        "avatar": "", "avatars": {"120": "", "240": ""}, "shared_info": user["shared"],
    }  # fmt: skip


def quota(zalo: Zalo, body: Json) -> Any:
    uid = body.get("user_id")
    if uid is None:
        return [{"asset_id": "a1", "product_type": "cs", "quota_type": "sub_quota", "total": 500, "remain": 499}]
    last = zalo.user(uid)["last"]
    open_ = last is not None and zalo.now() - last <= WINDOW
    left = {"remain": 1000 if open_ else 0, "total": 1000}
    return {"last_interaction": str(int((last or 0) * 1000)), "cs_reply": left}


def oa(zalo: Zalo) -> APIRouter:
    """openapi.zalo.me and business.openapi.zalo.me."""
    router = APIRouter()

    def posted(path: str, work: Callable[[Zalo, Json], Any], bad_token: int = BAD_TOKEN) -> None:
        async def answer(request: Request) -> JSONResponse:
            body = await json_of(request)

            def whole() -> Any:
                admitted(zalo, request, bad_token)
                return work(zalo, body)

            return enveloped(zalo, whole)

        router.add_api_route(path, answer, methods=["POST"])

    def asked(path: str, work: Callable[[Json], Any], bad_token: int = BAD_TOKEN) -> None:
        """GET with its one parameter `data`, a JSON object; Zalo's other host takes plain parameters."""

        async def answer(request: Request) -> JSONResponse:
            def whole() -> Any:
                admitted(zalo, request, bad_token)
                if bad_token != BAD_TOKEN:
                    return work(dict(request.query_params))
                try:
                    data = json.loads(request.query_params.get("data", "{}"))
                except ValueError:
                    raise Refused(BAD_PARAMETER, "data is invalid") from None
                return work(data)

            return enveloped(zalo, whole)

        router.add_api_route(path, answer, methods=["GET"])

    def page(rows: list[Json], data: Json) -> list[Json]:
        start, count = int(data.get("offset", 0)), int(data.get("count", 5))
        if count > 10:
            raise Refused(BAD_PARAMETER, "count must be at most 10")
        return rows[start : start + count]

    def recent(data: Json) -> list[Json]:
        newest: dict[str, Json] = {}
        for row in zalo.history:
            newest.setdefault(row["from_id"] if row["src"] else row["to_id"], row)
        return page(list(newest.values()), data)

    def conversation(data: Json) -> list[Json]:
        uid = str(data.get("user_id", ""))
        return page([row for row in zalo.history if uid in (row["from_id"], row["to_id"])], data)

    def listed(data: Json) -> Json:
        start, count = int(data.get("offset", 0)), int(data.get("count", 50))
        if count > 50 or start > 9951:
            raise Refused(BAD_PARAMETER, "offset or count is invalid")
        users = [{"user_id": uid} for uid in zalo.users]
        return {"total": len(users), "count": count, "offset": start, "users": users[start : start + count]}

    def getoa(data: Json) -> Json:
        return {
            "oa_id": zalo.told.oa_id, "name": "Tổng đài 1022", "is_verified": True, "package_name": "Nâng cao",
            "linked_ZCA": "", "num_follower": sum(user["follower"] for user in zalo.users.values()),
        }  # fmt: skip

    def status(data: Json) -> Json:
        found = zalo.statuses.get(data.get("message_id", ""))
        return found or {"delivery_time": "", "message": "The message does not exist", "status": -1}

    posted("/v3.0/oa/message/cs", lambda zalo, body: Consult(zalo, body).send())
    posted("/v3.0/oa/message/template", template_to_user)
    posted("/v2.0/oa/message", second_version)
    posted("/v3.0/oa/quota/message", quota)
    posted("/message/template", template_to_phone, -124)
    asked("/message/status", status, -124)
    asked("/v2.0/oa/getoa", getoa)
    asked("/v3.0/oa/user/detail", lambda data: detail(zalo, str(data.get("user_id", ""))))
    asked("/v3.0/oa/user/getlist", listed)
    asked("/v2.0/oa/conversation", conversation)
    asked("/v2.0/oa/listrecentchat", recent)

    @router.post("/v2.0/oa/upload/{kind}")
    async def upload(request: Request, kind: str) -> Response:
        if kind not in UPLOADS:
            return Response(status_code=404)
        async with request.form() as form:
            given = form.get("file")
            name, content = "", b""
            if isinstance(given, UploadFile):
                name, content = given.filename or "", await given.read()

        def whole() -> Json:
            admitted(zalo, request)
            return taken_up(zalo, kind, name, content)

        return enveloped(zalo, whole)

    @router.get("/photo/{path:path}")
    async def photo(path: str) -> Response:
        return zalo.file(f"photo/{path}")

    return router


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    zalo = Zalo()
    app = application(zalo)
    app.include_router(oauth(zalo))
    app.include_router(oa(zalo))
    serve(zalo, app, given.host, given.port)


if __name__ == "__main__":
    main()

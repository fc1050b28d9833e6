"""A stand-in for Facebook's Graph API, as far as a Page's messages and comments need it, and for its webhooks.

    python tests/fakes/graph.py --port 9403

A process of its own that shares no code with the adapters. Under `/_control` (see vendor.py) a test also has: `user`,
`say`, `act`, `page_says`, `comment`, `register`.
"""

import argparse
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile

sys.path[0] = str(Path(__file__).parents[2])  # not this folder, whose files are named as packages are

from tests.fakes.graph_page import FIELDS, Graph, Refused  # noqa: E402
from tests.fakes.vendor import Json, application, digits, serve  # noqa: E402

MOST_TEXT = 2000
RETRACTED = "Unsupported request. Object does not exist or cannot be loaded due to missing permissions"


async def given_of(request: Request) -> Json:
    """Parameters from wherever the Graph API takes them: query, form or JSON; a form's values may be JSON."""
    given: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            raise Refused(100, "(#100) The request body is not JSON") from None
        return given | (body if isinstance(body, dict) else {})
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        async with request.form() as form:
            for name, value in form.items():
                if isinstance(value, UploadFile):
                    given[name] = await value.read()
                elif value[:1] in ("{", "["):
                    given[name] = json.loads(value)
                else:
                    given[name] = value
    return given


def admitted(graph: Graph, request: Request, given: Json) -> None:
    """The token, and the proof that whoever has it has the secret too."""
    token = given.get("access_token") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token:
        raise Refused(2500, "An active access token must be used to query information about the current user.")
    if token != graph.told.token:
        raise Refused(190, "Invalid OAuth access token - Cannot parse access token")
    proof = given.get("appsecret_proof")
    if proof is None and graph.told.proof_needed:
        raise Refused(100, "API calls from the server require an appsecret_proof argument", kind="GraphMethodException")
    right = hmac.new(graph.told.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    if proof not in (None, right):
        raise Refused(100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")


def checked(graph: Graph, message: Any) -> Json:
    """What a message says, if it may be said so."""
    if not isinstance(message, dict) or ("text" in message) == ("attachment" in message):
        raise Refused(100, "(#100) Must have either text or attachment")
    row: Json = {"kind": "text"}
    if "text" in message:
        if not message["text"] or len(message["text"]) > MOST_TEXT:
            raise Refused(100, f"(#100) Length of param message[text] must be less than or equal to {MOST_TEXT}")
        row["text"] = message["text"]
    else:
        attachment = message["attachment"]
        row["kind"] = attachment.get("type")
        payload = attachment.get("payload") or {}
        if row["kind"] not in ("image", "audio", "video", "file", "template"):
            raise Refused(100, "(#100) Param message[attachment][type] is invalid")
        if "attachment_id" in payload:
            if payload["attachment_id"] not in graph.uploads:
                raise Refused(100, "(#100) Invalid attachment id", 2018074)
            row["attachment_id"] = payload["attachment_id"]
        elif row["kind"] != "template":
            row["url"] = payload.get("url")
            if not row["url"]:
                raise Refused(100, "(#100) Incorrect number of files uploaded. Must upload exactly one file.")
    if "quick_replies" in message:
        row["quick_replies"] = message["quick_replies"]
    if "reply_to" in message:
        if message["reply_to"].get("mid") not in graph.messages:
            raise Refused(100, "(#100) Invalid reply_to")
        row["reply_to"] = message["reply_to"]["mid"]
    return row


def attach(graph: Graph, given: Json) -> None:
    """A file in the same request takes the place of a link to one."""
    file, message = given.get("filedata"), given.get("message")
    if isinstance(file, bytes) and isinstance(message, dict) and "attachment" in message:
        made = digits(16)
        graph.uploads[made] = file
        message["attachment"].setdefault("payload", {})["attachment_id"] = made


def send(graph: Graph, given: Json) -> Json:
    told = graph.told
    if told.refuse:
        code, subcode = told.refuse.pop(0)
        raise Refused(code, f"(#{code}) refused as told", subcode, status=500 if code in (1, 2, 1200) else 400)
    now = graph.now()
    graph.sends = [at for at in graph.sends if at > now - 1]
    if told.sends_per_second and len(graph.sends) >= told.sends_per_second:
        raise Refused(613, "(#613) Calls to this api have exceeded the rate limit.")
    recipient = given.get("recipient") or {}
    attach(graph, given)
    if "sender_action" in given:
        graph.may_write(str(recipient.get("id", "")), {})
        return {"recipient_id": recipient["id"]}
    row = checked(graph, given.get("message"))
    if "comment_id" in recipient:
        uid = graph.comment_author(str(recipient["comment_id"]))
        row["comment_id"] = recipient["comment_id"]
    else:
        uid = str(recipient.get("id", ""))
        graph.may_write(uid, given)
        row |= {"messaging_type": given.get("messaging_type", "RESPONSE"), "tag": given.get("tag")}
    graph.sends.append(now)
    return {"recipient_id": uid, "message_id": graph.arrived(uid, given["message"], row)}


def upload(graph: Graph, given: Json) -> Json:
    """message_attachments: a file, or a link we would be asked for."""
    attach(graph, given)
    row = checked(graph, given.get("message"))
    made: str = row.get("attachment_id") or digits(16)
    graph.uploads.setdefault(made, b"")
    graph.counters["uploads"] += 1
    return {"attachment_id": made}


def subscribe(graph: Graph, given: Json) -> Json:
    asked = str(given.get("subscribed_fields", "")).split(",")
    known = {*FIELDS, "standby", "messaging_handovers", "message_reactions", "messaging_referrals", "message_edits"}
    if not {*asked} <= known:
        raise Refused(100, "(#100) Param subscribed_fields must be one of the known fields")
    graph.told.fields, graph.told.subscribed = asked, True
    return {"success": True}


def on_comment(graph: Graph, comment: str, given: Json) -> Json:
    kept = graph.comments.get(comment)
    if kept is None:
        raise Refused(100, RETRACTED, 33, "GraphMethodException")
    hide = given.get("is_hidden")
    if hide is not None:
        kept["hidden"] = str(hide).lower() == "true"
    return {"success": True}


def comment_on(graph: Graph, parent: str, given: Json) -> Json:
    if parent not in graph.comments and not parent.startswith(graph.told.page + "_"):
        raise Refused(100, RETRACTED, 33, "GraphMethodException")
    if not given.get("message"):
        raise Refused(100, "(#100) Parameter message is required")
    made = f"{parent.partition('_')[0]}_{digits(15)}"
    graph.comments[made] = {"id": made, "user": graph.told.page, "at": graph.now(), "answered": False, "hidden": False}
    graph.note(id=made, to=parent, kind="comment", text=given["message"])
    value = {
        "item": "comment", "verb": "add", "comment_id": made, "parent_id": parent, "message": given["message"],
        "post_id": f"{graph.told.page}_1022", "created_time": int(graph.now()),
        "from": {"id": graph.told.page, "name": "Tổng đài 1022"},
    }  # fmt: skip
    graph.tell("feed", "changes", {"field": "feed", "value": value}, "comment")
    return {"id": made}


def looked_up(graph: Graph, node: str, fields: str) -> Json:
    """The Page, or a person who has written to it."""
    wanted = [each for each in fields.split(",") if each]
    if node in ("me", graph.told.page):
        page = {"id": graph.told.page, "name": "Tổng đài 1022"}
        return {name: page[name] for name in (wanted or ["name", "id"]) if name in page} | {"id": page["id"]}
    if node in graph.comments:
        return {"id": node, "is_hidden": graph.comments[node]["hidden"]}
    user = graph.users.get(node)
    if user is None or graph.told.private:
        raise Refused(100, "(#100) No profile available for this user.", 2018218)
    person = {"first_name": user["first"], "last_name": user["last"], "profile_pic": "", "id": node}
    person["name"] = f"{user['first']} {user['last']}"
    return {name: person[name] for name in [*wanted, "id"] if name in person}


def rest(graph: Graph) -> APIRouter:
    """graph.facebook.com."""
    router = APIRouter()

    async def answered(request: Request, version: str, work: Callable[[Json], Awaitable[Json]]) -> JSONResponse:
        trace = {"x-fb-trace-id": uuid4().hex[:11]}
        try:
            if not re.fullmatch(r"v[0-9]+\.[0-9]+", version):
                raise Refused(2500, f"Unknown path components: /{version}")
            given = await given_of(request)
            admitted(graph, request, given)
            return JSONResponse(await work(given), headers=trace)
        except Refused as refused:
            graph.counters[f"error {refused.code}"] += 1
            body: Json = {"message": refused.message, "type": refused.kind, "code": refused.code}
            body |= {"error_subcode": refused.subcode} if refused.subcode else {}
            return JSONResponse({"error": body | {"fbtrace_id": trace["x-fb-trace-id"]}}, refused.status, trace)

    def ours(node: str) -> None:
        if node not in ("me", graph.told.page):
            raise Refused(100, RETRACTED, 33, "GraphMethodException")

    @router.get("/v/{path:path}")
    async def file(path: str) -> Response:
        return graph.file(f"v/{path}")

    @router.post("/{version}/{node}/{edge}")
    async def edge(request: Request, version: str, node: str, edge: str) -> JSONResponse:
        async def work(given: Json) -> Json:
            if edge == "comments":
                return comment_on(graph, node, given)
            ours(node)
            acts = {"messages": send, "message_attachments": upload, "subscribed_apps": subscribe}
            if edge not in acts:
                raise Refused(2500, f"Unknown path components: /{edge}")
            return acts[edge](graph, given)

        return await answered(request, version, work)

    @router.get("/{version}/{node}/subscribed_apps")
    async def subscribed(request: Request, version: str, node: str) -> JSONResponse:
        async def work(given: Json) -> Json:
            ours(node)
            app = {"id": graph.told.app, "name": "1022", "subscribed_fields": graph.told.fields}
            return {"data": [app] if graph.told.subscribed else []}

        return await answered(request, version, work)

    @router.post("/{version}/{node}")
    async def change(request: Request, version: str, node: str) -> JSONResponse:
        async def work(given: Json) -> Json:
            return on_comment(graph, node, given)

        return await answered(request, version, work)

    @router.get("/{version}/{node}")
    async def look(request: Request, version: str, node: str) -> JSONResponse:
        async def work(given: Json) -> Json:
            return looked_up(graph, node, str(given.get("fields", "")))

        return await answered(request, version, work)

    return router


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    graph = Graph()
    app = application(graph)
    app.include_router(rest(graph))
    serve(graph, app, given.host, given.port)


if __name__ == "__main__":
    main()

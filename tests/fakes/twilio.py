"""A stand-in for Twilio: messages, calls that walk TwiML, recordings, signed webhooks. A process of its own.

    python tests/fakes/twilio.py --port 9401 --control

It shares no code with the adapters: signatures, TwiML and error codes are written here a second time. State is in
memory. Under `/_control` a test says what people and the network do and reads what came of it.
"""

import argparse
import asyncio
import base64
import hashlib
import re
import sys
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

sys.path[0] = str(Path(__file__).parents[2])  # not this folder, whose files are named as packages are

from tests.fakes.twilio_caller import Caller  # noqa: E402
from tests.fakes.twilio_carrier import Carrier  # noqa: E402

API = "/2010-04-01/Accounts/{account}"


def error(status: int, code: int, words: str) -> JSONResponse:
    more = f"https://www.twilio.com/docs/errors/{code}"
    headers = {"Retry-After": "1"} if status == 429 else {}
    return JSONResponse({"code": code, "message": words, "more_info": more, "status": status}, status, headers)


def rest(carrier: Carrier) -> APIRouter:
    """Twilio's own interface."""
    router = APIRouter()

    def refused(request: Request, account: str) -> JSONResponse | None:
        told = carrier.settings
        if told.down:
            return error(503, 20503, "Service Unavailable")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(given).decode().partition(":")
        except ValueError:
            user = password = ""
        known = {told.account: told.token, **told.keys}
        if scheme.lower() != "basic" or not user or known.get(user) != password:
            return error(401, 20003, "Authenticate")
        if account != told.account:
            return error(404, 20404, "The requested resource was not found")
        return None

    async def form_of(request: Request) -> dict[str, str]:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True)
        return {name: values[0] for name, values in fields.items()}

    @router.post(API + "/Messages.json")
    async def send(request: Request, account: str) -> Response:
        await asyncio.sleep(carrier.settings.delay)
        if answer := refused(request, account):
            return answer
        form = await form_of(request)
        if refusal := carrier.refusal(form):
            return error(*refusal)
        made = carrier.take(form)
        if carrier.settings.fail_after:
            carrier.settings.fail_after -= 1
            return error(500, 20500, "Internal Server Error")
        if carrier.settings.hang_after:
            carrier.settings.hang_after -= 1
            raise ConnectionAbortedError
        return JSONResponse(made, 201)

    @router.get(API + "/Messages.json")
    async def messages(request: Request, account: str) -> Response:
        if answer := refused(request, account):
            return answer
        to = request.query_params.get("To")
        found = [each for each in carrier.messages.values() if to in (None, each["to"])]
        return JSONResponse({"messages": found, "next_page_uri": None})

    @router.get(API + "/Messages/{sid}.json")
    async def message(request: Request, account: str, sid: str) -> Response:
        if answer := refused(request, account):
            return answer
        found = carrier.messages.get(sid)
        return JSONResponse(found) if found else error(404, 20404, "The requested resource was not found")

    @router.get(API + "/Messages/{sid}/Media/{media}")
    async def media(request: Request, account: str, sid: str, media: str) -> Response:
        if answer := refused(request, account):
            return answer
        return RedirectResponse(f"{carrier.base}/store/{media}?X-Amz-Signature=once", 307)

    @router.get("/store/{media}")
    async def stored(media: str) -> Response:
        media_type, content = carrier.media.get(media, ("", b""))
        return Response(content, media_type=media_type) if content else Response(status_code=404)

    @router.get(API + "/IncomingPhoneNumbers.json")
    async def numbers(request: Request, account: str) -> Response:
        if answer := refused(request, account):
            return answer
        wanted = request.query_params.get("PhoneNumber")
        found = [{"sid": "PN" + "0" * 32, "phone_number": each} for each in carrier.settings.numbers]
        return JSONResponse(
            {"incoming_phone_numbers": [each for each in found if wanted in (None, each["phone_number"])]}
        )

    @router.get(API + "/Calls/{sid}.json")
    async def call(request: Request, account: str, sid: str) -> Response:
        if answer := refused(request, account):
            return answer
        found = carrier.calls.get(sid)
        return JSONResponse(found) if found else error(404, 20404, "The requested resource was not found")

    @router.post(API + "/Calls.json")
    async def dial(request: Request, account: str) -> Response:
        await asyncio.sleep(carrier.settings.delay)
        if answer := refused(request, account):
            return answer
        fields = parse_qs((await request.body()).decode())
        form = {name: values[0] for name, values in fields.items()}
        if not form.get("Url"):
            return error(400, 21205, "Url parameter is required")
        if not re.fullmatch(r"\+[1-9][0-9]{7,14}", form.get("To", "")):
            return error(400, 21211, "Invalid 'To' Phone Number")
        if form.get("From") not in carrier.settings.numbers:
            return error(400, 21212, "Invalid 'From' Phone Number")
        asked = {"from": form["From"], "to": form["To"], "direction": "outbound-api", "script": []}
        asked |= {"status_callback": form.get("StatusCallback", "")}
        asked |= {"status_events": fields.get("StatusCallbackEvent", ["completed"])}
        caller = Caller(carrier, asked)
        carrier.later(caller.run(form["Url"]))
        return JSONResponse({**caller.row, "status": "queued", "queue_time": "0", "date_created": formatdate()}, 201)

    @router.api_route(API + "/Recordings/{name}", methods=["GET", "DELETE"])
    async def recording(request: Request, account: str, name: str) -> Response:
        if answer := refused(request, account):
            return answer
        sid, _, kind = name.partition(".")
        found = carrier.recordings.get(sid)
        if found is None or found["deleted"]:
            return error(404, 20404, "The requested resource was not found")
        if request.method == "DELETE":
            found["deleted"] = True
            return Response(status_code=204)
        if kind == "json":
            return JSONResponse({"sid": sid, "call_sid": found["call"], "duration": str(found["seconds"])})
        return Response(
            found["mp3"] if kind == "mp3" else found["wav"], media_type=f"audio/{'mpeg' if kind == 'mp3' else 'x-wav'}"
        )

    return router


def control(carrier: Carrier) -> APIRouter:
    """What a test may do."""
    router = APIRouter(prefix="/_control")

    @router.post("/settings")
    async def settings(request: Request) -> dict[str, Any]:
        for name, value in (await request.json()).items():
            if not hasattr(carrier.settings, name):
                raise ValueError(name)
            setattr(carrier.settings, name, value)
        return vars(carrier.settings)

    @router.post("/reset")
    async def reset() -> None:
        base = carrier.base
        await carrier.client.aclose()
        carrier.__init__()  # type: ignore[misc]  # as if it had just been started
        carrier.base = base

    @router.post("/sms")
    async def sms(request: Request) -> dict[str, Any]:
        answer = await carrier.texted(await request.json())
        return {"status": answer.status_code if answer is not None else None, "text": answer.text if answer else ""}

    @router.post("/call")
    async def call(request: Request) -> dict[str, Any]:
        asked = await request.json()
        caller = Caller(carrier, asked)
        await caller.run(carrier.settings.voice_url)
        await settle()
        return caller.row

    @router.post("/flush")
    async def flush(request: Request) -> int:
        asked = await request.json()
        return await carrier.flush(asked.get("order", "same"), asked.get("times", 1), asked.get("seed", 0))

    @router.post("/take")
    async def take() -> list[dict[str, Any]]:
        return carrier.hand_over()

    @router.post("/settle")
    async def settle() -> None:
        """Return when every report that was to be sent has been."""
        while carrier.tasks:
            await asyncio.gather(*carrier.tasks, return_exceptions=True)

    @router.get("/ledger")
    async def ledger() -> dict[str, Any]:
        shown = {
            sid: {k: v for k, v in each.items() if not isinstance(v, bytes)} for sid, each in carrier.recordings.items()
        }
        sums = {
            sid: {kind: hashlib.sha256(each[kind]).hexdigest() for kind in ("wav", "mp3")}
            for sid, each in carrier.recordings.items()
        }
        return {
            "messages": list(carrier.messages.values()),
            "calls": list(carrier.calls.values()),
            "recordings": {sid: {**row, "sha256": sums[sid]} for sid, row in shown.items()},
            "webhooks": carrier.webhooks,
            "held": len(carrier.held),
            "answers_differ": carrier.answers_differ,
        }

    return router


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", action="store_true", help="let tests say what happens, under /_control")
    given = parser.parse_args()
    carrier = Carrier()
    carrier.base = f"http://{given.host}:{given.port}"
    app = FastAPI()
    app.include_router(rest(carrier))
    if given.control:
        app.include_router(control(carrier))
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()

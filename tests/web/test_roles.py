"""Every route × every role: who is let in. A route that is not in the table fails the test."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.models import Case
from channels import inbox
from channels.reading import unread
from core import staffing
from core.ids import uuid7
from core.sealed_files import Sealed
from hotline.models import CallSession, CallTask, Recording
from hotline.recordings import purpose_of
from tests.calling import a_sound
from tests.factories import As, Drive, a_photo, a_report, make_tokens, state
from web.rendering import NOT_PAGES
from web.state import State

# A case led by so-xd, supported by so-congthuong: these see it, all others do not.
SEES = "agent dispatcher supervisor inspector leader admin officer head helper helperhead"
STRANGERS = "officer2 head2 police key keyless"
STAFF = f"{SEES} officer2 head2 police"
EVERYONE = f"anonymous {STAFF} key keyless"
CENTRE = "agent dispatcher supervisor"
HANDLERS = f"{CENTRE} inspector officer head helper helperhead"
FEED = "leader supervisor admin key"
OUTBOX = "dispatcher supervisor inspector police admin"
PEOPLE = ("GET ", "GET /suggestions", "POST /merge", "POST /apart", "POST /undo", "POST /preferred", "POST /consents")
OPEN = 0  # let in: any answer but 401, 403 and 404

# Route → who is let in, and what everybody else is told; the anonymous get 401 unless named.
# A case's strangers get 404 where the others get 403, so that they cannot tell it exists.
ROUTES: dict[str, tuple[str, int]] = {
    "GET /api/docs": (EVERYONE, 0),
    "GET /api/openapi.json": (EVERYONE, 0),
    "GET /healthz": (EVERYONE, 0),
    "GET /readyz": (EVERYONE, 0),
    "GET /metrics": (EVERYONE, 0),
    "GET /console/live": ("", 401),  # screens only: it asks for a cookie
    "GET /api/v1/public/cases": (EVERYONE, 0),
    "GET /api/v1/public/cases.geojson": (EVERYONE, 0),
    "GET /api/v1/public/figures": (EVERYONE, 0),
    "GET /api/v1/departments": (EVERYONE, 0),
    "GET /api/v1/fields": (EVERYONE, 0),
    "POST /api/v1/fields/suggest": (EVERYONE, 0),
    "GET /api/v1/areas": (EVERYONE, 0),
    "POST /api/v1/auth/token": (EVERYONE, 0),
    "POST /api/v1/auth/session": (EVERYONE, 0),
    "POST /api/v1/reports": (EVERYONE, 0),
    "POST /api/v1/reports/{code}/otp": (EVERYONE, 0),  # told the same, whether or not a code is sent
    "GET /open311/v2/discovery.{format}": (EVERYONE, 0),
    "GET /open311/v2/services.{format}": (EVERYONE, 0),
    "GET /open311/v2/services/{service_code}.{format}": (EVERYONE, 0),
    "GET /open311/v2/requests.{format}": (EVERYONE, 0),
    "POST /open311/v2/requests.{format}": (EVERYONE, 0),
    "GET /open311/v2/requests/{service_request_id}.{format}": ("", 404),  # not published, for nobody
    "GET /open311/v2/tokens/{token}.{format}": ("", 404),
    "DELETE /api/v1/auth/session": (f"{STAFF} key keyless", 401),
    "GET /api/v1/me": (f"{STAFF} key keyless", 401),
    "GET /api/v1/refusal-reasons": (f"{STAFF} key keyless", 401),
    "GET /api/v1/cases": (f"{STAFF} key keyless", 401),
    "POST /api/v1/cases": (CENTRE, 403),
    "GET /api/v1/outbox": (OUTBOX, 403),
    "GET /api/v1/inbox": ("supervisor admin", 403),
    "GET /api/v1/inbox/{event}/raw": ("admin", 403),
    "POST /api/v1/inbox/{event}/reread": ("admin", 403),
    "POST /api/v1/inbox/reread": ("admin", 403),
    # The case is an ordinary one: inspectors know the people of restricted ones only. Nothing is known of its reporter.
    **{f"{route.replace(' ', ' /api/v1/citizens/{code}')}": (CENTRE, 403) for route in PEOPLE},
    "GET /api/v1/calls": (f"{CENTRE} inspector", 403),
    "GET /api/v1/call-tasks": (f"{CENTRE} inspector", 403),
    "GET /api/v1/call-tasks/{task}": (f"{CENTRE} inspector", 403),
    "POST /api/v1/call-tasks/{task}/close": (f"{CENTRE} inspector", 403),
    "GET /api/v1/recordings/{recording}": (HANDLERS, 403),
    "POST /api/v1/recordings/{recording}/hold": ("supervisor inspector", 403),
    "POST /api/v1/outbox/resend": (OUTBOX, 403),
    "POST /api/v1/outbox/{id}/resend": ("dispatcher supervisor inspector admin", 403),
    "POST /api/v1/outbox/{id}/told": ("dispatcher supervisor inspector admin", 403),
    "GET /api/v1/mode": (f"{STAFF} key keyless", 401),
    "POST /api/v1/mode": ("supervisor", 403),
    "POST /api/v1/mode/end": ("supervisor", 403),
    "GET /api/v1/looks": ("inspector police admin", 403),
    "GET /api/v1/notices": (STAFF, 403),  # one's own; keys have none
    "GET /api/v1/notices/count": (STAFF, 403),
    "POST /api/v1/notices/seen": (STAFF, 403),
    "POST /api/v1/notices/{number}/seen": ("", 403),  # nobody has one of this number
    # The roster of the department of head2.
    "GET /api/v1/duty/{department}": ("admin head2", 403),
    "POST /api/v1/duty/{department}/shifts": ("admin head2", 403),
    "DELETE /api/v1/duty/{department}/shifts/{shift}": ("", 403),  # of those who may, nobody finds it
    "POST /api/v1/duty/{department}/leaves": ("admin head2", 403),
    "DELETE /api/v1/duty/{department}/leaves/{leave}": ("", 403),
    "PUT /api/v1/duty/{department}/people/{person}/deputies": ("admin head2", 403),
    "GET /feed/v1/events": (FEED, 403),
    "GET /feed/v1/aggregates": (FEED, 403),
    "GET /feed/v1/lateness": (FEED, 403),
    # The citizen's paths ask for the key, which being signed in does not replace.
    "GET /api/v1/reports/{code}": ("", 404),
    "POST /api/v1/reports/{code}/messages": ("", 404),
    "POST /api/v1/reports/{code}/rating": ("", 404),
    "POST /api/v1/reports/{code}/reopen": ("", 404),
    "POST /api/v1/reports/{code}/chase": ("", 404),
    "POST /api/v1/reports/{code}/otp/verify": ("", 404),
    "POST /api/v1/reports/{code}/preferred": ("", 404),
    "GET /api/v1/cases/{code}": (SEES, 404),
    "GET /api/v1/cases/{code}/timeline": (SEES, 404),
    "GET /api/v1/cases/{code}/explain": (SEES, 404),
    "GET /api/v1/attachments/{attachment_id}": (SEES, 404),
    # Vendors' paths ask for a signature; here no vendor is set up.
    "GET /webhooks/{channel}": ("", 404),
    "POST /webhooks/{channel}": ("", 404),
    "POST /webhooks/twilio/{what}": ("", 404),
    "POST /webhooks/twilio/voice": ("", 404),
    "POST /webhooks/twilio/voice/step": ("", 404),
    "POST /webhooks/twilio/events": ("", 404),
}
# Who may do such things, but not with this one, of which they are told nothing.
UNSEEN = {
    "GET /api/v1/recordings/{recording}": "officer2 head2 police",
    # The message is of an ordinary case.
    "POST /api/v1/outbox/{id}/resend": "police",
    "POST /api/v1/outbox/{id}/told": "police",
    "POST /api/v1/notices/{number}/seen": STAFF,
    "DELETE /api/v1/duty/{department}/shifts/{shift}": "admin head2",
    "DELETE /api/v1/duty/{department}/leaves/{leave}": "admin head2",
}
ADMINISTRATION = (
    "GET staff",
    "POST staff",
    "GET staff/{person}",
    "PATCH staff/{person}",
    "POST staff/{person}/deactivate",
    "POST staff/{person}/activate",
    "POST staff/{person}/reset-password",
    "GET departments",
    "POST departments",
    "GET departments/{department}",
    "PATCH departments/{department}",
    "POST departments/{department}/abolish",
    "POST departments/{department}/restore",
    "GET fields",
    "POST fields",
    "GET fields/{field}",
    "PATCH fields/{field}",
    "POST fields/{field}/close",
    "POST fields/{field}/reopen",
    "GET areas",
    "POST areas",
    "GET areas/{area}",
    "PATCH areas/{area}",
    "POST areas/{area}/end",
    "GET calendars",
    "POST calendars",
    "GET calendars/{calendar}",
    "PUT calendars/{calendar}/week",
    "PUT calendars/{calendar}/days/{day}",
    "DELETE calendars/{calendar}/days/{day}",  # a day that is as its weekday stays so
    "POST calendars/{calendar}/fill",
    "GET rule-sets",
    "POST rule-sets",
    "GET rule-sets/{rule_set}",
    "PUT rule-sets/{rule_set}",
    "DELETE rule-sets/{rule_set}",  # one in force: 409
    "GET rule-sets/{rule_set}/yaml",
    "GET rule-sets/{rule_set}/files",
    "POST rule-sets/{rule_set}/files",
    "GET rule-sets/{rule_set}/files/{file}",
    "DELETE rule-sets/{rule_set}/files/{file}",
    "GET rule-sets/{rule_set}/check",
    "POST rule-sets/{rule_set}/check",  # one in force: 409
    "POST rule-sets/{rule_set}/next",
    "POST rule-sets/{rule_set}/withdraw",
    "POST rule-sets/{rule_set}/activate",
    "GET wording",
    "GET wording/{sentence}/{form}/{language}",
    "PUT wording/{sentence}/{form}/{language}",
    "POST wording/{sentence}/{form}/{language}/try",
    "POST wording/{sentence}/{form}/{language}/reset",  # as shipped: 409
    "GET wording/{sentence}/{form}/{language}/history",
    "GET channels",
    "POST channels/zalo/token",
)
ROUTES |= {route.replace(" ", " /api/v1/admin/"): ("admin", 403) for route in ADMINISTRATION}
ROUTES["POST /api/v1/me/password"] = (f"{STAFF} key keyless", 401)
ACTIONS: dict[str, str] = {
    "note": HANDLERS,
    "assign_officer": HANDLERS,
    "attach": HANDLERS,
    "classify": "agent dispatcher",
    "set_track": "agent supervisor inspector",
    "answer_directly": "agent dispatcher",
    "forward": "agent dispatcher supervisor",
    "recall": "dispatcher supervisor",
    "accept": "officer",
    "give_back": "officer head",
    "ask_citizen": "agent dispatcher officer",
    "contribute": "helper",
    "request_extension": "officer",
    "grant_extension": "head dispatcher leader supervisor",
    "deny_extension": "head dispatcher leader supervisor",
    "tell_progress": "officer",
    "submit_answer": "officer",
    "return_answer": "head dispatcher",
    "approve_answer": "head dispatcher",
    "publish": "agent dispatcher",
    "unpublish": "agent dispatcher",
    "close": "agent",
    "reopen": "agent supervisor",
    "refuse": "agent dispatcher",
    "redirect": "dispatcher inspector",
    "mark_spam": "agent dispatcher",
    "unmark_spam": "agent dispatcher",
    "merge": "agent dispatcher",
    "split": "agent dispatcher",
    "link_incident": "dispatcher",
    "unlink_incident": "dispatcher",
    "chase": "agent",
    "direct": "leader supervisor",
    "answer_directive": "officer head helper helperhead",
    "ask_support": "officer head dispatcher",
    "release_support": "officer head dispatcher",
    "give_back_support": "helper helperhead",
    "dispute": "officer head helper helperhead",
    "decide_dispute": "leader",
    "reveal_identity": "agent supervisor",
    "hand_over": f"{CENTRE} inspector",
}
ROUTES |= {f"POST /api/v1/cases/{{code}}/{name}": (who, 403) for name, who in ACTIONS.items()}
BODIES: dict[str, Any] = {
    "POST /api/v1/reports/{code}/messages": {"text": "x"},
    "POST /api/v1/reports/{code}/rating": {"rating": 5},
    "POST /api/v1/reports/{code}/reopen": {"reason": "x"},
    "POST /api/v1/reports/{code}/chase": {},
    "POST /api/v1/call-tasks/{task}/close": {"outcome": "reached"},
    "POST /api/v1/recordings/{recording}/hold": {"held": True},
    "POST /api/v1/reports/{code}/otp": {"phone": "0912345678"},
    "POST /api/v1/reports/{code}/otp/verify": {"phone": "0912345678", "otp": "123456"},
    "POST /api/v1/reports/{code}/preferred": {"channel": None},
    "POST /api/v1/mode": {"mode": "epidemic", "reason": "x"},
    "POST /api/v1/mode/end": {},
    "POST /api/v1/notices/{number}/seen": {},
    "POST /api/v1/citizens/{code}/merge": {"with": "BP-26-0000018"},
    "POST /api/v1/citizens/{code}/apart": {"with": "BP-26-0000018"},
    "POST /api/v1/citizens/{code}/undo": {"merge": "00000000-0000-0000-0000-000000000000"},
    "POST /api/v1/citizens/{code}/preferred": {"channel": "sms"},
    "POST /api/v1/citizens/{code}/consents": {"channel": "sms", "purpose": "surveys", "given": False},
}


@dataclass(frozen=True)
class House:
    """A forwarded case with a photo, and API keys."""

    code: str
    attachment: str
    message: str  # on its way or gone, so that nobody can have it sent again
    keys: dict[str, str]
    others: dict[str, str]  # what else a path may name


@pytest.fixture(scope="module")
async def house(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> House:
    """One case that all tests only look at."""
    here = state(app)
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    photo = {"attachments": ("a.jpg", a_photo(), "image/jpeg")}
    attached = await as_("agent").post(f"/api/v1/cases/{code}/attach", files=photo)
    async with here.database.transaction() as session:
        keys = {
            name: (await staffing.make_api_key(session, name, scopes, here.clock()))[1]
            for name, scopes in (("key", ["feed.read"]), ("keyless", []))
        }
        sent = await session.scalar(
            text("SELECT o.id FROM outgoing o JOIN cases c ON c.id = o.subject_id WHERE c.code = :code LIMIT 1"),
            {"code": code},
        )
        event = unread("zalo", "oa", b"house", "not JSON")
        await inbox.accept(session, [event], here.clock())
        unread_id = await session.scalar(text("SELECT id FROM received WHERE dead_at IS NOT NULL LIMIT 1"))
        nothing = "00000000-0000-0000-0000-000000000000"
        others = {
            "event": str(unread_id),
            "sentence": "receipt",
            "form": "long",
            "language": "vi",
            "person": str(await session.scalar(text("SELECT id FROM staff WHERE email = 'gone@demo'"))),
            "rule_set": str(await session.scalar(text("SELECT id FROM rule_sets WHERE state = 'active' LIMIT 1"))),
            "department": "so-yte",
            "field": "infra.road",
            "area": "bp-d-dong-xoai",
            "calendar": "province",
            "day": "2026-03-04",
            "format": "json",
            "service_code": "infra.road",
            "service_request_id": code,
            "token": "1",
            "number": "1",
            "shift": nothing,
            "leave": nothing,
            **await _a_call(session, here, code),
        }
    return House(code, attached.json()["attachments"][0]["id"], str(sent), keys, others)


async def _a_call(session: AsyncSession, here: State, code: str) -> dict[str, str]:
    """Somebody called about the case, left word, and waits for a call."""
    at, case = here.clock(), (await session.exec(select(Case).where(Case.code == code))).one()
    call = CallSession(
        id=uuid7(at),
        provider="twilio",
        provider_call_id="CA1",
        caller="+84912345678",
        number="1022",
        state="completed",
        opened_at=at,
        case_id=case.id,
    )
    session.add(call)
    await session.flush()
    task = CallTask(id=uuid7(at), kind="callback", phone=call.caller, session_id=call.id, opened_at=at, case_id=case.id)
    sound = Recording(
        id=uuid7(at),
        session_id=call.id,
        provider="twilio",
        provider_recording_id="RE1",
        state="removed",
        announced_at=at,
        case_id=case.id,
        media_type="audio/wav",
    )
    sealed = Sealed.of(here.key, purpose_of(sound.id), a_sound())
    await here.files.put(sealed.key, sealed.data)
    sound.file = sealed.key
    session.add_all((task, sound))
    return {"task": str(task.id), "recording": str(sound.id)}


@pytest.fixture
async def people(app: FastAPI, house: House) -> AsyncIterator[dict[str, AsyncClient]]:
    """A client for everyone, with sign-ins of their own, because one of the routes ends them."""
    tokens = await make_tokens(state(app).database)
    made = {}
    for who in EVERYONE.split():
        headers = {"Authorization": f"Bearer {tokens[f'{who}@demo']}"} if f"{who}@demo" in tokens else {}
        headers |= {"X-Api-Key": house.keys[who]} if who in house.keys else {}
        made[who] = AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", headers=headers)
    yield made
    for each in made.values():
        await each.aclose()


def routes_of(app: FastAPI) -> set[str]:
    """Every method and path the application answers programs at, as the table writes them; pages have their own."""
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or ())
        if method != "HEAD" and (route.path or "").startswith(NOT_PAGES)
    }


def test_the_table_names_every_route(app: FastAPI) -> None:
    assert routes_of(app) == set(ROUTES)


def expected(route: str, who: str) -> int:
    """OPEN, or the status of the refusal."""
    let_in, refusal = ROUTES[route]
    if who in let_in.split():
        return OPEN
    if (
        who == "anonymous"
        and refusal in (403, 404)
        and not route.split(" ")[1].startswith(("/api/v1/reports", "/webhooks/", "/open311/"))
    ):
        return 401
    if who in UNSEEN.get(route, "").split():
        return 404
    if ("/cases/{code}" in route or "/citizens/{code}" in route) and who in STRANGERS.split():
        return 404
    return refusal


async def ask(client: AsyncClient, route: str, house: House) -> Response:
    """One request that changes nothing even where it is let in: it says something that no action knows."""
    method, path = route.split(" ")
    path = path.replace("{code}", house.code).replace("{attachment_id}", house.attachment)
    path = path.replace("{id}", house.message)
    for name, value in house.others.items():
        path = path.replace(f"{{{name}}}", value)
    body = BODIES.get(route, {"nonsense": 1}) if method == "POST" else None
    return await client.request(method, path, json=body)


@pytest.mark.parametrize("route", ROUTES)
async def test_each_role_is_let_in_where_the_table_says(
    people: dict[str, AsyncClient], house: House, route: str
) -> None:
    wrong = {}
    for who, client in people.items():
        answer = await ask(client, route, house)
        refused = answer.status_code if answer.status_code in (401, 403, 404) else OPEN
        if refused != expected(route, who) or answer.status_code >= 500:
            wrong[who] = (answer.status_code, expected(route, who))
    assert not wrong
    shown = await people["admin"].get(f"/api/v1/cases/{house.code}")
    assert shown.status_code == (401 if route == "DELETE /api/v1/auth/session" else 200)


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Basic YWRtaW46YWRtaW4=", "bearer \u00e9"])
async def test_a_token_that_is_none_is_nobody(app: FastAPI, house: House, header: str) -> None:
    sent = [(b"authorization", header.encode("latin-1"))]
    async with AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", headers=sent) as client:
        for route, (let_in, _) in ROUTES.items():
            if let_in and "anonymous" not in let_in.split():
                answer = await ask(client, route, house)
                assert answer.status_code == 401, route
                assert answer.headers["www-authenticate"] == "Bearer"

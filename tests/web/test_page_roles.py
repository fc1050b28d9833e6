"""Every page × every kind of person: who is let in, who is led to the door, who finds nothing.

A page that is not in the table fails the test; so does a form that is taken without the page's token.
"""

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from tests.factories import As, Drive, a_report, state
from web.rendering import NOT_PAGES

SEES = ["agent", "dispatcher", "supervisor", "inspector", "leader", "admin", "officer", "head", "helper", "helperhead"]
STRANGERS = ["officer2", "head2", "police"]
STAFF = [*SEES, *STRANGERS]
CENTRE = ["agent", "dispatcher", "supervisor"]
CALLS = [*CENTRE, "inspector"]
FEED = ["leader", "supervisor", "admin"]
OUTBOX = ["dispatcher", "supervisor", "inspector", "police", "admin"]
PUBLIC: list[str] = ["anonymous", *STAFF]

ADMIN = """
GET /admin | GET /admin/areas | GET /admin/areas/{area} | GET /admin/calendars | GET /admin/calendars/{calendar}
GET /admin/calendars/{calendar}/days/{day} | GET /admin/departments | GET /admin/departments/{department}
GET /admin/fields | GET /admin/fields/{field} | GET /admin/new/account | GET /admin/new/area
GET /admin/new/department | GET /admin/new/field | GET /admin/new/rule-set | GET /admin/rules
GET /admin/rules/{rule_set} | GET /admin/rules/{rule_set}/activate | GET /admin/rules/{rule_set}/check
GET /admin/rules/{rule_set}/edit | GET /admin/rules/{rule_set}/yaml | GET /admin/staff | GET /admin/staff/{person}
POST /admin/areas/{area} | POST /admin/areas/{area}/end | POST /admin/calendars
POST /admin/calendars/{calendar}/days/{day} | POST /admin/calendars/{calendar}/days/{day}/remove
POST /admin/calendars/{calendar}/fill | POST /admin/calendars/{calendar}/recount
POST /admin/calendars/{calendar}/week | POST /admin/departments/{department}
POST /admin/departments/{department}/abolish | POST /admin/departments/{department}/restore
POST /admin/fields/{field} | POST /admin/fields/{field}/close | POST /admin/fields/{field}/reopen
POST /admin/new/account | POST /admin/new/area | POST /admin/new/department | POST /admin/new/field
POST /admin/new/rule-set | POST /admin/rules/{rule_set}/activate | POST /admin/rules/{rule_set}/delete
POST /admin/rules/{rule_set}/edit | POST /admin/staff/{person} | POST /admin/staff/{person}/activate
POST /admin/staff/{person}/deactivate | POST /admin/staff/{person}/reset-password
GET /admin/wording | GET /admin/wording/{sentence} | GET /admin/wording/{sentence}/{form}/{language}
POST /admin/wording/{sentence}/{form}/{language} | POST /admin/wording/{sentence}/{form}/{language}/reset
GET /admin/channels | GET /admin/alarms | POST /admin/channels/zalo/token | GET /admin/events
GET /admin/rules/{rule_set}/change | GET /admin/rules/{rule_set}/limit | GET /admin/rules/{rule_set}/lead
GET /admin/rules/{rule_set}/settings | GET /admin/rules/{rule_set}/head | GET /admin/rules/{rule_set}/files/{file}
POST /admin/rules/{rule_set}/change | POST /admin/rules/{rule_set}/limit | POST /admin/rules/{rule_set}/lead
POST /admin/rules/{rule_set}/settings | POST /admin/rules/{rule_set}/head | POST /admin/rules/{rule_set}/files
POST /admin/rules/{rule_set}/move | POST /admin/rules/{rule_set}/drop | POST /admin/rules/{rule_set}/check
POST /admin/rules/{rule_set}/withdraw | POST /admin/rules/{rule_set}/files/{file}/delete
GET /admin/reforms | GET /admin/new/reform | POST /admin/new/reform | POST /admin/reforms/people
GET /admin/reforms/{reform} | GET /admin/reforms/{reform}/yaml | GET /admin/reforms/{reform}/edit
POST /admin/reforms/{reform}/edit | POST /admin/reforms/{reform}/apply | POST /admin/reforms/{reform}/delete
POST /admin/reforms/{reform}/withdraw
POST /admin/limits/restart | POST /admin/events/reread | POST /admin/events/{id} | POST /admin/events/{id}/reread
"""

PAGES: dict[str, list[str]] = {
    **dict.fromkeys(
        (
            "GET /",
            "POST /",
            "GET /cases",
            "GET /robots.txt",
            "GET /sign-in",
            "POST /sign-in",
            "POST /preferences",
            "GET /track",
            "POST /track",
            "POST /track/forget",
            "GET /track/lost",
            "POST /track/lost",
            "POST /track/lost/open",
        ),
        PUBLIC,
    ),
    # Opened by a key alone, whoever asks: nobody here has one; /cases/{code} shows what is published, and this is not.
    **{
        route: []
        for route in (
            "GET /cases/{code}",
            "GET /cases/{code}/document",
            "GET /track/{code}",
            "GET /track/{code}/files/{attachment_id}",
            "POST /track/{code}/chase",
            "POST /track/{code}/messages",
            "POST /track/{code}/preferred",
            "POST /track/{code}/rating",
            "POST /track/{code}/reopen",
        )
    },
    **dict.fromkeys(
        (
            "GET /account",
            "GET /account/notices",
            "POST /account/notices/address",
            "POST /account/notices/code",
            "POST /account/notices/invite",
            "POST /account/notices/{channel}",
            "POST /account/notices/{channel}/drop",
            "POST /account",
            "GET /console",
            "GET /console/notices",
            "GET /console/notices/count",
            "POST /console/notices/seen",
            "POST /console/notices/{id}",
            "GET /console/views",
            "GET /console/peek",
            "GET /console/rows/{code}",
            "POST /sign-out",
        ),
        STAFF,
    ),
    **dict.fromkeys(
        (
            "GET /console/cases/{code}",
            "GET /console/cases/{code}/explain",
            "GET /console/cases/{code}/{action}",
        ),
        SEES,
    ),
    "POST /console/cases/{code}/{action}": [who for who in SEES if who not in ("leader", "admin")],  # they only read
    **dict.fromkeys(
        ("GET /console/new", "POST /console/new", "POST /console/new/caller", "POST /console/new/hints"), CENTRE
    ),
    "POST /console/cases/{code}/person/{what}": CENTRE,  # of restricted cases inspectors, and this is an ordinary one
    **dict.fromkeys(
        (
            "GET /console/calls",
            "GET /console/calls/count",
            "GET /console/calls/news",
            "POST /console/calls/{id}/close",
            "POST /console/calls/{id}/number",
        ),
        CALLS,
    ),
    "GET /ioc": FEED,
    "GET /ioc/lateness": FEED,
    "GET /admin/simulate": ["supervisor", "admin"],
    "GET /admin/duty": ["supervisor", "admin", "head", "helperhead", "head2"],  # each their own
    "POST /admin/named-roles/{role}": ["admin"],
    **{
        f"POST /admin/duty/{{department}}/{what}": ["admin", "head2"]  # the head of that department
        for what in ("shifts", "shifts/{id}/drop", "leaves", "leaves/{id}/drop", "people/{person}/deputies")
    },
    "GET /console/mode/banner": STAFF,
    "GET /console/mode": ["supervisor"],
    "POST /console/mode": ["supervisor"],
    "POST /console/mode/end": ["supervisor"],
    "GET /console/looks": ["inspector", "police", "admin"],
    "GET /console/emergencies/{code}": CALLS,
    "GET /console/outbox": OUTBOX,
    "POST /console/outbox/resend": OUTBOX,
    "POST /console/outbox/{id}/resend": OUTBOX,
    "POST /console/outbox/{id}/told": OUTBOX,
    **{route.strip(): ["admin"] for line in ADMIN.strip().splitlines() for route in line.split("|")},
}


# An empty form names no report, and there is no message of this id: found or not, these people may ask.
MAY_FIND_NOTHING = {
    "POST /track",
    "POST /console/calls/{id}/close",
    "POST /console/calls/{id}/number",
    "POST /console/outbox/{id}/resend",
    "POST /console/outbox/{id}/told",
    "POST /admin/events/{id}",
    "POST /admin/events/{id}/reread",
    "GET /admin/rules/{rule_set}/files/{file}",
    "GET /console/peek",
    "POST /admin/duty/{department}/shifts/{id}/drop",
    "POST /admin/duty/{department}/leaves/{id}/drop",
    "POST /account/notices/invite",  # no Telegram here
    # There is no reform of this code; of one that is there, an empty form would be the act itself.
    *(f"GET /admin/reforms/{{reform}}{more}" for more in ("", "/yaml", "/edit")),
    *(f"POST /admin/reforms/{{reform}}/{act}" for act in ("edit", "apply", "withdraw", "delete")),
}


def test_the_table_names_every_page(app: FastAPI) -> None:
    answered = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or ())
        if method != "HEAD" and not (route.path or "").startswith(NOT_PAGES)
    }
    assert answered == set(PAGES)


@pytest.fixture(scope="module")
async def path_of(app: FastAPI, client: AsyncClient, drive: Drive) -> dict[str, str]:
    """What stands for the members of a path: a case led by so-xd, and other things there are."""
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    async with state(app).database.transaction() as session:
        person = await session.scalar(text("SELECT id FROM staff WHERE email = 'gone@demo'"))
        rule_set = await session.scalar(text("SELECT id FROM rule_sets WHERE state = 'active' LIMIT 1"))
    return {
        "code": code,
        "action": "note",
        "what": "undo",
        "id": str(person),  # no message of this id: 404 to who may look, 403 to who may not
        "attachment_id": str(person),
        "person": str(person),
        "rule_set": str(rule_set),
        "file": str(person),  # no file of this id
        "department": "so-yte",
        "field": "infra.road",
        "area": "bp-d-dong-xoai",
        "reform": "none-of-this-code",
        "calendar": "province",
        "channel": "email",
        "role": "vice_chair",
        "sentence": "receipt",
        "form": "long",
        "language": "vi",
        "day": "2026-03-04",
    }


def filled(route: str, members: dict[str, str]) -> tuple[str, str]:
    method, path = route.split()
    for name, value in members.items():
        path = path.replace(f"{{{name}}}", value)
    return method, path


@pytest.mark.parametrize("who", ["anonymous", *STAFF])
async def test_who_is_let_in(app: FastAPI, browser: As, path_of: dict[str, str], who: str) -> None:
    """Every page of the table, asked for by one person; forms are sent empty, so that nothing is done."""
    anonymous = AsyncClient(transport=ASGITransport(app), base_url="http://1022.test")
    async with anonymous:
        for route, let_in in PAGES.items():
            if route == "POST /sign-out":
                continue  # it would end the sign-in of this very loop
            wrong_password = 401 if route == "POST /sign-in" else None
            method, path = filled(route, path_of)
            page = anonymous if who == "anonymous" else browser(who)
            answer = await page.request(method, path)
            at_the_door = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
            if who in let_in:
                assert answer.status_code == wrong_password or answer.status_code not in (401, 403, 405, 500), route
                assert not at_the_door, route
                assert answer.status_code != 404 or route in MAY_FIND_NOTHING, route
            elif not let_in:
                assert answer.status_code in (303, 404), (route, answer.status_code)
                assert "Đường hư nhiều ổ gà" not in answer.text, route  # the words of the report
            elif who == "anonymous":
                assert at_the_door, (route, answer.status_code)
            else:
                assert answer.status_code in (403, 404), (route, answer.status_code)


async def test_no_form_of_the_staff_is_taken_without_the_pages_token(browser: As, path_of: dict[str, str]) -> None:
    for route, let_in in PAGES.items():
        if not route.startswith("POST") or not let_in or let_in is PUBLIC:
            continue
        method, path = filled(route, path_of)
        answer = await browser(let_in[0]).request(method, path, headers={"X-CSRF-Token": "forged"})
        assert answer.status_code == 403, (route, answer.status_code)

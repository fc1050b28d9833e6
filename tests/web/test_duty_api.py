"""Notices and the duty roster for programs: one's own, and each department by whoever keeps its roster."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from tests.cases.noticing import clear, tell
from tests.factories import CENTRE, LEAD, OTHER, As, Clock, a_report, done, staff_id, state
from tests.web.test_openapi import DOCUMENT, undocumented

AT_DUTY = f"/api/v1/duty/{LEAD}"


@pytest.fixture
async def quiet(app: FastAPI, clock: Clock) -> FastAPI:
    await clear(app)
    return app


def as_documented(answer: Any, shape: str) -> bool:
    shapes = DOCUMENT["components"]["schemas"]
    return not list(undocumented(answer, shapes[shape], shapes))


async def test_notices_are_listed_counted_and_seen_by_their_own_person(
    quiet: FastAPI, client: AsyncClient, as_: As
) -> None:
    codes = []
    for _ in range(3):
        code, _ = await a_report(client)
        await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
        codes.append(code)
    await tell(quiet)
    head, other = as_("head"), as_("head2")
    page = (await head.get("/api/v1/notices", params={"limit": 2, "unseen": True})).json()
    assert as_documented(page, "NoticePage")
    assert [each["code"] for each in page["items"]] == codes[:0:-1]
    assert (page["unseen"], page["items"][0]["kind"], page["items"][0]["why"]) == (3, "assigned", "head")
    rest = (await head.get("/api/v1/notices", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert ([each["code"] for each in rest["items"]], rest["next_cursor"]) == (codes[:1], None)
    mine = page["items"][0]["id"]
    assert (await other.post(f"/api/v1/notices/{mine}/seen")).status_code == 404
    assert (await head.get("/api/v1/notices/count")).json() == {"unseen": 3}
    assert (await head.post(f"/api/v1/notices/{mine}/seen")).json() == {"unseen": 2}
    assert (await head.post(f"/api/v1/notices/{mine}/seen")).json() == {"unseen": 2}
    assert (await head.post("/api/v1/notices/seen", json={"upto": mine - 1})).json() == {"unseen": 0}
    assert (await other.get("/api/v1/notices")).json() == {"items": [], "next_cursor": None, "unseen": 0}
    for wrong in ({}, {"upto": 0}, {"upto": 2**63}, {"upto": 1, "all": True}):
        assert (await head.post("/api/v1/notices/seen", json=wrong)).status_code == 422
    # One that has become restricted is out of sight: neither listed nor seen.
    await done(as_("inspector"), codes[0], "set_track", {"track": "denunciation"})
    left = (await head.get("/api/v1/notices")).json()["items"]
    assert codes[0] not in [each["code"] for each in left]
    assert (await head.post(f"/api/v1/notices/{rest['items'][0]['id']}/seen")).status_code == 404


async def test_the_roster_is_planned_and_read_by_who_keeps_it(quiet: FastAPI, as_: As) -> None:
    head, officer = as_("head"), str(await staff_id(quiet, "officer@demo"))
    me = str(await staff_id(quiet, "head@demo"))
    shown = (await head.get(AT_DUTY)).json()
    assert as_documented(shown, "Roster")
    assert (shown["told"], shown["why"], shown["shifts"]) == ([me], "head", [])
    shift = {"person": officer, "starts_at": "2026-03-03T07:00:00+07:00", "ends_at": "2026-03-03T17:00:00+07:00"}
    for _ in range(2):  # the same again is the same
        planned = await head.post(f"{AT_DUTY}/shifts", json={**shift, "weeks": 2})
        assert (planned.status_code, len(planned.json()["shifts"])) == (201, 2)
    assert (planned.json()["told"], planned.json()["why"]) == ([officer], "on_duty")
    leave = {"person": officer, "first": "2026-03-03"}
    away = (await head.post(f"{AT_DUTY}/leaves", json=leave)).json()
    assert away["why"] == "head"
    instead = await head.put(f"{AT_DUTY}/people/{officer}/deputies", json={"deputies": [me]})
    assert (instead.json()["told"], instead.json()["why"]) == ([me], "deputy")
    (him,) = [each for each in instead.json()["people"] if each["id"] == officer]
    assert (him["deputies"], him["leaves"][0]["first"], him["leaves"][0]["last"]) == ([me], "2026-03-03", "2026-03-03")
    assert (await head.delete(f"{AT_DUTY}/leaves/{him['leaves'][0]['id']}")).status_code == 204
    first = planned.json()["shifts"][0]["id"]
    assert (await as_("supervisor").delete(f"{AT_DUTY}/shifts/{first}")).status_code == 403
    assert (await as_("head2").delete(f"/api/v1/duty/{OTHER}/shifts/{first}")).status_code == 404  # of another unit
    for status in (204, 404):
        assert (await head.delete(f"{AT_DUTY}/shifts/{first}")).status_code == status
    assert len((await as_("admin").get(AT_DUTY)).json()["shifts"]) == 1
    assert (await as_("supervisor").get(f"/api/v1/duty/{CENTRE}")).status_code == 200
    assert (await as_("admin").get("/api/v1/duty/so-nao-do")).status_code == 404
    for who in ("officer", "head2", "supervisor", "leader"):
        assert (await as_(who).get(AT_DUTY)).status_code == 403
        assert (await as_(who).post(f"{AT_DUTY}/shifts", json=shift)).status_code == 403
    wanted = {"duty.add_shift", "duty.drop_shift", "duty.set_deputies", "duty.drop_leave"}
    async with state(quiet).database.transaction() as session:
        noted = await session.execute(text("SELECT DISTINCT kind FROM journal WHERE kind LIKE 'duty.%'"))
        assert wanted <= {row.kind for row in noted}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("shifts", {"starts_at": "2026-03-03T07:00:00"}),  # without an offset nobody knows when
        ("shifts", {"starts_at": "0001-01-01T00:00:00Z"}),
        ("shifts", {"ends_at": "9999-12-31T23:59:59-14:00"}),
        ("shifts", {"ends_at": "2026-03-02T07:00:00+07:00"}),
        ("shifts", {"weeks": 27}),
        ("shifts", {"person": "00000000-0000-0000-0000-000000000000"}),
        ("shifts", {"room": "1"}),
        ("leaves", {"first": "2026-03-09", "last": "2026-03-08"}),
        ("leaves", {"first": "2199-12-31", "last": "2199-12-31", "more": 1}),
        ("leaves", {"first": "2026-01-01", "last": "2026-01-02"}),
    ],
)
async def test_what_cannot_be_planned_is_refused(quiet: FastAPI, as_: As, path: str, body: dict[str, Any]) -> None:
    officer = str(await staff_id(quiet, "officer@demo"))
    good = {
        "shifts": {"starts_at": "2026-03-03T07:00:00+07:00", "ends_at": "2026-03-03T17:00:00+07:00"},
        "leaves": {"first": "2026-03-03"},
    }
    answer = await as_("head").post(f"{AT_DUTY}/{path}", json={"person": officer, **good[path], **body})
    assert answer.status_code == 422, answer.text
    assert (await as_("head").post(f"{AT_DUTY}/{path}", json={"person": officer, **good[path]})).status_code == 201

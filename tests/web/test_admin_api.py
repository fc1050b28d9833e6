"""The administration over HTTP: each route does its act, the next request sees it, and nothing else is disturbed."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from core import staffing
from ioc import feed, reconcile
from routing.rulesets import dump
from routing.seeds import seed_rule_sets
from tests.factories import PASSWORD, As, Clock, a_report, done, limit_differences, settle, staff_id, state
from tests.web.problems import problem

ADMIN = "/api/v1/admin"
ROOT = Path(__file__).parents[2]


async def asked(client: AsyncClient, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """The answer's body; it must have that status."""
    answer = await client.request(method, f"{ADMIN}/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_the_document_a_rule_set_comes_from_is_kept_with_it(client: AsyncClient, as_: As) -> None:
    admin = as_("admin")
    (example,) = [each for each in (await asked(admin, "GET", "rule-sets"))["items"] if each["code"] == "example-2021"]
    draft = await asked(admin, "POST", f"rule-sets/{example['id']}/next", {"valid_from": "2099-01-05"}, 201)
    path = f"{ADMIN}/rule-sets/{draft['id']}/files"
    sent = {"attachments": ("quyet-dinh.pdf", b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")}
    answer = await admin.post(path, files=sent)
    assert answer.status_code == 201, answer.text
    (file,) = answer.json()["items"]
    assert (file["name"], file["media_type"]) == ("quyet-dinh.pdf", "application/pdf")
    assert (await admin.get(f"{path}/{file['id']}")).content == sent["attachments"][1]
    assert (await admin.get(path)).json()["items"] == [file]
    problem(await admin.post(path, files={"attachments": ("virus.pdf", b"MZ\x90\x00 this is no pdf")}), 415)
    problem(await admin.post(path, json={}), 415)
    problem(await admin.post(path, files={"other": ("a.pdf", b"%PDF-1.4")}), 422)
    problem(await admin.post(path.replace(draft["id"], str(uuid4())), files=sent), 404)
    problem(await as_("leader").post(path, files=sent), 403)
    problem(await client.get(path), 401)
    assert (await admin.delete(f"{path}/{file['id']}")).status_code == 204
    problem(await admin.get(f"{path}/{file['id']}"), 404)
    await asked(admin, "DELETE", f"rule-sets/{draft['id']}", status=204)


# --- staff -------------------------------------------------------------------------------------------------------


async def sign_in(client: AsyncClient, email: str, password: str) -> str | None:
    answer = await client.post("/api/v1/auth/token", data={"username": email, "password": password})
    return answer.json()["access_token"] if answer.status_code == 200 else None


async def test_the_way_of_an_account(client: AsyncClient, as_: As) -> None:
    admin = as_("admin")
    new = {"email": "Moi@x.vn", "name": "Người Mới", "roles": ["officer"], "departments": ["so-xd"]}
    made = await asked(admin, "POST", "staff", new, 201)
    path, first = f"staff/{made['person']['id']}", made["password"]
    assert made["person"]["email"] == "moi@x.vn"
    problem(await admin.post(f"{ADMIN}/staff", json=new), 409)

    token = await sign_in(client, "moi@x.vn", first)
    own = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/api/v1/me", headers=own)).json()["departments"] == ["so-xd"]
    await asked(admin, "PATCH", path, {"roles": ["head"], "departments": ["so-yte"]})
    me = (await client.get("/api/v1/me", headers=own)).json()
    assert (me["roles"], me["departments"]) == (["head"], ["so-yte"])  # at the next request

    second = (await asked(admin, "POST", f"{path}/reset-password", {}))["password"]
    assert (await client.get("/api/v1/me", headers=own)).status_code == 401
    assert await sign_in(client, "moi@x.vn", first) is None
    own = {"Authorization": f"Bearer {await sign_in(client, 'moi@x.vn', second)}"}
    assert (await asked(admin, "POST", f"{path}/deactivate", {}))["active"] is False
    assert (await client.get("/api/v1/me", headers=own)).status_code == 401
    assert await sign_in(client, "moi@x.vn", second) is None
    assert (await asked(admin, "POST", f"{path}/activate"))["active"] is True  # a body that says nothing may be absent
    assert await sign_in(client, "moi@x.vn", second)


async def test_staff_are_listed_by_page(as_: As) -> None:
    admin = as_("admin")
    every = (await asked(admin, "GET", "staff?limit=200"))["items"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await asked(admin, "GET", f"staff?limit=4{f'&cursor={cursor}' if cursor else ''}")
        seen += [person["id"] for person in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [person["id"] for person in every]
    found = await asked(admin, "GET", "staff?q=TRUONG CA&role=supervisor&active=true")
    assert [person["email"] for person in found["items"]] == ["supervisor@demo"]
    problem(await admin.get(f"{ADMIN}/staff?cursor=nobody"), 422)


async def test_the_last_administrator_cannot_go_not_even_twice_at_once(app: FastAPI, as_: As) -> None:
    admin, here = as_("admin"), state(app)
    ids = [str(await staff_id(app, "admin@demo"))]
    problem(await admin.post(f"{ADMIN}/staff/{ids[0]}/deactivate", json={}), 409)
    problem(await admin.patch(f"{ADMIN}/staff/{ids[0]}", json={"roles": ["agent"]}), 409)
    async with here.database.transaction() as session:
        other = await staffing.add(session, "admin2@demo", "Quản trị hai", PASSWORD, ["admin"], [], here.clock())
    ids.append(str(other.id))
    answers = await asyncio.gather(
        admin.patch(f"{ADMIN}/staff/{ids[0]}", json={"roles": ["agent"]}),
        admin.post(f"{ADMIN}/staff/{ids[1]}/deactivate", json={}),
    )
    # The second may find that its own sender is no administrator any more.
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 403])
    async with here.database.transaction() as session:
        left = await session.scalar(
            text(
                "SELECT count(*) FROM staff s JOIN role_grants g ON g.staff_id = s.id WHERE s.active AND role = 'admin'"
            )
        )
        await session.execute(
            text("INSERT INTO role_grants VALUES (:id, 'admin', now()) ON CONFLICT DO NOTHING"), {"id": ids[0]}
        )
    assert left == 1


async def test_everybody_changes_their_own_password(app: FastAPI, client: AsyncClient) -> None:
    tokens = [await sign_in(client, "leader@demo", PASSWORD) for _ in range(2)]
    here, elsewhere = ({"Authorization": f"Bearer {token}"} for token in tokens)
    path = "/api/v1/me/password"
    for body, where in (({"old": "wrong", "new": "a-new-password"}, "old"), ({"old": PASSWORD, "new": "short"}, "new")):
        answer = problem(await client.post(path, json=body, headers=here), 422)
        assert answer["errors"][0]["where"] == where
    assert (await client.get("/api/v1/me", headers=elsewhere)).status_code == 200
    body = {"old": PASSWORD, "new": "a-new-password"}
    assert (await client.post(path, json=body, headers=here)).status_code == 204
    assert (await client.get("/api/v1/me", headers=here)).status_code == 200
    assert (await client.get("/api/v1/me", headers=elsewhere)).status_code == 401
    assert await sign_in(client, "leader@demo", "a-new-password")
    assert await sign_in(client, "leader@demo", PASSWORD) is None


async def test_guesses_of_ones_old_password_are_counted(app: FastAPI, client: AsyncClient) -> None:
    limits = state(app)
    own = {"Authorization": f"Bearer {await sign_in(client, 'head@demo', PASSWORD)}"}
    limits.rates = {"login": (2, 300)}
    try:
        told = [
            (
                await client.post("/api/v1/me/password", json={"old": old, "new": "a-new-password"}, headers=own)
            ).status_code
            for old in ("wrong-1", "wrong-2", "wrong-3", PASSWORD)
        ]
    finally:
        limits.rates = {}
    assert told == [422, 422, 429, 429]


async def test_another_system_has_no_password(app: FastAPI) -> None:
    here = state(app)
    async with here.database.transaction() as session:
        _, key = await staffing.make_api_key(session, "x", ["feed.read"], here.clock())
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://1022.test", headers={"X-Api-Key": key}
    ) as other:
        problem(await other.post("/api/v1/me/password", json={"old": "x", "new": "a-new-password"}), 403)


# --- what is changed is seen at once -----------------------------------------------------------------------------


async def test_a_new_department_can_be_forwarded_to_in_the_next_request(client: AsyncClient, as_: As) -> None:
    admin, code = as_("admin"), (await a_report(client))[0]
    await asked(admin, "POST", "departments", {"code": "so-moi", "name": "Sở Mới", "kind": "so_xd"}, 201)
    assert (await done(as_("dispatcher"), code, "forward", {"lead": "so-moi"}))["lead"]["name"] == "Sở Mới"
    await asked(admin, "PATCH", "departments/so-moi", {"name": "Sở Rất Mới"})
    shown = await as_("dispatcher").get(f"/api/v1/cases/{code}")
    assert shown.json()["lead"]["name"] == "Sở Rất Mới"


async def test_a_new_field_can_be_reported_in_the_next_request_and_a_closed_one_is_still_shown(
    client: AsyncClient, as_: As
) -> None:
    admin = as_("admin")
    made = await asked(admin, "POST", "fields", {"code": "infra.bridge", "name": "Cầu", "urgency": "urgent"}, 201)
    assert [each["code"] for each in made["findings"]] == ["no_rule"]
    code, _ = await a_report(client, field="infra.bridge")
    today = (await asked(admin, "GET", "fields/infra.bridge"))["valid_from"]
    problem(await admin.post(f"{ADMIN}/fields/infra.bridge/close", json={"valid_to": today}), 422)
    assert (await asked(admin, "POST", "fields/infra.bridge/close", {"valid_to": "2198-01-01"}))["field"]["open"]
    shown = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert (shown["field"], shown["urgency"]) == ({"code": "infra.bridge", "name": "Cầu"}, "urgent")


async def test_a_new_area_is_found_in_the_next_request(client: AsyncClient, as_: As) -> None:
    area = {"code": "dn-c-tan-lap", "name": "Tân Lập Mới", "type": "xã", "parent": "dn", "lat": 11.5, "lng": 106.9}
    await asked(as_("admin"), "POST", "areas", area, 201)
    found = (await client.get("/api/v1/areas?q=tan lap moi")).json()
    assert [each["code"] for each in found] == ["dn-c-tan-lap"]


async def test_a_day_off_moves_what_is_opened_afterwards_and_leaves_what_runs(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    async def accept_by(code: str) -> str:
        shown = await as_("dispatcher").get(f"/api/v1/cases/{code}")
        return str(next(each["due_at"] for each in shown.json()["limits"] if each["stage"] == "accept"))

    admin = as_("admin")
    before, after = [(await a_report(client))[0] for _ in range(2)]
    await done(as_("dispatcher"), before, "forward", {"lead": "so-xd"})
    assert await accept_by(before) == "2026-03-04T08:15:00+07:00"  # Tuesday 8:15 + 8 working hours
    day = await asked(admin, "PUT", "calendars/province/days/2026-03-04", {"label": "Bão số 1"})
    assert (day["kind"], day["label"], day["windows"]) == ("off", "Bão số 1", [])
    clock.move(seconds=10)
    await done(as_("dispatcher"), after, "forward", {"lead": "so-xd"})
    assert await accept_by(after) == "2026-03-05T08:15:10+07:00"
    assert await accept_by(before) == "2026-03-04T08:15:00+07:00"
    assert await limit_differences(app) == []
    year = await asked(admin, "GET", "calendars/province?year=2026")
    assert year["months"][2]["days"][3]["kind"] == "off"
    await asked(admin, "DELETE", "calendars/province/days/2026-03-04", status=204)
    await asked(admin, "DELETE", "calendars/province/days/2026-03-04", status=204)  # is as its weekday already


async def test_a_rule_set_is_stored_corrected_checked_and_put_in_force(
    client: AsyncClient, as_: As, clock: Clock
) -> None:
    admin = as_("admin")
    body = dump(seed_rule_sets()[1]).split("calendar:", 1)[1]
    head = "ruleset: {code: new, version: 1, valid_from: 2026-03-03}\n"
    faulty = {"yaml": f"{head}leads:\n- {{code: a, lead: so-none}}\n"}
    made = await asked(admin, "POST", "rule-sets", faulty, 201)
    path = f"rule-sets/{made['rule_set']['id']}"
    assert ("unknown_department", 3) in {(each["code"], each["line"]) for each in made["findings"]}
    refused = problem(await admin.post(f"{ADMIN}/{path}/activate", json={}), 409)
    assert {"where": "a", "code": "unknown_department"}.items() <= refused["errors"][0].items() or len(
        refused["errors"]
    ) > 1
    unread = problem(await admin.put(f"{ADMIN}/{path}", json={"yaml": f"{head}leads: 3"}), 422)
    assert unread["errors"][0] == {
        "where": "leads",
        "line": 2,
        "detail": "Dòng 2, mục leads: phải là danh sách (must be a list).",
        "code": "unreadable",
    }
    await asked(admin, "PUT", path, {"yaml": f"{head}calendar:{body}"})
    assert {each["severity"] for each in (await asked(admin, "GET", f"{path}/check"))["items"]} == {"warning"}
    text_ = (await admin.get(f"{ADMIN}/{path}/yaml")).text
    assert text_.startswith("ruleset:")
    assert (await asked(admin, "POST", f"{path}/activate"))["rule_set"]["in_force"] is True
    code, _ = await a_report(client)
    assert (await as_("agent").get(f"/api/v1/cases/{code}")).json()["rule_set"] == "new v1"
    problem(await admin.delete(f"{ADMIN}/{path}"), 409)
    problem(await admin.put(f"{ADMIN}/{path}", json={"yaml": text_}), 409)
    problem(await admin.post(f"{ADMIN}/rule-sets", json={"yaml": text_}), 409)
    view = await asked(admin, "GET", path)
    assert view["head"]["state"] == "active"
    assert view["limits"][0]["stage"] == "forward"
    draft = await asked(admin, "POST", "rule-sets", {"yaml": text_.replace("version: 1", "version: 2", 1)}, 201)
    await asked(admin, "DELETE", f"rule-sets/{draft['rule_set']['id']}", status=204)
    listed = (await asked(admin, "GET", "rule-sets"))["items"]
    assert [(each["code"], each["in_force"]) for each in listed][:2] == [("new", True), ("example-2025", False)]


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "departments", {"code": "so-x\u0000", "name": "x", "kind": "so_xd"}, 422),
        ("POST", "departments", {"code": "so-x", "name": "x\u0000", "kind": "so_xd"}, 422),
        ("POST", "departments", {"code": "so-x", "name": "x" * 501, "kind": "so_xd"}, 422),
        ("POST", "departments", {"code": "so-x", "name": "x", "kind": "so_xd", "valid_from": "0001-01-01"}, 422),
        ("POST", "departments", {"code": "so-x", "name": "x", "kind": "so_xd", "other": 1}, 422),
        ("PATCH", "departments/so-xd", {"name": None}, 422),
        ("PATCH", "departments/so-xd", {"kind": None}, 422),
        ("PATCH", "departments/so-none", {}, 404),
        ("GET", "departments/so%00xd", None, 422),
        ("POST", "departments/so-xd/abolish", {"valid_to": "2026-02-30"}, 422),
        ("POST", "departments/trung-tam-1022/abolish", {"valid_to": "2026-02-01"}, 409),
        ("PATCH", "fields/infra.road", {"public": None}, 422),
        ("POST", "areas", {"code": "x", "name": "?", "type": "xã"}, 422),
        ("PATCH", "areas/dn", {"lat": 1.0}, 422),
        ("PUT", "calendars/province/week", {"week": [[]] * 7}, 422),
        ("PUT", "calendars/province/days/9999-12-31", {}, 422),
        ("PUT", "calendars/province/days/2026-03-04", {"windows": ["7h-8h"]}, 422),
        ("GET", "calendars/so-none", None, 404),
        ("GET", "calendars/province?year=9999", None, 422),
        ("POST", "calendars", {"department": "so-none"}, 422),
        ("POST", "rule-sets", {"yaml": "\u0000"}, 422),
        ("POST", "rule-sets", {"yaml": "!!python/object:os.system {}"}, 422),
        ("POST", "rule-sets", {"yaml": "!!int ''"}, 422),
        ("POST", "rule-sets", {"yaml": "extends: ../../../etc/passwd"}, 422),
        ("POST", "rule-sets", {"yaml": "extends: law.yaml"}, 422),
        ("POST", "rule-sets", {"yaml": "extends: [1]"}, 422),
        ("POST", "rule-sets", {"yaml": "extends: ruleset-example.yaml\nleads: [3]"}, 422),
        ("POST", "rule-sets", {"yaml": "extends: ruleset-example.yaml\nruleset: 3\ndrop: {}"}, 422),
        ("POST", "rule-sets", {"yaml": "[" * 3000}, 422),
        ("GET", "rule-sets/00000000-0000-0000-0000-000000000000", None, 404),
        ("GET", "staff/x", None, 422),
        ("POST", "staff", {"email": "x", "name": "x"}, 422),
        ("POST", "staff", {"email": "x@x.vn", "name": "x", "roles": ["king"]}, 422),
        ("POST", "staff", {"email": "x@x.vn", "name": "x", "departments": ["so-none"]}, 422),
    ],
)
async def test_what_cannot_be_is_refused_in_words(as_: As, method: str, path: str, body: Any, status: int) -> None:
    problem(await as_("admin").request(method, f"{ADMIN}/{path}", json=body), status)


# --- the journal and its readers ---------------------------------------------------------------------------------


async def test_rows_of_the_administration_disturb_neither_figures_nor_feed(app: FastAPI, as_: As) -> None:
    here = state(app)
    await asked(as_("admin"), "PATCH", "departments/so-yte", {"email": "yte@x.vn"})
    await settle(app)
    async with here.database.transaction() as session:
        kinds = (await session.execute(text("SELECT DISTINCT kind FROM journal WHERE case_id IS NULL"))).scalars().all()
        told = await feed.events(session, 0, 1_000)
        data = (await session.execute(text("SELECT data::text FROM journal WHERE case_id IS NULL"))).scalars().all()
    assert "department.edit" in kinds
    assert all(item.kind.startswith(("case.", "limit.")) for item in told.items)
    assert not any("yte@x.vn" in each for each in data)
    async with here.database.transaction() as session:
        assert await reconcile.reconcile(session, here.settings.zone, datetime.now(UTC)) == []
    documented = (ROOT / "docs" / "operator.md").read_text()
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in documented] == []

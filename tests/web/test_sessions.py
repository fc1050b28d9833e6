"""Signing in for pages: a cookie that scripts cannot read, writes that must come from a page of ours, an end to it."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import text

from core import auth, staffing
from core.db import Database
from core.settings import Settings
from core.staff import Staff
from tests.factories import PASSWORD, Clock, a_report, state
from tests.web.problems import problem
from web.app import build
from web.deps import COOKIE

ME = "/api/v1/me"
SESSION = "/api/v1/auth/session"
FORM = {"username": "agent@demo", "password": PASSWORD}


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Callable[[], AsyncClient]]:
    """Browsers, each with a cookie jar of its own."""
    made: list[AsyncClient] = []

    def fresh() -> AsyncClient:
        made.append(AsyncClient(transport=ASGITransport(app), base_url="http://1022.test"))
        return made[-1]

    yield fresh
    for each in made:
        await each.aclose()


async def sign_in(client: AsyncClient, email: str = "agent@demo") -> str:
    """Signed in with a cookie; the token that writes must bring."""
    answer = await client.post(SESSION, data={"username": email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["csrf_token"])


async def write(client: AsyncClient, code: str, csrf: str | None) -> Response:
    """A note on a case."""
    headers = {} if csrf is None else {"X-CSRF-Token": csrf}
    return await client.post(f"/api/v1/cases/{code}/note", json={"text": "x"}, headers=headers)


async def test_a_cookie_reads_at_once_and_writes_with_the_pages_token(browser: Callable[[], AsyncClient]) -> None:
    page, other = browser(), browser()
    csrf, others = await sign_in(page), await sign_in(other)
    code, _ = await a_report(browser())
    assert (await page.get(ME)).json()["email"] == "agent@demo"
    for wrong in (None, "", "x", csrf[:-1], csrf.upper(), others, page.cookies[COOKIE]):
        problem(await write(page, code, wrong), 403)
    assert (await write(page, code, csrf)).status_code == 200


async def test_a_bearer_token_needs_no_page(browser: Callable[[], AsyncClient]) -> None:
    program = browser()
    token = (await program.post("/api/v1/auth/token", data=FORM)).json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == auth.SIGN_IN_LASTS.total_seconds()
    program.headers["Authorization"] = f"Bearer {token['access_token']}"
    code, _ = await a_report(browser())
    assert (await write(program, code, None)).status_code == 200


async def test_a_cookie_is_no_bearer_token_and_the_other_way_round(browser: Callable[[], AsyncClient]) -> None:
    page, program, thief = browser(), browser(), browser()
    await sign_in(page)
    token = (await program.post("/api/v1/auth/token", data=FORM)).json()["access_token"]
    problem(await thief.get(ME, headers={"Authorization": f"Bearer {page.cookies[COOKIE]}"}), 401)
    problem(await thief.get(ME, headers={"Cookie": f"{COOKIE}={token}"}), 401)


async def test_the_cookie_is_kept_from_scripts_and_from_other_sites(
    app: FastAPI, browser: Callable[[], AsyncClient]
) -> None:
    given = (await browser().post(SESSION, data=FORM)).headers["set-cookie"].lower()
    assert "httponly" in given
    assert "samesite=lax" in given
    assert "path=/" in given
    assert "secure" not in given  # the demo is plain http on this machine
    here = state(app)
    public = here.settings.model_copy(update={"public_url": "https://1022.example.vn"})
    secured = _app(public, here.database)
    async with AsyncClient(transport=ASGITransport(secured), base_url="https://1022.test") as client:
        assert "secure" in (await client.post(SESSION, data=FORM)).headers["set-cookie"].lower()


def _app(settings: Settings, database: Database) -> FastAPI:
    return build(settings, database, {}, demo=True)


async def test_a_cookie_set_beforehand_is_never_adopted(browser: Callable[[], AsyncClient]) -> None:
    victim, attacker = browser(), browser()
    planted = "planted-by-somebody-else-0123456789abcdefghij"
    victim.cookies.set(COOKIE, planted, domain="1022.test")
    problem(await victim.get(ME), 401)
    await sign_in(victim)
    assert planted not in victim.cookies.jar.__repr__() or victim.cookies.get(COOKIE, path="/") != planted
    attacker.cookies.set(COOKIE, planted)
    problem(await attacker.get(ME), 401)


async def test_every_sign_in_is_another_one(browser: Callable[[], AsyncClient]) -> None:
    page = browser()
    seen = set()
    for _ in range(3):
        csrf = await sign_in(page)
        seen.add((page.cookies[COOKIE], csrf))
    assert len({cookie for cookie, _ in seen}) == 3
    assert len({csrf for _, csrf in seen}) == 3


async def test_signing_out_ends_it_here_and_nowhere_else(browser: Callable[[], AsyncClient]) -> None:
    page, other = browser(), browser()
    csrf = await sign_in(page)
    await sign_in(other)
    kept = page.cookies[COOKIE]
    problem(await page.delete(SESSION), 403)  # another site cannot sign anybody out
    assert (await page.delete(SESSION, headers={"X-CSRF-Token": csrf})).status_code == 204
    assert COOKIE not in page.cookies
    problem(await browser().get(ME, headers={"Cookie": f"{COOKIE}={kept}"}), 401)
    assert (await other.get(ME)).status_code == 200


async def test_signing_out_ends_the_cookie_even_beside_another_kind_of_authorization(
    browser: Callable[[], AsyncClient],
) -> None:
    page = browser()
    csrf = await sign_in(page)
    kept = page.cookies[COOKIE]
    answer = await page.delete(SESSION, headers={"X-CSRF-Token": csrf, "Authorization": "Basic eDp5"})
    assert answer.status_code == 204
    problem(await browser().get(ME, headers={"Cookie": f"{COOKIE}={kept}"}), 401)


async def test_a_bearer_token_can_be_given_back_too(browser: Callable[[], AsyncClient]) -> None:
    program = browser()
    token = (await program.post("/api/v1/auth/token", data=FORM)).json()["access_token"]
    program.headers["Authorization"] = f"Bearer {token}"
    assert (await program.delete(SESSION)).status_code == 204
    problem(await program.get(ME), 401)


async def test_a_sign_in_ends_after_a_shift_and_its_row_is_swept(
    app: FastAPI, clock: Clock, browser: Callable[[], AsyncClient]
) -> None:
    page, program = browser(), browser()
    await sign_in(page)
    token = (await program.post("/api/v1/auth/token", data=FORM)).json()["access_token"]
    program.headers["Authorization"] = f"Bearer {token}"
    clock.move(hours=11, minutes=59)
    assert (await page.get(ME)).status_code == (await program.get(ME)).status_code == 200
    clock.move(minutes=1)
    problem(await page.get(ME), 401)
    problem(await program.get(ME), 401)
    async with state(app).database.transaction() as session:
        await auth.sweep(session, clock.now)
        left = await session.scalar(text("SELECT count(*) FROM sign_ins WHERE expires_at <= :now"), {"now": clock.now})
    assert left == 0


async def _somebody(app: FastAPI, email: str) -> None:
    at = datetime.now(UTC)
    async with state(app).database.transaction() as session:
        await staffing.add(session, email, "Người mới", PASSWORD, ["agent"], [], at)


async def test_who_is_deactivated_is_out_at_once_and_cannot_come_back(
    app: FastAPI, browser: Callable[[], AsyncClient]
) -> None:
    await _somebody(app, "leaving@demo")
    page, program = browser(), browser()
    await sign_in(page, "leaving@demo")
    form = {**FORM, "username": "leaving@demo"}
    token = (await program.post("/api/v1/auth/token", data=form)).json()["access_token"]
    program.headers["Authorization"] = f"Bearer {token}"
    assert (await page.get(ME)).status_code == (await program.get(ME)).status_code == 200
    async with state(app).database.transaction() as session:
        await session.execute(text("UPDATE staff SET active = false WHERE email = 'leaving@demo'"))
    problem(await page.get(ME), 401)
    problem(await program.get(ME), 401)
    gone, wrong = [await browser().post(SESSION, data={**form, "password": word}) for word in (PASSWORD, "wrong")]
    problem(gone, 401)
    assert gone.content == wrong.content


async def test_a_new_password_ends_all_sign_ins(app: FastAPI, browser: Callable[[], AsyncClient]) -> None:
    await _somebody(app, "renewed@demo")
    page = browser()
    await sign_in(page, "renewed@demo")
    async with state(app).database.transaction() as session:
        person: Staff = await staffing.found(session, "renewed@demo")
        await staffing.reset_password(session, person, "another-pass-2", datetime.now(UTC))
    problem(await page.get(ME), 401)
    problem(await browser().post(SESSION, data={**FORM, "username": "renewed@demo"}), 401)


async def test_a_role_taken_away_counts_at_the_next_request(app: FastAPI, browser: Callable[[], AsyncClient]) -> None:
    await _somebody(app, "moving@demo")
    page = browser()
    await sign_in(page, "moving@demo")
    assert (await page.get(ME)).json()["roles"] == ["agent"]
    async with state(app).database.transaction() as session:
        await session.execute(
            text("DELETE FROM role_grants WHERE staff_id = (SELECT id FROM staff WHERE email = 'moving@demo')")
        )
    assert (await page.get(ME)).json()["roles"] == []
    code, _ = await a_report(browser())
    problem(await page.get(f"/api/v1/cases/{code}"), 404)


async def test_only_hashes_of_tokens_and_passwords_are_stored(app: FastAPI, browser: Callable[[], AsyncClient]) -> None:
    page = browser()
    csrf = await sign_in(page)
    async with state(app).database.transaction() as session:
        rows = (await session.execute(text("SELECT encode(token_hash, 'escape') FROM sign_ins"))).scalars().all()
        hashes = (
            (await session.execute(text("SELECT password_hash FROM staff WHERE email LIKE '%@demo'"))).scalars().all()
        )
    assert page.cookies[COOKIE] not in str(rows)
    assert csrf not in str(rows)
    assert PASSWORD not in str(hashes)
    assert all(each == "-" or each.startswith("$argon2id$") for each in hashes)

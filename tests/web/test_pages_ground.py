"""What holds for every page: policy, caching, languages, where a form may come from and where it may lead to."""

import gzip
import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.pool import AsyncAdaptedQueuePool

from core import auth
from core.staff import SignIn
from tests import factories
from tests.factories import As
from web.assets import icon, static
from web.deps import COOKIE
from web.pages import local_path
from web.rendering import say


def a_browser(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://1022.test")


async def sign_in(page: AsyncClient, email: str = "agent@demo", **more: str) -> str:
    answer = await page.post("/sign-in", data={"username": email, "password": factories.PASSWORD, **more})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_a_page_allows_no_script_but_our_own_files_and_is_never_framed_or_kept(client: AsyncClient):
    answer = await client.get("/sign-in")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)


async def test_a_page_speaks_the_language_its_viewer_chose(client: AsyncClient, app: FastAPI):
    assert 'lang="vi"' in (await client.get("/sign-in")).text
    async with a_browser(app) as page:
        answer = await page.post("/preferences", data={"lang": "en", "theme": "dark", "back": "/sign-in?next=/ioc"})
        assert answer.headers["location"] == "/sign-in?next=/ioc"
        english = (await page.get("/sign-in")).text
        assert 'lang="en"' in english
        assert 'data-theme="dark"' in english
        assert "Sign in" in english
        assert "Không tìm thấy" not in (await page.get("/nowhere")).text


@pytest.mark.parametrize("chosen", [{"lang": "xx"}, {"theme": "<script>"}, {"lang": ""}])
async def test_a_language_or_theme_that_does_not_exist_is_not_kept(app: FastAPI, chosen: dict[str, str]):
    async with a_browser(app) as page:
        answer = await page.post("/preferences", data=chosen)
        assert answer.status_code == 303
        assert not page.cookies


ELSEWHERE = [
    "https://evil.test/",
    "//evil.test/",
    "/\\evil.test",
    "\\\\evil.test",
    "javascript:alert(1)",
    "/console\r\nSet-Cookie: a=b",
    "console",
    "",
]


@pytest.mark.parametrize("to", ELSEWHERE)
async def test_signing_in_leads_nowhere_but_to_this_host(app: FastAPI, to: str):
    assert local_path(to, "/console") == "/console"
    async with a_browser(app) as page:
        assert await sign_in(page, next=to) == "/console"
        answer = await page.post("/preferences", data={"lang": "vi", "back": to})
        assert answer.headers["location"] == "/"


async def test_signing_in_leads_to_where_one_wanted_to_go(app: FastAPI):
    async with a_browser(app) as page:
        assert await sign_in(page, next="/console?view=mine") == "/console?view=mine"


async def test_a_wrong_password_shows_the_form_again_with_the_name(app: FastAPI):
    async with a_browser(app) as page:
        answer = await page.post("/sign-in", data={"username": 'a"><script>@demo', "password": "wrong"})
        assert answer.status_code == 401
        assert "<script>@demo" not in answer.text
        assert 'a"><script>@demo' in unescape(answer.text)
        assert COOKIE not in page.cookies


async def test_a_sign_in_is_always_a_new_one_and_ends_the_one_before(app: FastAPI):
    """Session fixation: a cookie somebody else planted, or knew, is worth nothing afterwards."""
    async with a_browser(app) as page:
        await sign_in(page)
        first = page.cookies[COOKIE]
        await sign_in(page)
        second = page.cookies[COOKIE]
        assert first != second
        async with factories.state(app).database.transaction() as session:
            assert await session.get(SignIn, auth._digest(first)) is None
            assert await session.get(SignIn, auth._digest(second)) is not None


async def test_signing_out_needs_the_pages_token(app: FastAPI):
    async with a_browser(app) as page:
        await sign_in(page)
        assert (await page.post("/sign-out")).status_code == 403
        token = auth.csrf_token(factories.state(app).key, page.cookies[COOKIE])
        other = auth.csrf_token(factories.state(app).key, "another sign-in")
        assert (await page.post("/sign-out", data={"csrf": other})).status_code == 403
        answer = await page.post("/sign-out", data={"csrf": token})
        assert answer.headers["location"] == "/sign-in"


def test_no_two_pages_carry_the_same_token():
    assert auth.csrf_token(b"k", "t") != auth.csrf_token(b"k", "t")
    assert auth.csrf_fits(b"k", "t", auth.csrf_token(b"k", "t"))
    assert not auth.csrf_fits(b"k", "t", "")
    assert not auth.csrf_fits(b"k", "t", ".")


FROM = [
    ({"sec-fetch-site": "same-origin"}, 303),
    ({"sec-fetch-site": "none"}, 303),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"origin": "http://1022.test"}, 303),
    ({"origin": "http://evil.test"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://["}, 403),  # no address at all
    ({}, 303),
]


@pytest.mark.parametrize(("headers", "status"), FROM)
async def test_forms_are_taken_from_pages_of_this_host_only(app: FastAPI, headers: dict[str, str], status: int):
    async with a_browser(app) as page:
        answer = await page.post("/preferences", data={"lang": "en"}, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    "path", ["/console/new", "/console/new/hints", "/console/cases/BP-26-0000001/note", "/admin/new/area"]
)
async def test_a_slow_upload_holds_no_connection(app: FastAPI, browser: As, path: str):
    """The ten connections of a process are for work, not for whoever sends a byte a second."""
    signed_in = browser("admin" if path.startswith("/admin") else "agent")
    pool = factories.state(app).database.engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    held = []

    async def body() -> AsyncIterator[bytes]:
        for part in (b"text=", b"a", b"b"):
            held.append(pool.checkedout())
            yield part

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = signed_in.build_request("POST", path, content=body(), headers=form)
    answer = await signed_in.send(request)
    assert answer.status_code not in (401, 405)
    assert held == [0, 0, 0]


# what was posted, the page it stood on → where the language form on the answer leads
BACK = [
    ("/track/BP-26-0000001/rating", "http://1022.test/track/BP-26-0000001", "/track/BP-26-0000001"),
    ("/track/BP-26-0000001/rating", "http://1022.test/track/BP-26-0000001/rating", "/track/BP-26-0000001"),
    ("/track/BP-26-0000001/rating", "", "/track/BP-26-0000001"),
    ("/track/BP-26-0000001/rating", "http://evil.test/cases", "/track/BP-26-0000001"),
    ("/track/BP-26-0000001/rating", "http://[", "/track/BP-26-0000001"),
    ("/track/BP-26-0000001/rating", "http://1022.test/cases?field=infra", "/cases?field=infra"),
    ("/sign-in", "", "/sign-in"),
    ("/", "", "/"),
    ("/nowhere/at/all", "", "/"),
]


@pytest.mark.parametrize(("path", "page", "back"), BACK)
async def test_the_language_can_be_chosen_on_the_answer_to_a_refused_form(
    client: AsyncClient, path: str, page: str, back: str
):
    answer = await client.post(path, data={"text": ""}, headers={"Referer": page})
    assert answer.status_code >= 400
    found = re.search(r'name="back" value="([^"]*)"', answer.text)
    assert found is not None
    assert unescape(found[1]) == back
    assert (await client.get(back)).status_code != 405


async def test_who_is_not_signed_in_is_led_to_the_door_and_back(app: FastAPI):
    async with a_browser(app) as page:
        answer = await page.get("/console?view=mine")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2Fconsole%3Fview%3Dmine"
        part = await page.get("/console", headers={"HX-Request": "true"})
        assert part.status_code == 401
        assert part.headers["hx-redirect"].startswith("/sign-in")


async def test_a_problem_on_a_page_is_a_page_and_for_a_script_a_short_message(client: AsyncClient):
    page = await client.get("/nowhere")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    part = await client.get("/nowhere", headers={"HX-Request": "true"})
    assert part.headers["hx-retarget"] == "#toasts"
    assert "<html" not in part.text
    assert re.search(r'<button [^>]*type="button" data-dismiss aria-label="Đóng">', part.text)
    api = await client.get("/api/v1/nowhere")
    assert api.headers["content-type"] == "application/problem+json"


async def test_a_file_is_kept_for_ever_under_its_own_version_only(client: AsyncClient):
    answer = await client.get(static.url("css/base.css"))
    assert "immutable" in answer.headers["cache-control"]
    other = await client.get("/static/css/base.css?v=old")
    assert "immutable" not in other.headers["cache-control"]
    again = await client.get("/static/css/base.css", headers={"If-None-Match": other.headers["etag"]})
    assert again.status_code == 304
    assert (await client.get("/static/../web/app.py")).status_code == 404
    assert (await client.get("/static/nothing.css")).status_code == 404
    assert (await client.post("/static/css/base.css")).status_code == 405


async def test_pages_and_files_travel_compressed(client: AsyncClient):
    for path in ("/sign-in", static.url("css/base.css")):
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert gzip.decompress(static.files["css/base.css"].packed or b"") == static.files["css/base.css"].plain


def test_an_icon_is_decoration_unless_it_speaks():
    assert 'aria-hidden="true"' in icon("phone")
    assert 'aria-label="&lt;b&gt;"' in icon("phone", label="<b>")
    with pytest.raises(KeyError):
        icon("no-such-icon")


def test_a_sentence_without_english_stays_vietnamese():
    assert say("en", "Một câu chưa dịch") == "Một câu chưa dịch"
    assert say("en", "%(n)s trên 5 sao", n=4) == "4 of 5 stars"
    assert say("vi", "%(n)s trên 5 sao", n=4) == "4 trên 5 sao"

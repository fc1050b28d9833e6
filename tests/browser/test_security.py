"""What strangers try through a browser: scripts in every text, forms of other sites, frames, borrowed sign-ins."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.browser.browsing import ACCEPT, Site, a_photo, csrf_in, photo_file
from tests.running import PASSWORD
from web.deps import COOKIE

pytestmark = pytest.mark.timeout(300)  # the first test waits for the demo

# Each would set window.hit if it ran: as an element, out of an attribute, out of JSON in an attribute, as an address,
# as a template of a server or of a script, and what becomes markup only when letters are normalised.
PAYLOADS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    '"><svg onload=window.hit=1>',
    "' autofocus onfocus='window.hit=1",
    '"}\'><iframe srcdoc="<script>parent.hit=1</script>">',
    "</textarea></title></style></script><script>window.hit=1</script>",
    "javascript:window.hit=1",
    "{{ 7*7 }}{% raw %}${window.hit=1}",
    '<a href="javascript:window.hit=1" autofocus>x</a><details open ontoggle=window.hit=1>',
    "<div hx-get=/console hx-trigger=load hx-on::load=window.hit=1 data-hx-on:click=window.hit=1>",
    "＜script＞window.hit=1＜/script＞ &lt;script&gt;window.hit=1&lt;/script&gt;",
)
ALL = " ".join(PAYLOADS)
# What people do without a thought, such as pointing; then whatever of a payload has become an element or a handler.
POKE = """() => {
  for (const each of document.querySelectorAll('main *')) {
    each.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
    each.dispatchEvent(new FocusEvent('focus'));
  }
  return [...document.querySelectorAll('script:not([src]), iframe, object, embed, main a[href^="javascript:"]')]
    .map(each => each.outerHTML.slice(0, 200)).concat(
      [...document.querySelectorAll('*')].flatMap(each => [...each.attributes]
        .filter(one => /^(on|(data-)?hx-on)/i.test(one.name)).map(one => one.name + '=' + one.value)));
}"""


async def unharmed(page: Page) -> None:
    """Nothing of a payload ran or became an element of the page."""
    assert await page.evaluate(POKE) == []
    assert await page.evaluate("window.hit") is None
    assert "49{%" not in await page.content()


async def test_nothing_runs_of_what_is_written_in_any_text_name_address_or_file_name(site: Site) -> None:
    # the citizen: text, address, name, a file's name, a message, a rating, a reason
    async with site.client() as citizen:
        data = {
            "text": f"Ổ gà {ALL}",
            "location": json.dumps({"address": ALL[:480]}),
            "contact": json.dumps({"name": PAYLOADS[0] + PAYLOADS[1] + PAYLOADS[2], "phone": "0912345678"}),
            "field": "infra.road",
        }
        files = [("attachments", (name, a_photo(), "image/jpeg")) for name in FILE_NAMES]
        answer = await citizen.post("/api/v1/reports", data=data, files=files)
        assert answer.status_code == 201, answer.text
    receipt = answer.json()
    code = receipt["code"]
    # staff: messages to the unit, notes, questions, progress, answers, public texts
    await site.drive(
        code,
        ("agent", "note", {"text": ALL}),
        ("dispatcher", "forward", {"lead": "so-xd", "reason": ALL, "note": ALL}),
        ACCEPT,
    )
    promised = datetime.fromisoformat((await site.asked("officer", f"/api/v1/cases/{code}"))["promised_at"])
    until = (promised + timedelta(hours=16)).isoformat()
    await site.drive(
        code,
        ("officer", "request_extension", {"until": until, "reason": ALL}),
        ("officer", "tell_progress", {"text": ALL, "until": "2027-03-01T09:00:00+07:00"}),
        ("officer", "submit_answer", {"reply": ALL, "public_text": ALL}),
        ("head", "return_answer", {"reason": ALL}),
        ("officer", "ask_citizen", {"question": ALL}),
    )
    citizen_page = await site.page(path="/track")
    await citizen_page.get_by_label("Mã phản ánh").fill(code)
    await citizen_page.get_by_label("Khóa theo dõi").fill(receipt["tracking_key"])
    await citizen_page.get_by_role("button", name="Xem phản ánh").click()
    await unharmed(citizen_page)
    await citizen_page.get_by_label("Anh/chị trả lời").fill(ALL)
    await citizen_page.locator("#f-attachments").set_input_files(photo_file(FILE_NAMES[0]))
    await unharmed(citizen_page)  # the script shows file names too
    await citizen_page.get_by_role("button", name="Gửi trả lời").click()
    await expect(citizen_page.get_by_text("Đã gửi thêm nội dung.")).to_be_visible()
    await unharmed(citizen_page)
    for who in ("officer", "dispatcher", "supervisor"):
        page = await site.page(who, f"/console/cases/{code}")
        await expect(page.locator("#case-talk")).to_contain_text(PAYLOADS[0])
        await unharmed(page)
        for path in (f"/console/cases/{code}/explain", "/console", f"/console?q={quote(PAYLOADS[0])}",
                     f"/console?q={code}", "/ioc"):  # fmt: skip
            await page.goto(path)
            await unharmed(page)
        await page.context.close()
    # previews, and a form shown again with what was typed
    page = await site.page("officer", f"/console/cases/{code}")
    await page.locator("label[data-mode=ask_citizen]").click()
    form = page.locator("#do-ask_citizen")
    await form.locator("textarea[name=question]").fill(ALL)
    await form.get_by_role("button", name="Xem trước").click()
    await expect(form.locator(".preview")).to_contain_text(PAYLOADS[0])
    await unharmed(page)
    await page.reload()
    await unharmed(page)  # the draft comes back
    await site.drive(
        code,
        ("officer", "submit_answer", {"reply": ALL, "public_text": ALL}),
        ("head", "approve_answer", {}),
        ("agent", "publish", {"public_text": ALL}),
    )
    await page.goto(f"/console/cases/{code}")
    await unharmed(page)
    for path in ("/cases", f"/cases/{code}"):
        await citizen_page.goto(path)
        await expect(citizen_page.locator("main")).to_contain_text(PAYLOADS[0])
        await unharmed(citizen_page)
    await citizen_page.goto(f"/track/{code}")
    await unharmed(citizen_page)


FILE_NAMES = ("<img src=x onerror=window.hit=1>.jpg", '"><svg onload=window.hit=1>.jpg', "'-window.hit=1-'.jpg")


async def test_nothing_runs_of_the_names_an_administrator_gives(site: Site) -> None:
    name = PAYLOADS[1] + PAYLOADS[2]
    client = await site.as_staff("admin")
    made = []
    async with client:
        headers = {"X-CSRF-Token": await _csrf(site, "admin")}
        for path, body in (
            ("/api/v1/admin/departments", {"code": "thu-ma", "name": name, "kind": "so_xd"}),
            ("/api/v1/admin/staff", {"email": "ma@demo.vn", "name": name, "roles": ["officer"]}),
        ):  # fmt: skip
            answer = await client.post(path, json=body, headers=headers)
            made.append((path, answer.status_code, answer.text[:300]))
    page = await site.page("admin", "/admin")
    for path in ("/admin", "/admin/departments", "/admin/staff", "/admin/fields", "/admin/areas", "/admin/calendars",
                 "/admin/rules"):  # fmt: skip
        shown = await page.goto(path)
        assert shown is not None
        assert shown.status == 200, path
        await unharmed(page)
    assert all(status == 201 for _, status, _ in made), made


@pytest.mark.parametrize(
    "path",
    [
        f"/console?q={quote(PAYLOADS[0])}",
        f"/console?view={quote(PAYLOADS[2])}",
        f"/console/cases/{quote(PAYLOADS[1], safe='')}",
        f"/console?status={quote(PAYLOADS[2])}&order={quote(PAYLOADS[0])}",
        f"/ioc?period={quote(PAYLOADS[2])}&from={quote(PAYLOADS[0])}",
        f"/track?code={quote(PAYLOADS[2])}&key={quote(PAYLOADS[0])}",
        f"/cases?field={quote(PAYLOADS[2])}&cursor={quote(PAYLOADS[0])}",
        f"/sign-in?next={quote(PAYLOADS[2])}",
        f"/sign-in?next={quote('javascript:window.hit=1')}",
        f"/{quote(PAYLOADS[0])}",
    ],
)
async def test_nothing_runs_of_what_stands_in_an_address(site: Site, path: str) -> None:
    page = await site.page("supervisor", path)
    await unharmed(page)
    site.problems[:] = [each for each in site.problems if "does not conform to the required format" not in each]


async def test_what_is_uploaded_is_never_shown_as_a_page(site: Site) -> None:
    receipt = await site.report("Ổ gà trước chợ.")
    async with site.client() as client:
        for name, content, kind in (
            ("x.html", b"<script>window.hit=1</script>", "text/html"),
            ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hit=1'/>", "image/svg+xml"),
            ("x.jpg", b"<script>window.hit=1</script>", "image/jpeg"),
        ):
            answer = await client.post(
                f"/api/v1/reports/{receipt['code']}/messages", data={"text": "kèm tệp"},
                files=[("attachments", (name, content, kind))], headers={"Tracking-Key": receipt["tracking_key"]},
            )  # fmt: skip
            assert answer.status_code in (415, 422), (name, answer.status_code)


# ---- other sites


@contextmanager
def another_site(pages: dict[str, str]) -> Iterator[str]:
    """A web site of somebody else, on a port of its own."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"  # another host to browsers, and another site
    finally:
        server.shutdown()
        server.server_close()


def auto_form(action: str, **fields: str) -> str:
    """A page that sends a form as soon as it is seen."""
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    return (
        f'<!doctype html><form method="post" action="{action}" enctype="multipart/form-data">{inputs}</form>'
        "<script>document.forms[0].submit()</script>"
    )


async def test_forms_and_scripts_of_another_site_change_nothing(site: Site) -> None:
    code = (await site.report("Rác không ai gom.", field="env.waste"))["code"]
    at = f"{site.url}/console/cases/{code}"
    fetches = f"""<!doctype html><script>
      window.tried = Promise.allSettled([
        fetch("{at}/note", {{method: "POST", mode: "no-cors", credentials: "include",
          headers: {{"Content-Type": "application/x-www-form-urlencoded"}}, body: "text=bị+ép&version=1"}}),
        fetch("{site.url}/api/v1/cases/{code}/note", {{method: "POST", mode: "no-cors", credentials: "include",
          headers: {{"Content-Type": "text/plain"}}, body: JSON.stringify({{text: "bị ép"}})}}),
        fetch("{site.url}/api/v1/cases/{code}/note", {{method: "POST", credentials: "include",
          headers: {{"Content-Type": "application/json", "X-CSRF-Token": "x"}}, body: "{{}}"}}),
        fetch("{site.url}/sign-out", {{method: "POST", mode: "no-cors", credentials: "include"}}),
      ]);
    </script>"""
    pages = {
        "/note": auto_form(f"{at}/note", text="bị ép", version="1"),
        "/forward": auto_form(f"{at}/forward", lead="so-xd", version="1", csrf="đoán"),
        "/out": auto_form(f"{site.url}/sign-out"),
        "/in": auto_form(f"{site.url}/sign-in", username="officer@demo", password=PASSWORD, next="/console"),
        "/theme": auto_form(f"{site.url}/preferences", theme="dark", back="/"),
        "/fetch": fetches,
    }
    with another_site(pages) as evil:
        site.hosts.add(urlsplit(evil).netloc)
        context = await site.context("dispatcher")
        # even where a browser sends the cookie along, as those before SameSite did
        value = site.cookies["dispatcher@demo"]
        for page_path in pages:
            page = await context.new_page()
            await page.goto(f"{evil}{page_path}")
            if page_path == "/fetch":
                settled = await page.evaluate("tried.then(all => all.map(each => each.status))")
                assert settled[2] == "rejected"  # asks first, and is told no
            else:
                await page.wait_for_url(f"{site.url}/**")
                await expect(page.locator("h1")).to_have_text(re.compile("Không được phép|Đăng nhập|Cần đăng nhập"))
            await page.close()
        kept = {cookie["name"]: cookie["value"] for cookie in await context.cookies(site.url)}
        assert kept[COOKIE] == value
        assert kept["theme"] == "light"
    refused = ("CORS", "request failed", "net::ERR_FAILED")  # what the browser says of the other site's scripts
    site.problems[:] = [each for each in site.problems if not any(word in each for word in refused)]
    shown = await site.asked("dispatcher", f"/api/v1/cases/{code}")
    assert (shown["status"], shown["version"]) == ("received", 1)
    async with await site.as_staff("dispatcher") as client:  # the cookie of a browser that sends it everywhere
        for headers in (
            {"Origin": evil},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {},
        ):
            answer = await client.post(f"{at}/note", data={"text": "bị ép", "version": "1"}, headers=headers)
            assert answer.status_code == 403, headers
            answer = await client.post(f"{site.url}/api/v1/cases/{code}/note", json={"text": "bị ép"}, headers=headers)
            assert answer.status_code == 403, headers
        assert (await client.get("/console")).status_code == 200, "nobody was signed out"
    assert (await site.asked("dispatcher", f"/api/v1/cases/{code}"))["version"] == 1


async def test_the_token_of_one_sign_in_is_of_no_use_to_another(site: Site) -> None:
    code = (await site.report("Rác không ai gom.", field="env.waste"))["code"]
    token = await _csrf(site, "agent")
    async with await site.as_staff("dispatcher") as client:
        answer = await client.post(f"/console/cases/{code}/note", data={"text": "x", "version": "1", "csrf": token})
    assert answer.status_code == 403


async def test_no_page_can_be_framed(site: Site) -> None:
    code = (await site.report("Rác không ai gom.", field="env.waste"))["code"]
    paths = ("/", "/track", "/cases", "/sign-in", "/console", f"/console/cases/{code}", "/ioc", "/admin", "/nowhere")
    frames = "".join(f'<iframe src="{site.url}{path}"></iframe>' for path in paths)
    with another_site({"/": f"<!doctype html>{frames}"}) as evil:
        site.hosts.add(urlsplit(evil).netloc)
        page = await site.page("admin")
        await page.goto(evil)
        await page.wait_for_load_state("networkidle")
        for frame in page.frames[1:]:
            assert not frame.url.startswith(site.url), frame.url  # an error page of the browser's stands there
    site.problems.clear()  # the browser says that it refused
    async with await site.as_staff("admin") as client:
        for path in paths:
            policy = (await client.get(path)).headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy, path
            assert "unsafe" not in policy, path
            assert "default-src 'none'" in policy, path


async def test_a_cookie_planted_before_signing_in_is_worth_nothing_afterwards(site: Site) -> None:
    async with site.client() as thief:
        planted = await _sign_in(thief, "agent@demo")
    page = await site.page()
    await page.context.add_cookies([{"name": COOKIE, "value": planted, "url": site.url}])
    await page.goto("/sign-in")
    await page.get_by_label("Thư điện tử").fill("dispatcher@demo")
    await page.get_by_label("Mật khẩu").fill(PASSWORD)
    await page.get_by_role("button", name="Đăng nhập").click()
    await page.wait_for_url("**/console")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
    assert cookies[COOKIE]["value"] != planted
    assert cookies[COOKIE]["httpOnly"]
    assert cookies[COOKIE]["sameSite"] in ("Lax", "Strict")
    assert await page.evaluate("document.cookie.includes('hotline')") is False
    async with site.client() as thief:
        thief.cookies.set(COOKIE, planted)
        assert (await thief.get("/console")).status_code == 303, "what was planted ended"
        thief.cookies.set(COOKIE, "x" * len(planted))
        assert (await thief.get("/console")).status_code == 303
    await page.locator("summary.avatar").click()
    await page.get_by_role("button", name="Đăng xuất").click()
    await page.wait_for_url("**/sign-in")
    async with site.client() as thief:
        thief.cookies.set(COOKIE, str(cookies[COOKIE]["value"]))
        assert (await thief.get("/console")).status_code == 303, "signing out ends it on the server"


ELSEWHERE = (
    "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example", "/%09/evil.example",
    "/\t/evil.example", "https:evil.example", "javascript:alert(1)", "data:text/html,x", " //evil.example",
    "/\n/evil.example", "///evil.example", "http://127.0.0.1@evil.example/", "evil.example",
)  # fmt: skip


@pytest.mark.parametrize("to", ELSEWHERE)
async def test_signing_in_and_preferences_never_lead_to_another_host(site: Site, to: str) -> None:
    async with site.client() as client:
        shown = await client.get("/sign-in", params={"next": to})
        next_ = re.search(r'name="next" value="([^"]*)"', shown.text)
        assert next_
        assert "evil" not in next_[1] or next_[1].startswith("/%09/")
        for path, data in (
            ("/preferences", {"lang": "en", "back": to}),
            ("/sign-in", {"username": "agent@demo", "password": PASSWORD, "next": to}),
        ):
            answer = await client.post(path, data=data)
            assert answer.status_code == 303
            where = answer.headers["Location"]
            assert where.startswith("/")
            assert not re.match(r"/[/\\\s]", where), where


async def test_a_browser_that_follows_stays_here(site: Site) -> None:
    page = await site.page()
    for to in ("//localhost:1/", "/\\localhost:1/", "https://localhost:1/"):
        await page.goto(f"/sign-in?next={quote(to, safe='')}")
        await page.get_by_label("Thư điện tử").fill("leader@demo")
        await page.get_by_label("Mật khẩu").fill(PASSWORD)
        await page.get_by_role("button", name="Đăng nhập").click()
        await page.wait_for_url(f"{site.url}/**")
        assert urlsplit(page.url).netloc == urlsplit(site.url).netloc


async def _csrf(site: Site, who: str) -> str:
    async with await site.as_staff(who) as client:
        return csrf_in((await client.get("/console")).text)


async def _sign_in(client: Any, email: str) -> str:
    answer = await client.post("/sign-in", data={"username": email, "password": PASSWORD})
    return str(answer.cookies[COOKIE])

"""What strangers try through a browser: scripts in every text, forms of other sites, frames, borrowed sign-ins."""

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import yaml
from playwright.async_api import Page, expect
from pydantic import BaseModel
from starlette.routing import Route

from cases.desk import HANDLERS
from cases.states import STAFF_ACTIONS, Action
from tests.browser.browsing import ACCEPT, APPROVE, Site, a_photo, csrf_in, photo_file, settled
from tests.browser.test_journeys import reload_until
from tests.running import PASSWORD, TOP
from web.cases import router as staff_routes
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
        APPROVE,
    )
    await site.replied(code)
    await site.act("agent", code, "publish", {"public_text": ALL})
    await page.goto(f"/console/cases/{code}")
    await unharmed(page)
    for path in ("/cases", f"/cases/{code}"):
        await citizen_page.goto(path)
        await expect(citizen_page.locator("main")).to_contain_text(PAYLOADS[0])
        await unharmed(citizen_page)
    await citizen_page.goto(f"/track/{code}")
    await unharmed(citizen_page)


FILE_NAMES = ("<img src=x onerror=window.hit=1>.jpg", '"><svg onload=window.hit=1>.jpg', "'-window.hit=1-'.jpg")


# ---- every text that anybody can enter

NAME = " ".join(PAYLOADS[:6])  # as much as a name may hold
UNIT, FIELD, AREA = "don-vi-ma", "ma.chu", "dn-c-ma"
OWNER, CLERK = "can-bo-ma@demo.vn", "tong-dai-ma@demo.vn"  # of the unit, of the centre
OF_CITIZENS = {Action.ADD_MESSAGE: "messages", Action.RATE: "rating", Action.REOPEN: "reopen"}
CODES = {"into", "officer"}  # written by people, but taken only when they name something


def texts_of(shape: type[BaseModel]) -> set[str]:
    """The members of a body that take any words."""
    found = set()
    for name, member in shape.model_json_schema()["properties"].items():
        for each in member.get("anyOf", [member]):
            if each.get("type") == "string" and not {"pattern", "enum", "const", "format"} & each.keys():
                found.add(name)
    return found - CODES


@dataclass
class Planting:
    """Acts whose every text is a payload, and which of them there have been."""

    site: Site
    done: set[Action] = field(default_factory=set)

    def _body(self, action: Action, given: dict[str, Any]) -> dict[str, Any]:
        self.done.add(action)
        return dict.fromkeys(texts_of(HANDLERS[action][0]), ALL) | given

    async def staff(self, who: str, code: str, action: Action, **given: Any) -> dict[str, Any]:
        """An act of staff."""
        return await self.site.act(who, code, action.value, self._body(action, given))

    async def attach(self, who: str, code: str) -> None:
        """Files with names of their own."""
        files = [("attachments", (name, a_photo(), "image/jpeg")) for name in FILE_NAMES]
        headers = {"Authorization": f"Bearer {await self.site.token(who)}"}
        async with self.site.client() as client:
            path, data = f"/api/v1/cases/{code}/attach", self._body(Action.ATTACH, {})
            assert (await client.post(path, data=data, files=files, headers=headers)).status_code == 200

    async def citizen(self, receipt: dict[str, Any], action: Action, **given: Any) -> None:
        """An act of the reporter."""
        path = f"/api/v1/reports/{receipt['code']}/{OF_CITIZENS[action]}"
        body = {name: value for name, value in self._body(action, given).items() if name != "note"}
        async with self.site.client() as client:
            answer = await client.post(path, json=body, headers={"Tracking-Key": receipt["tracking_key"]})
        assert answer.status_code in (200, 201), answer.text

    async def report(self) -> dict[str, Any]:
        """A report whose place, kind and words are all payloads."""
        place, contact = {"address": ALL[:480], "area": AREA}, {"name": NAME[:200], "phone": "0912345678"}
        return await self.site.report(ALL, field=FIELD, location=place, contact=contact)


class Office:
    """The administration's API as its administrator's browser uses it."""

    def __init__(self, client: httpx.AsyncClient, csrf: str) -> None:
        self._client, self._headers = client, {"X-CSRF-Token": csrf}

    async def __call__(self, method: str, path: str, **body: Any) -> Any:
        answer = await self._client.request(method, f"/api/v1/admin/{path}", json=body or None, headers=self._headers)
        assert answer.status_code in (200, 201, 204), (path, answer.text)
        return answer.json() if answer.content and "json" in answer.headers["Content-Type"] else answer.text


@asynccontextmanager
async def a_province_of_payloads(site: Site) -> AsyncIterator[str]:
    """A unit, a field, an area, two people, a calendar and a draft of rules; all harmless again afterwards.

    Gives the draft's id.
    """
    async with await site.as_staff("admin") as client:
        office = Office(client, await _csrf(site, "admin"))
        await office("POST", "fields", code="ma", name=NAME)
        await office("POST", "fields", code=FIELD, name=NAME)
        await office("POST", "areas", code=AREA, name=f"Xóm Thử {NAME}", type="phường", parent="dn")
        await office("POST", "departments", code=UNIT, name=NAME, kind="so_xd", email="don-vi-ma@demo.invalid")
        for email, roles, unit in ((OWNER, ["officer", "head"], UNIT), (CLERK, ["agent"], "trung-tam-1022")):
            made = await office("POST", "staff", email=email, name=NAME, roles=roles, departments=[unit])
            await _knows(site, email, made["password"])
        await office("POST", "calendars", department=UNIT)
        today = datetime.now(UTC).date()
        day = f"calendars/{UNIT}/days/{today.replace(month=12, day=30)}"
        await office("PUT", day, windows=[], label=ALL[:500], source=ALL[:500])
        heads = (await office("GET", "rule-sets"))["items"]
        held = next(head for head in heads if head["in_force"])
        rules = yaml.safe_load(await office("GET", f"rule-sets/{held['id']}/yaml"))
        _poison(rules)
        rules["ruleset"] |= {"version": 77, "valid_from": today + timedelta(days=300), "valid_to": None}
        draft = (await office("POST", "rule-sets", yaml=yaml.safe_dump(rules, allow_unicode=True)))["rule_set"]["id"]
        try:
            yield draft
        finally:
            await office("DELETE", f"rule-sets/{draft}")
            for path in ("fields/ma", f"fields/{FIELD}", f"areas/{AREA}", f"departments/{UNIT}"):
                await office("PATCH", path, name="Tên thường")


def _poison(rules: Any) -> None:
    """Put a payload in place of every remark of a rule set."""
    if isinstance(rules, dict):
        for name, value in rules.items():
            if name in ("note", "source", "says", "mark"):
                rules[name] = NAME
            else:
                _poison(value)
    elif isinstance(rules, list):
        for each in rules:
            _poison(each)


async def _knows(site: Site, email: str, password: str) -> None:
    """Let the browser tests sign in as somebody with a password of their own."""
    form = {"username": email, "password": password}
    async with site.client() as client:
        site.cookies[email] = (await client.post("/sign-in", data=form)).cookies[COOKIE]
        site.tokens[email] = (await client.post("/api/v1/auth/token", data=form)).json()["access_token"]


async def _look(page: Page, *paths: str) -> None:
    """Each page shows payloads as words."""
    for path in paths:
        shown = await page.goto(path)
        assert shown is not None
        assert shown.status == 200, path
        assert PAYLOADS[1] in str(await page.locator("body").text_content()), path
        await unharmed(page)


async def _forms(site: Site, who: str, code: str) -> None:
    """The case's page with each form this person can open now, every list to choose from and every text offered."""
    page = await site.page(who)
    offered = (await site.asked(who, f"/api/v1/cases/{code}"))["actions"]
    await _look(page, f"/console/cases/{code}", *(f"/console/cases/{code}/{action}" for action in offered))
    await page.context.close()


async def test_nothing_runs_of_any_text_of_any_act_nor_of_the_names_an_administrator_gives(site: Site) -> None:
    acts = Planting(site)
    async with a_province_of_payloads(site) as draft:
        receipt, second, third, fourth = [await acts.report() for _ in range(4)]
        code = receipt["code"]
        until = (datetime.now(UTC) + timedelta(days=40)).isoformat()
        for action in (Action.NOTE, Action.REVEAL_IDENTITY):
            await acts.staff("agent", code, action)
        await acts.attach("agent", code)
        await acts.staff("agent", code, Action.CLASSIFY, urgency="emergency")
        await _forms(site, "agent", code)
        await acts.staff("agent", code, Action.HAND_OVER, to="115", spoke_with=NAME[:200])
        await acts.staff("agent", code, Action.CLASSIFY, urgency="complex")
        for track in ("admin_regulation", "ordinary"):
            await acts.staff("agent", code, Action.SET_TRACK, track=track)
        await acts.staff("dispatcher", code, Action.ASSIGN_OFFICER, officer=CLERK)
        await _forms(site, CLERK, code)
        await _forms(site, "dispatcher", code)
        to = {"lead": UNIT, "supporting": ["so-congthuong"]}
        await acts.staff("dispatcher", code, Action.FORWARD, **to)
        await acts.staff(OWNER, code, Action.GIVE_BACK, suggested=UNIT)
        await acts.staff("dispatcher", code, Action.FORWARD, **to)
        await acts.staff("dispatcher", code, Action.RECALL)
        await acts.staff("dispatcher", code, Action.FORWARD, **to)
        await acts.staff("unit", code, Action.CONTRIBUTE)
        await acts.staff(OWNER, code, Action.ACCEPT)
        for into, action in ((second["code"], Action.LINK_INCIDENT), (None, Action.UNLINK_INCIDENT)):
            await acts.staff("dispatcher", code, action, **({"into": into} if into else {}))
        await acts.staff("dispatcher", code, Action.SPLIT)
        promised = (await site.asked(OWNER, f"/api/v1/cases/{code}"))["promised_at"]
        later = (datetime.fromisoformat(promised) + timedelta(hours=16)).isoformat()
        await acts.staff(OWNER, code, Action.REQUEST_EXTENSION, until=later)
        await acts.staff(OWNER, code, Action.DENY_EXTENSION)
        await acts.staff(OWNER, code, Action.REQUEST_EXTENSION, until=later)
        await _forms(site, OWNER, code)
        await _look(await site.page("dispatcher"), "/console?view=open", f"/console/cases/{code}/explain")
        await acts.staff(OWNER, code, Action.GRANT_EXTENSION, until=later)
        await acts.staff(OWNER, code, Action.TELL_PROGRESS, until=until)
        await acts.staff("agent", code, Action.CHASE)
        await acts.staff(OWNER, code, Action.ASK_CITIZEN)
        await acts.citizen(receipt, Action.ADD_MESSAGE)
        await acts.staff(OWNER, code, Action.SUBMIT_ANSWER)
        await acts.staff(OWNER, code, Action.RETURN_ANSWER)
        await acts.staff(OWNER, code, Action.SUBMIT_ANSWER)
        await _forms(site, OWNER, code)
        await acts.staff(OWNER, code, Action.APPROVE_ANSWER)

        citizen = await site.page(path=f"/track?code={code}&key={receipt['tracking_key']}")
        await reload_until(citizen, citizen.locator(f"form[action='/track/{code}/rating']"))
        await unharmed(citizen)
        await acts.citizen(receipt, Action.RATE, rating=2)
        await acts.staff("agent", code, Action.PUBLISH)
        await acts.staff("agent", code, Action.UNPUBLISH)
        await acts.staff("agent", code, Action.PUBLISH)
        for who in ("agent", "supervisor"):
            await _forms(site, who, code)
        await _look(citizen, "/", "/cases", f"/cases/{code}", f"/cases?field={FIELD}&area={AREA}", f"/track/{code}")
        await acts.staff("agent", code, Action.CLOSE)
        await acts.citizen(receipt, Action.REOPEN)
        await _look(citizen, f"/track/{code}")

        await acts.staff("agent", second["code"], Action.REFUSE, reason_code="unclear")
        await acts.staff("agent", second["code"], Action.REOPEN)
        await acts.staff("dispatcher", second["code"], Action.REDIRECT, to="other")
        await acts.staff("agent", third["code"], Action.ANSWER_DIRECTLY)
        await acts.staff("agent", fourth["code"], Action.MARK_SPAM)
        await acts.staff("agent", fourth["code"], Action.UNMARK_SPAM)
        await acts.staff("agent", fourth["code"], Action.MERGE, into=code)
        await _forms(site, CLERK, code)
        cases = [f"/console/cases/{each['code']}" for each in (second, third, fourth)]
        await _look(await site.page("supervisor"), *cases, f"/console/cases/{code}/explain")
        for each in (second, third, fourth):
            await _look(citizen, f"/track?code={each['code']}&key={each['tracking_key']}")
        wordy = {action for action in (*STAFF_ACTIONS, *OF_CITIZENS) if texts_of(HANDLERS[action][0])}
        assert acts.done >= wordy, wordy - acts.done

        leader = await site.page("leader")
        narrowed = f"field={FIELD}&area={AREA}&department={UNIT}"
        await _look(leader, f"/console?{narrowed}", "/ioc", f"/ioc?{narrowed}", f"/ioc?field={FIELD}")
        admin = await site.page("admin")
        people = await _of(site, "staff", "items")
        await _look(
            admin,
            *("/admin/departments?q=ma", "/admin/fields", "/admin/areas?q=ma", "/admin/staff", "/admin/calendars"),
            *(f"/admin/departments/{UNIT}", "/admin/fields/ma", f"/admin/fields/{FIELD}", f"/admin/areas/{AREA}"),
            *("/admin/new/department", "/admin/new/field", "/admin/new/account"),
            *(f"/admin/staff/{person['id']}" for person in people if person["email"] in (OWNER, CLERK)),
            *(f"/admin/calendars/{UNIT}", f"/admin/calendars/{UNIT}/days/{datetime.now(UTC).year}-12-30"),
            *("/admin/rules", f"/admin/rules/{draft}", f"/admin/rules/{draft}/edit"),
        )
        for path in ("/admin", f"/admin/rules/{draft}/check", f"/admin/rules/{draft}/activate"):
            await admin.goto(path)
            await unharmed(admin)
        await _what_scripts_show(site, fourth["code"])


async def _what_scripts_show(site: Site, merged: str) -> None:
    """Places where a page's own script puts words that came later."""
    phone = await site.page(path="/")
    await phone.get_by_label("Nội dung phản ánh").fill(ALL)
    await phone.get_by_role("button", name="Tiếp tục").click()
    unit = phone.get_by_role("combobox", name=re.compile("^Xã, phường"))
    await unit.fill("xom thu")
    await expect(phone.get_by_role("option").first).to_contain_text(PAYLOADS[1])
    await unharmed(phone)
    await phone.get_by_role("option").first.click()
    await unharmed(phone)

    taking = await site.page("agent", "/console/new")
    await taking.get_by_label("Số điện thoại").fill("0912345678")
    await expect(taking.locator("#caller")).to_contain_text(PAYLOADS[0])
    async with taking.expect_response("**/console/new/hints"):
        await taking.get_by_label("Nội dung phản ánh").fill(ALL)
    for label, value in (("Lĩnh vực", FIELD), ("Địa bàn", AREA)):
        async with taking.expect_response("**/console/new/hints"):
            await taking.get_by_label(label).select_option(value)
    await settled(taking)
    await unharmed(taking)

    code = (await site.report(ALL, field=FIELD, location={"area": AREA}))["code"]
    page = await site.page("dispatcher", f"/console/cases/{code}/merge")
    await page.locator("#do-merge input[name=into]").fill(merged)
    await expect(page.locator("#do-merge .peek")).to_contain_text(PAYLOADS[0])
    await unharmed(page)
    await page.goto(f"/console/cases/{code}/forward")
    form = page.locator("#do-forward")
    await form.locator("input[data-find]").first.fill("script window.hit")
    await form.locator(f"input[name=lead][value={UNIT}]").check(force=True)
    await form.locator("[data-send]").click()
    await expect(page.locator("#toasts")).to_contain_text(PAYLOADS[1])
    await unharmed(page)

    page = await site.page(OWNER, f"/console/cases/{code}")
    await site.act(OWNER, code, "accept")
    await page.goto(f"/console/cases/{code}/request_extension")
    form = page.locator("#do-request_extension")
    await form.locator("textarea[name=reason]").fill(ALL)
    await form.locator("input[name=until]").fill("2020-01-01T08:00")
    await form.locator("[data-send]").click()
    await expect(form.locator("[aria-invalid=true]").first).to_be_visible()
    await expect(form.locator("textarea[name=reason]")).to_have_value(ALL)
    await unharmed(page)


async def _of(site: Site, path: str, member: str) -> Any:
    return (await site.asked("admin", f"/api/v1/admin/{path}?limit=200"))[member]


def test_every_act_of_the_interface_is_an_act_of_the_table() -> None:
    """What the test above counts by: a text that came in by another way would not be asked for."""
    paths = [route.path for route in staff_routes.routes if isinstance(route, Route)]
    acts = {path.rpartition("/")[2] for path in paths if "{code}/" in path}
    assert acts - {"timeline", "explain"} == {action.value for action in STAFF_ACTIONS}


def test_no_template_takes_words_for_markup() -> None:
    for template in sorted((TOP / "web" / "templates").rglob("*.html")):
        said = re.findall(r"\|\s*safe\b|autoescape|Markup|\|\s*forceescape", template.read_text(encoding="utf-8"))
        assert not said, template.name


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

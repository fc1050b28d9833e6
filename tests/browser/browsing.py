"""A real browser on the real system: who looks, how wide the screen is, and what must not happen on any page."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image, ImageDraw
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, Response

from tests.running import PASSWORD, System
from web.deps import COOKIE

# The same engine without the windows nobody sees, for a quarter less of the processor; else the whole browser.
CHROMIUM = next(
    (path for path in map(Path, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")) if path.exists()),
    Path("/usr/bin/chromium"),
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HEIGHTS = {390: 844, 1280: 900, 1920: 1080}  # by width: a phone, a desk, a large desk
WIDTHS = tuple(HEIGHTS)
PATIENCE = 10_000  # milliseconds; what is waited for takes far less, or does not happen
# Chromium says this of every answer that is not a success; which of them are faults is judged by `Site._answered`.
LEFT_NOTICES = ("htmx:sendAbort", "htmx:afterRequest")  # of a request that a page no longer waits for
STATUS_NOTICE = "Failed to load resource: the server responded with a status of"


def a_photo(colour: str = "#8a6d4b") -> bytes:
    """A small JPEG as a phone takes it, only smaller."""
    image = Image.new("RGB", (320, 240), colour)
    ImageDraw.Draw(image).ellipse((90, 90, 230, 170), fill="#2b2d2f")
    made = BytesIO()
    image.save(made, "JPEG", quality=80)
    return made.getvalue()


def photo_file(name: str = "o-ga.jpg") -> Any:
    """The photo as something to choose in a form."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": a_photo()}


@dataclass
class Site:
    """The running system as people meet it. Whatever a page complains about is a problem, asserted after each test."""

    system: System
    browser: Browser
    cookies: dict[str, str] = field(default_factory=dict)  # of sign-ins, by e-mail; shared, so nobody signs them out
    tokens: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)  # that may be asked besides the system's own

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.system.url

    # ---- browsers

    async def context(
        self,
        who: str = "",
        *,
        width: int = 1280,
        lang: str = "vi",
        theme: str = "light",
        script: bool = True,
        touch: bool = False,
    ) -> BrowserContext:
        """A browser of somebody's own: signed in as `who` ("officer", "officer@demo") or nobody."""
        made = await self.browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": HEIGHTS[width]},
            locale="vi-VN",
            timezone_id="Asia/Ho_Chi_Minh",
            java_script_enabled=script,
            has_touch=touch,
            reduced_motion="reduce",
        )
        made.set_default_timeout(PATIENCE)
        cookies = {"lang": lang, "theme": theme} | ({COOKIE: await self.signed_in(who)} if who else {})
        await made.add_cookies([{"name": name, "value": value, "url": self.url} for name, value in cookies.items()])
        made.on("page", self._watch)
        self.contexts.append(made)
        return made

    async def page(self, who: str = "", path: str = "", **options: Any) -> Page:
        """A page of a browser of its own, at `path` if one is given."""
        page = await (await self.context(who, **options)).new_page()
        if path:
            await page.goto(path)
        return page

    def _watch(self, page: Page) -> None:
        page.on("console", lambda message: self._said(page, message))
        page.on("pageerror", lambda error: self._problem(page, f"script error: {error}"))
        page.on("requestfailed", lambda request: self._failed(page, request))
        page.on("request", lambda request: self._asked(page, request))
        page.on("response", lambda response: self._answered(page, response))
        page.on("dialog", lambda dialog: self._dialog(page, dialog))

    def _problem(self, page: Page, what: str) -> None:
        self.problems.append(f"{page.url}: {what}")

    def _said(self, page: Page, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith((STATUS_NOTICE, *LEFT_NOTICES)):
            self._problem(page, f"console {message.type}: {message.text}")

    def _failed(self, page: Page, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what a page no longer waits for when it is left
            self._problem(page, f"request failed: {request.method} {request.url}: {request.failure}")

    def _asked(self, page: Page, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme not in ("data", "blob", "about") and to.netloc not in {urlsplit(self.url).netloc, *self.hosts}:
            self._problem(page, f"asked another host: {request.url}")

    def _answered(self, page: Page, response: Response) -> None:
        lost = response.status == 404 and response.request.resource_type != "document"
        if response.status >= 500 or (lost and "/console/cases/" not in response.url):
            self._problem(page, f"{response.request.method} {response.url}: {response.status}")

    async def _dialog(self, page: Page, dialog: Dialog) -> None:
        self._problem(page, f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def close(self) -> None:
        """Close what was opened; the test fails for what a page complained about."""
        for context in self.contexts:
            await context.close()
        self.contexts.clear()
        self.hosts.clear()
        found, self.problems = self.problems, []
        if any(each.endswith(": 500") for each in found):  # where it broke stands in the log alone
            found += [line for line in self.system.said().splitlines() if "request failed" in line]
        assert not found, "\n".join(found)

    # ---- the same people without a browser, to bring a case where a journey begins

    def client(self, who: str = "") -> httpx.AsyncClient:
        """Their HTTP client: a cookie's if they have signed in with one."""
        made = httpx.AsyncClient(base_url=self.url, timeout=30)
        if who:
            made.cookies.set(COOKIE, self.cookies[_email(who)])
        return made

    async def signed_in(self, who: str) -> str:
        """The value of a signed-in browser's cookie."""
        email = _email(who)
        if email not in self.cookies:
            async with self.client() as client:
                answer = await client.post("/sign-in", data={"username": email, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
            self.cookies[email] = answer.cookies[COOKIE]
        return self.cookies[email]

    async def as_staff(self, who: str) -> httpx.AsyncClient:
        """A client that pages take for this person's browser."""
        await self.signed_in(who)
        return self.client(who)

    async def token(self, who: str) -> str:
        """A bearer token."""
        email = _email(who)
        if email not in self.tokens:
            async with self.client() as client:
                given = {"username": email, "password": PASSWORD}
                self.tokens[email] = (await client.post("/api/v1/auth/token", data=given)).json()["access_token"]
        return self.tokens[email]

    async def report(self, text: str, **members: Any) -> dict[str, Any]:
        """A citizen's report; what its reporter keeps."""
        async with self.client() as client:
            answer = await client.post("/api/v1/reports", json={"text": text, **members})
        assert answer.status_code == 201, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def act(self, who: str, code: str, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The case after an action that must succeed."""
        async with self.client() as client:
            headers = {"Authorization": f"Bearer {await self.token(who)}"}
            answer = await client.post(f"/api/v1/cases/{code}/{action}", json=body or {}, headers=headers)
        assert answer.status_code == 200, (action, answer.status_code, answer.text)
        shown: dict[str, Any] = answer.json()
        return shown

    async def asked(self, who: str, path: str) -> Any:
        """What the API answers to a GET; None for what is not there."""
        async with self.client() as client:
            answer = await client.get(path, headers={"Authorization": f"Bearer {await self.token(who)}"})
        return None if answer.status_code == 404 else answer.json()

    async def asked_by_citizen(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """How the report looks to its reporter."""
        async with self.client() as client:
            headers = {"Tracking-Key": receipt["tracking_key"]}
            answer = await client.get(f"/api/v1/reports/{receipt['code']}", headers=headers)
        shown: dict[str, Any] = answer.json()
        return shown

    async def drive(self, code: str, *steps: tuple[str, str, Mapping[str, Any]]) -> None:
        """Several actions, one after another: (who, action, body)."""
        for who, action, body in steps:
            await self.act(who, code, action, body)

    async def replied(self, code: str) -> None:
        """Wait until the worker has sent the approved answer; only then is there something to publish or close."""
        for _ in range(PATIENCE // 100):
            if (await self.asked("agent", f"/api/v1/cases/{code}"))["status"] == "replied":
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{code} has no answer that left")


# Steps of the road every case goes, for `Site.drive`.
Step = tuple[str, str, dict[str, Any]]
FORWARD: Step = ("dispatcher", "forward", {"lead": "so-xd"})
ACCEPT: Step = ("officer", "accept", {})
ASK: Step = ("officer", "ask_citizen", {"question": "Ổ gà nằm ở đoạn nào ạ?"})
SUBMIT: Step = ("officer", "submit_answer", {"reply": "Đơn vị đã vá xong ổ gà sáng nay."})
APPROVE: Step = ("head", "approve_answer", {})


def _email(who: str) -> str:
    return who if "@" in who else f"{who}@demo"


def csrf_in(html: str) -> str:
    """The token that a page's forms bring back."""
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found, "no form with a token on this page"
    return found[1]


async def settled(page: Page) -> None:
    """Wait until htmx has nothing on its way. Asked again from here: waiting in the page would need eval."""
    for _ in range(PATIENCE // 25):
        if not await page.evaluate("document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling') !== null"):
            return
        await page.wait_for_timeout(25)
    raise AssertionError(f"{page.url}: an answer is still awaited")

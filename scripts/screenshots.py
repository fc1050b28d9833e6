"""Every page in three widths, from a fresh demo whose clock stands still, into docs/img/. Run by `make screenshots`.

Needs Debian's chromium. Two runs give the same pictures but for the receipt, whose key is made at random.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

import uvicorn  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.async_api import Browser, BrowserContext, Page, async_playwright  # noqa: E402

import main  # noqa: E402
from cases import notices, search  # noqa: E402
from core.db import Database  # noqa: E402
from core.postgres import Cluster  # noqa: E402
from core.settings import Settings  # noqa: E402
from ioc import reconcile as reconciling  # noqa: E402
from routing.queries import load  # noqa: E402
from web import app as web_app  # noqa: E402
from worker import Worker  # noqa: E402

FOLDER = TOP / "docs" / "img"
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NOW = datetime(2026, 11, 24, 9, 42, tzinfo=ZONE)  # a Tuesday morning, when the agents have been at work for two hours
SCREENS = {390: 844, 1280: 900, 1920: 1080}
COLOURS, OTHER_COLOURS = 160, 48
PASSWORD = "screenshots-only"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--force-color-profile=srgb",
]

DRAWN = """() => Promise.all([...document.images].filter(each => each.loading !== 'lazy')
  .map(each => each.decode().catch(() => null)))"""

Steps = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True)
class Shot:
    """A picture: its name, who looks, where, what is done first, and how the page is dressed."""

    name: str
    who: str
    path: str
    steps: Steps | None = None
    lang: str = "vi"
    theme: str = "light"
    widths: Sequence[int] = tuple(SCREENS)


async def first_step(page: Page) -> None:
    """What happened, with its field suggested."""
    await page.locator("#f-text").fill("Đèn đường trước cổng chợ Đồng Xoài tắt cả tuần nay, tối rất khó đi.")
    await page.locator("#suggested button").first.wait_for()
    await page.locator("#suggested button").first.click()


async def second_step(page: Page) -> None:
    """Where, with communes offered by name."""
    await first_step(page)
    await page.locator("#next").click()
    await page.locator("#f-address").fill("Cổng chợ Đồng Xoài")
    await page.locator("#f-unit").press_sequentially("tan phu")
    await page.locator("#units li").first.wait_for()


async def third_step(page: Page) -> None:
    """Who, so that the citizen can be asked."""
    await second_step(page)
    await page.locator("#units li").first.click()
    await page.locator("#next").click()
    await page.locator("#f-name").fill("Lê Văn Dân")
    await page.locator("#f-phone").fill("0912 345 678")


async def sent(page: Page) -> None:
    """The receipt."""
    await third_step(page)
    await page.locator("#send").click()
    await page.locator("#code").wait_for()


async def followed(page: Page) -> None:
    """A report just sent, as its sender follows it."""
    await sent(page)
    await page.locator("main .acts a.btn.primary").click()
    await page.locator(".timeline").wait_for()


async def code_asked(page: Page) -> None:
    """A one-time code asked for by who lost the key."""
    await page.locator("#f-code").fill("BP-26-0482134")
    await page.locator("#f-to").fill("0912 345 678")
    await page.locator("main button.primary").click()
    await page.locator("#f-otp").wait_for()


async def sign_in_wrong(page: Page) -> None:
    """A password mistyped."""
    await page.locator("#f-username").fill("agent@demo")
    await page.locator("#f-password").fill("nhầm")
    await page.locator("main button.primary").click()
    await page.locator(".alert.bad").wait_for()


async def keys(page: Page) -> None:
    """The list of keys."""
    await page.keyboard.press("?")


async def filters(page: Page) -> None:
    """What a list can be narrowed by."""
    await page.locator(".filter summary").click()


async def open_first(page: Page) -> None:
    """The first case of the list."""
    await page.locator("#cases a.open").first.click()
    await page.locator("#case-talk").wait_for()


def first_with(action: str) -> Steps:
    """The first case of the list on which this person may do this, with its form open."""

    async def steps(page: Page) -> None:
        addresses = await page.locator("#cases a.open").evaluate_all(
            "all => all.map(each => each.getAttribute('href'))"
        )
        for address in addresses:
            answer = await page.goto(f"{address}/{action}")
            if answer is not None and answer.ok:
                return
        raise LookupError(f"no case of {page.url} for {action}")

    return steps


async def preview(page: Page) -> None:
    """An answer with what the citizen would get."""
    await open_first(page)
    await page.locator("label[data-mode=answer_directly]").click()
    form = page.locator("#do-answer_directly")
    await form.locator("textarea").first.fill(
        "Anh/chị đến Trung tâm Phục vụ hành chính công, quầy số 3, giờ hành chính."
    )
    await form.locator("button[name=preview]").click()
    await form.locator(".preview .said").wait_for()


async def why(page: Page) -> None:
    """Why this unit and this limit."""
    await open_first(page)
    await page.locator("#case-side a[href$=explain]").click()
    await page.locator("dialog[open]").wait_for()


async def looks(page: Page) -> None:
    """Who looked at restricted cases: at least who asks, a moment ago."""
    await open_first(page)
    await page.goto("/console/looks")


async def emergency(page: Page) -> None:
    """What to do while an emergency's caller is on the line."""
    address = await page.locator("#cases a.open").first.get_attribute("href") or ""
    await page.goto(f"/console/emergencies/{address.partition('?')[0].rpartition('/')[2]}")


async def taking_in(page: Page) -> None:
    """A call being taken down."""
    await page.locator("#f-phone").fill("0912 345 678")
    await page.locator("#f-name").fill("Lê Văn Dân")
    await page.locator("#f-text").fill("Mất điện cả ấp từ tối qua ở phường Tân Phú, thành phố Đồng Xoài.")
    await page.locator("#hints .tap").first.wait_for()


def inside(part: str) -> Steps:
    """The first of a list in administration."""

    async def steps(page: Page) -> None:
        await page.locator(f"main a[href^='/admin/{part}/']").first.click()
        await page.wait_for_url(f"**/admin/{part}/*")

    return steps


async def copied_rules(page: Page) -> None:
    """The set in force as a draft for the coming Monday."""
    await page.locator("main a.primary[href$='/change']").first.click()
    await page.locator("main button.primary").click()
    await page.locator("#head-step").wait_for()


async def a_limit_for_lights(page: Page) -> None:
    """Street lights in two days, as the form says it."""
    await copied_rules(page)
    await page.locator("#limits .head a.primary").click()
    await page.locator("#f-amount-value").fill("2")
    await page.locator("#f-fields-1").select_option("infra.light")


async def changed_rules(page: Page) -> None:
    """What the draft changes, and that it may be put in force."""
    await a_limit_for_lights(page)
    await page.locator("main form[action$='/limit'] button.primary").click()
    await page.locator("main form[action$='/check'] button").click()
    await page.locator("main form[action$='/activate']").wait_for()


async def a_proved_address(page: Page) -> None:
    """A code asked for, which is on its way."""
    await page.locator("#f-address").fill("lanh-dao@so-xd.example")
    await page.locator("main form[action$=address] button").click()
    await page.locator("#f-code").wait_for()


async def a_shift(page: Page) -> None:
    """The officer is on duty this week and away the next, and the head stands in."""
    await page.locator("#s-person").select_option(index=2)
    await page.locator("#f-starts").fill("2026-11-24T07:00")
    await page.locator("#f-ends").fill("2026-11-24T17:00")
    await page.locator("#f-weeks").fill("4")
    await page.locator("main form[action$=shifts] button").click()
    await page.locator("main td.acts").first.wait_for()
    await page.locator("#l-person").select_option(index=2)
    await page.locator("#f-first").fill("2026-12-01")
    await page.locator("#f-last").fill("2026-12-02")
    await page.locator("main form[action$=leaves] button").click()
    await page.locator("main form[action*='/leaves/']").first.wait_for()


async def rule_settings(page: Page) -> None:
    """The settings of a draft."""
    await copied_rules(page)
    await page.locator("main a[href$='/settings']").click()
    await page.locator("#f-remind").wait_for()


async def tried_rules(page: Page) -> None:
    """Street lights in two days, tried on the cases of the last month."""
    await changed_rules(page)
    await page.locator("main a[href^='/admin/simulate?set']").click()
    await page.locator("#s-stages").wait_for()


SHOTS = (
    Shot("report-1", "", "/", first_step),
    Shot("report-2", "", "/", second_step),
    Shot("report-3", "", "/", third_step),
    Shot("report-dark", "", "/", first_step, theme="dark", widths=(390,)),
    Shot("report-english", "", "/", lang="en", widths=(390,)),
    Shot("find", "", "/track"),
    Shot("lost", "", "/track/lost"),
    Shot("lost-code", "", "/track/lost", code_asked),
    Shot("published", "", "/cases"),
    Shot("sign-in", "", "/sign-in", sign_in_wrong),
    Shot("queue-agent", "agent", "/console"),
    Shot("queue-dispatcher", "dispatcher", "/console"),
    Shot("queue-officer", "officer", "/console"),
    Shot("queue-late", "supervisor", "/console?view=late"),
    Shot("queue-dark", "dispatcher", "/console", theme="dark", widths=(1280,)),
    Shot("queue-english", "dispatcher", "/console", lang="en", widths=(1280,)),
    Shot("queue-filter", "supervisor", "/console", filters),
    Shot("queue-search", "agent", "/console?q=o+ga"),
    Shot("queue-empty", "agent", "/console?q=khongcotunao"),
    Shot("keys", "agent", "/console", keys),
    Shot("case-agent", "agent", "/console", open_first),
    Shot("case-preview", "agent", "/console", preview),
    Shot("case-why", "supervisor", "/console?view=late", why),
    Shot("case-forward", "dispatcher", "/console", first_with("forward")),
    Shot("case-officer", "officer", "/console?status=in_progress", open_first),
    Shot("case-head", "head", "/console?status=answered", first_with("approve_answer")),
    Shot("case-inspector", "inspector", "/console", open_first),
    Shot("case-dark", "officer", "/console?status=in_progress", open_first, theme="dark", widths=(1280,)),
    Shot("notices", "head", "/console/notices"),
    Shot("notices-dark", "officer", "/console/notices?show=all", theme="dark", widths=(1280,)),
    Shot("notice-ways", "head", "/account/notices", a_proved_address),
    Shot("admin-duty", "head", "/admin/duty", a_shift),
    Shot("new", "agent", "/console/new", taking_in),
    Shot("emergency", "agent", "/console?urgency=emergency", emergency),
    Shot("mode", "supervisor", "/console/mode"),
    Shot("looks", "inspector", "/console", looks),
    Shot("calls", "agent", "/console/calls"),
    Shot("undelivered", "supervisor", "/console/outbox"),
    Shot("board", "leader", "/ioc"),
    Shot("board-dark", "leader", "/ioc", theme="dark", widths=(1920,)),
    Shot("late-minutes", "leader", "/ioc/lateness"),
    Shot("admin", "admin", "/admin"),
    Shot("admin-staff", "admin", "/admin/staff"),
    Shot("admin-person", "admin", "/admin/staff", inside("staff")),
    Shot("admin-departments", "admin", "/admin/departments"),
    Shot("admin-department", "admin", "/admin/departments", inside("departments")),
    Shot("admin-fields", "admin", "/admin/fields"),
    Shot("admin-areas", "admin", "/admin/areas"),
    Shot("admin-calendars", "admin", "/admin/calendars"),
    Shot("admin-calendar", "admin", "/admin/calendars", inside("calendars")),
    Shot("admin-rules", "admin", "/admin/rules"),
    Shot("admin-rule-set", "admin", "/admin/rules", inside("rules")),
    Shot("admin-rule-limit", "admin", "/admin/rules", a_limit_for_lights),
    Shot("admin-rule-draft", "admin", "/admin/rules", changed_rules),
    Shot("admin-rule-settings", "admin", "/admin/rules", rule_settings),
    Shot("admin-simulate", "admin", "/admin/rules", tried_rules),
    Shot("admin-wordings", "admin", "/admin/wording"),
    Shot("admin-wording", "admin", "/admin/wording/receipt/long/vi"),
    Shot("admin-channels", "admin", "/admin/channels"),
    Shot("admin-events", "admin", "/admin/events"),
    Shot("account", "agent", "/account"),
    Shot("not-found", "", "/nowhere"),
    Shot("receipt", "", "/", sent),  # these send reports, which the pictures before them do not show
    Shot("follow", "", "/", followed),
)


@asynccontextmanager
async def serving(settings: Settings, url: str) -> AsyncIterator[str]:
    """The web process in this one, at a moment that does not pass; its address."""
    database = Database(url, pool=8)
    app = web_app.build(settings, database, main.adapters_for(settings, database, demo=True), demo=True)
    app.state.hotline.clock = lambda: NOW
    listening = socket.create_server(("127.0.0.1", 0))  # who asks before it has started waits
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    app.state.hotline.live.close()
    server.should_exit = True
    await running


async def dressed(browser: Browser, base: str, shot: Shot, width: int) -> BrowserContext:
    """A browser of the width, at the moment, in language and theme."""
    context = await browser.new_context(
        base_url=base,
        viewport={"width": width, "height": SCREENS[width]},
        locale="vi-VN",
        timezone_id="Asia/Ho_Chi_Minh",
        reduced_motion="reduce",
    )
    await context.clock.set_fixed_time(NOW)
    cookies = {"lang": shot.lang, "theme": shot.theme}
    await context.add_cookies([{"name": name, "value": value, "url": base} for name, value in cookies.items()])
    return context


async def sign_in(context: BrowserContext, email: str) -> None:
    """As an account of the demo."""
    answer = await context.request.post("/sign-in", form={"username": email, "password": PASSWORD}, max_redirects=0)
    if answer.status != 303:
        raise RuntimeError(f"{email}: {answer.status}")


def small(picture: Image.Image) -> Image.Image:
    """Few colours: the most frequent as they are, so that grounds stay true, and some for all others, like a light."""
    counted: list[tuple[int, Any]] = picture.getcolors(picture.width * picture.height) or []
    frequent = [part for _, colour in sorted(counted, reverse=True)[: COLOURS - OTHER_COLOURS] for part in colour]
    others = picture.quantize(OTHER_COLOURS, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(frequent + others[: OTHER_COLOURS * 3])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


async def take(browser: Browser, base: str, shot: Shot, width: int) -> None:
    """One picture: what is on the screen, made small."""
    context = await dressed(browser, base, shot, width)
    if shot.who:
        await sign_in(context, f"{shot.who}@demo")
    page = await context.new_page()
    broken: list[int] = []
    page.on("response", lambda answer: broken.append(answer.status) if answer.status >= 500 else None)
    await page.goto(shot.path)
    if shot.steps:
        await shot.steps(page)
    if broken:
        raise RuntimeError(f"answered {broken[0]}")
    await page.evaluate("document.fonts.ready")
    await page.evaluate(DRAWN)
    await page.wait_for_timeout(350)  # the stream of news has opened, pictures are drawn
    drawn = await page.screenshot(animations="disabled", caret="hide")
    await context.close()
    picture = small(Image.open(BytesIO(drawn)).convert("RGB"))
    picture.save(FOLDER / f"{shot.name}-{width}.png", optimize=True)


async def work(settings: Settings, url: str) -> None:
    """What the worker does beside: calls are taken in, words sorted in, and the board says when figures were proved."""
    database = Database(url, pool=4)
    await Worker(settings, database, {}, asyncio.Event(), lambda: NOW).take_in()
    async with database.transaction() as session:
        while await search.index(session, await load(session), NOW):
            pass
        await reconciling.reconcile(session, ZONE, NOW)
    async with database.transaction() as session:
        while await notices.follow(session, await load(session), NOW):
            pass
    await database.close()


async def photograph(settings: Settings, url: str, wanted: Sequence[str]) -> int:
    """All pictures, or those whose names begin as wanted; how many could not be taken."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = 0
    async with serving(settings, url) as base, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for shot in SHOTS:
            if wanted and not any(shot.name.startswith(each) for each in wanted):
                continue
            for width in shot.widths:
                try:
                    await take(browser, base, shot, width)
                except Exception as problem:
                    failed += 1
                    print(f"{shot.name}-{width}: {str(problem).splitlines()[0]}", file=sys.stderr)
        await browser.close()
    return failed


def run(wanted: Sequence[str]) -> int:
    """Make the demo, take the pictures, leave nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), demo_password=PASSWORD, rate_limits="off")
        with Cluster(settings.data_dir) as cluster:
            main.prepare(settings, cluster.url, NOW, demo=True)
            print(main.tell_stories(settings, cluster.url, NOW))
            asyncio.run(work(settings, cluster.url))
            failed = asyncio.run(photograph(settings, cluster.url, wanted))
    pictures = list(FOLDER.glob("*.png"))
    print(f"{len(pictures)} pictures, {sum(each.stat().st_size for each in pictures) / 1e6:.1f} MB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

"""axe-core finds nothing against WCAG 2.0 to 2.2, A and AA, on any page in any state, in both languages and themes.

Themes differ in colours alone (asserted below), and languages in words alone: the rules about colours are run in both
themes and one language, all others in both languages (English with the long tests) and one theme.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from cases.states import STAFF_ACTIONS
from tests.browser.browsing import ACCEPT, APPROVE, ASK, FORWARD, HEIGHTS, SUBMIT, Site, photo_file, settled
from web.portal import keys

TOP = Path(__file__).parents[2]
AXE = (Path(__file__).parent / "vendor/axe-core/axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
RUN = """async ([only, theme]) => {
  document.documentElement.dataset.theme = theme;
  await document.fonts.ready;
  const found = await axe.run(document, { ...only, resultTypes: ['violations'] });
  return found.violations.flatMap(rule => rule.nodes.map(node =>
    rule.id + ' at ' + node.target.join(' ') + ': ' + node.failureSummary.replace(/\\s+/g, ' ')));
}"""
LANGS = ("vi", pytest.param("en", marks=pytest.mark.soak))  # the same pages in other words: with the long tests

pytestmark = pytest.mark.timeout(400)

Steps = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True)
class State:
    """A page and what is done on it before it is looked at."""

    name: str
    path: str
    steps: Steps | None = None
    status: int = 200
    narrow: bool = False  # looked at on a phone too


@dataclass
class World:
    """Cases in every state, made once: code and key of each."""

    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def code(self, status: str) -> str:
        """The code of the case in this state."""
        return str(self.receipts[status]["code"])

    def link(self, status: str) -> str:
        """What the receipt's QR code says: the report with its key."""
        return f"{keys.PATH}?code={self.code(status)}&key={self.receipts[status]['tracking_key']}"


ROADS: dict[str, Sequence[tuple[str, str, dict[str, Any]]]] = {
    "received": (),
    "forwarded": (FORWARD,),
    "in_progress": (("dispatcher", "forward", {"lead": "so-xd", "supporting": ["so-yte"]}), ACCEPT),
    "waiting_citizen": (FORWARD, ACCEPT, ASK),
    "answered": (FORWARD, ACCEPT, SUBMIT),
    "replied": (FORWARD, ACCEPT, SUBMIT, APPROVE),
    "published": (FORWARD, ACCEPT, SUBMIT, APPROVE),
    "closed": (FORWARD, ACCEPT, SUBMIT, APPROVE),
    "given_back": (FORWARD, ("officer", "give_back", {"reason": "Không thuộc địa bàn quản lý."})),
    "refused": (("dispatcher", "refuse", {"reason_code": "unclear"}),),
    "redirected": (("dispatcher", "redirect", {"to": "other", "reply": "Đã chuyển đến nơi giải quyết."}),),
    "spam": (("agent", "mark_spam", {}),),
    "extension": (FORWARD, ACCEPT),
    "ordered": (
        FORWARD,
        ACCEPT,
        ("leader", "direct", {"text": "Báo cáo nguyên nhân chậm."}),
        ("officer", "dispute", {"text": "Đường do huyện quản lý."}),
    ),
    "merged": (),
    "restricted": (),
}


@pytest.fixture(scope="package")
async def world(everybody: Site) -> World:
    """The cases, with contacts and places."""
    return await make_world(everybody)


async def make_world(site: Site) -> World:
    """Bring a report along each of ROADS."""
    made = World()
    contact = {"name": "Lê Văn Dân", "phone": "0912345678"}
    for status, road in ROADS.items():
        text = f"Ổ gà sâu trước chợ ({status}), xe máy dễ ngã khi trời mưa."
        if status == "restricted":
            text = "Tôi tố cáo cán bộ địa chính nhận tiền khi làm sổ đỏ."
        place = {"address": "12 Hùng Vương, phường Tân Phú"}
        members = {"field": "infra.road"} if status not in ("received", "restricted") else {}
        made.receipts[status] = await site.report(text, contact=contact, location=place, **members)
        await site.drive(made.code(status), *road)
    code = made.code("extension")
    promised = datetime.fromisoformat((await site.asked("officer", f"/api/v1/cases/{code}"))["promised_at"])
    until = (promised + timedelta(hours=16)).isoformat()
    await site.act("officer", code, "request_extension", {"until": until, "reason": "Chờ vật tư."})
    await site.act("agent", made.code("merged"), "merge", {"into": made.code("in_progress")})
    for status in ("replied", "published", "closed"):
        await site.replied(made.code(status))
    await site.act("agent", made.code("published"), "publish", {"public_text": "Ổ gà trước chợ đã được vá."})
    await site.act("agent", made.code("closed"), "close")
    return made


async def look(site: Site, who: str, lang: str, states: Sequence[State], width: int = 1280) -> None:
    """Go through the states in one browser; all violations of all of them are told at the end."""
    found: list[str] = []
    page = await site.page(who, lang=lang, width=width)
    for state in states:
        answer = await page.goto(state.path)
        assert answer is not None
        if answer.status != state.status:
            found.append(f"{who or 'citizen'} {lang} {width} {state.name} ({state.path}): status {answer.status}")
            continue
        if state.steps:
            await state.steps(page)
        await settled(page)
        if width == 390:  # as high as the page: what a bar at the bottom covers can be scrolled away from it
            height = await page.evaluate("document.documentElement.scrollHeight")
            await page.set_viewport_size({"width": width, "height": max(HEIGHTS[width], min(height, 16_000))})
        found += [f"{who or 'citizen'} {lang} {width} {state.name}: {each}" for each in await violations(page, lang)]
    await page.context.close()
    assert not found, f"{len(found)}:\n" + "\n".join(found)


async def violations(page: Page, lang: str = "vi") -> list[str]:
    """What axe finds in the page as it stands."""
    await page.evaluate(AXE)
    colours = {rule: {"enabled": lang == "vi"} for rule in COLOUR_RULES}
    light = await page.evaluate(RUN, [{"runOnly": {"type": "tag", "values": TAGS}, "rules": colours}, "light"])
    if lang != "vi":
        return [f"light: {each}" for each in light]
    dark = await page.evaluate(RUN, [{"runOnly": {"type": "rule", "values": COLOUR_RULES}}, "dark"])
    await page.evaluate("document.documentElement.dataset.theme = 'light'")
    return [f"light: {each}" for each in light] + [f"dark: {each}" for each in dark]


# ---- steps


def click(selector: str, wait: str = "") -> Steps:
    """Click, then wait for something."""

    async def steps(page: Page) -> None:
        await page.locator(selector).first.click()
        if wait:
            await page.locator(wait).first.wait_for()

    return steps


def submitted(form: str) -> Steps:
    """Send a form as it is, past the page's script, so that the server's complaints are shown."""

    async def steps(page: Page) -> None:
        async with page.expect_navigation():
            await page.locator(form).evaluate("form => HTMLFormElement.prototype.submit.call(form)")

    return steps


def pressed(*keys_pressed: str, wait: str = "") -> Steps:
    """Press keys one after another."""

    async def steps(page: Page) -> None:
        for key in keys_pressed:
            await page.keyboard.press(key)
        if wait:
            await page.locator(wait).first.wait_for()

    return steps


async def _second_step(page: Page) -> None:
    await page.locator("#f-text").fill("Đèn đường trước chợ bị tắt cả tuần nay.")
    await page.locator("#f-attachments").set_input_files(photo_file())
    await page.locator("#suggested button").first.wait_for()
    await page.locator("#next").click()
    await page.locator("#f-unit").press_sequentially("tan")
    await page.locator("#units li").first.wait_for()
    await page.keyboard.press("ArrowDown")


async def _third_step(page: Page) -> None:
    await _second_step(page)
    await page.keyboard.press("Enter")
    await page.locator("#next").click()


async def _wrong_contact(page: Page) -> None:
    await _third_step(page)
    await page.locator("#f-phone").fill("12")
    await page.locator("#f-email").fill("@")
    await page.locator("#send").click()
    await page.locator("[aria-invalid=true]").first.wait_for()


async def _photos_chosen(page: Page) -> None:
    await page.locator("#f-text").fill("Đèn đường trước chợ bị tắt cả tuần nay.")
    await page.locator("#f-attachments").set_input_files([photo_file(), photo_file("o-ga-2.jpg")])
    await page.get_by_text("o-ga-2.jpg").wait_for()
    await page.locator("#suggested button").first.click()


async def _sent(page: Page) -> None:
    await _third_step(page)
    await page.locator("#send").click()
    await page.locator("#code").wait_for()


async def _sign_in_wrong(page: Page) -> None:
    await page.locator("#f-username").fill("ai@demo")
    await page.locator("#f-password").fill("sai")
    await page.locator("main button.primary").click()
    await page.locator(".alert.bad").wait_for()


async def _track_wrong(page: Page) -> None:
    await page.locator("#f-code").fill("BP-26-0000000")
    await page.locator("#f-key").fill("ABCDEF")
    await page.locator("main button.primary").click()
    await page.locator(".alert.bad").wait_for()


def _lost(to: str, wait: str) -> Steps:
    """Somebody without the key asks for a code."""

    async def steps(page: Page) -> None:
        await page.locator("#f-code").fill("BP-26-0000000")
        await page.locator("#f-to").fill(to)
        await page.locator("main button.primary").click()
        await page.locator(wait).wait_for()

    return steps


async def _all_open(page: Page) -> None:
    """Every fold of the page unfolded."""
    await page.evaluate(
        "document.querySelectorAll('main details:not([data-menu])').forEach(each => { each.open = true; })"
    )


def portal_states(world: World) -> list[State]:
    """What citizens see."""
    return [
        State("report, first step", "/", narrow=True),
        State("report, first step, photos and suggestion", "/", _photos_chosen, narrow=True),
        State("report, first step, empty", "/", click("#next", "[aria-invalid=true]")),
        State("report, second step, communes offered", "/", _second_step, narrow=True),
        State("report, third step", "/", _third_step, narrow=True),
        State("report, third step, wrong", "/", _wrong_contact, narrow=True),
        State("report, refused by the server", "/", submitted("#report")),
        State("receipt", "/", _sent, narrow=True),
        State("find", "/track"),
        State("find, wrong", "/track", _track_wrong),
        State("lost key", "/track/lost", narrow=True),
        State("lost key, wrong", "/track/lost", _lost("12", "[aria-invalid=true]")),
        State("lost key, code asked for", "/track/lost", _lost("0912345678", "#f-otp"), narrow=True),
        *(
            State(f"followed, {status}", world.link(status), _all_open, narrow=status in ("replied", "waiting_citizen"))
            for status in ROADS
            if status != "restricted"
        ),
        State("published", "/cases", narrow=True),
        State("published, none", "/cases?field=health.food&area=x"),
        State("published case", f"/cases/{world.code('published')}"),
        State("sign-in", "/sign-in", narrow=True),
        State("sign-in, wrong", "/sign-in", _sign_in_wrong),
        State("no such page", "/nowhere", status=404),
        State("no such published case", "/cases/BP-26-9999999", status=404),
    ]


async def _menu(page: Page) -> None:
    await page.locator(".case-acts summary").click()


async def _own_menu(page: Page) -> None:
    await page.locator("summary.avatar").click()


async def _why(page: Page) -> None:
    await page.locator("#case-side a", has_text=re.compile("Vì sao|Why")).click()
    await page.locator("dialog[open]").wait_for()


async def _answer_preview(page: Page) -> None:
    await page.locator("label[data-mode=answer_directly]").click()
    await page.locator("#do-answer_directly textarea").first.fill("Anh/chị liên hệ công an phường.")
    await page.locator("#do-answer_directly button[name=preview]").click()
    await page.locator("#preview-answer_directly .said").wait_for()


async def _empty_answer(page: Page) -> None:
    await page.locator("label[data-mode=answer_directly]").click()
    await page.locator("#do-answer_directly textarea").first.fill("")  # the draft of the preview
    await page.locator("#do-answer_directly button[data-send]").click()
    await page.locator("#do-answer_directly [aria-invalid=true]").wait_for()


def conflict(site: Site, code: str) -> Steps:
    """Somebody else acts while an answer is being written."""

    async def steps(page: Page) -> None:
        await page.locator("label[data-mode=submit_answer]").click()
        await page.locator("#do-submit_answer textarea").first.fill("Đã vá xong.")
        until = "2027-03-01T09:00:00+07:00"
        await site.act("officer", code, "tell_progress", {"text": "Đang vá", "until": until})
        await expect(page.locator("#case-news")).not_to_be_empty()
        await page.locator("#do-submit_answer button[data-send]").click()
        await page.locator(".conflict").wait_for()

    return steps


async def _hints(page: Page) -> None:
    await page.locator("#f-phone").fill("0912345678")
    await page.locator("#caller .code, #caller a").first.wait_for()
    await page.locator("#f-text").fill("Mất điện cả ấp từ tối qua ở phường Tân Phú, thành phố Đồng Xoài")
    await page.locator("#hints .tap").first.wait_for()


async def _taken(page: Page) -> None:
    await page.locator("#f-text").fill("Mất điện cả ấp từ tối qua.")
    await page.locator("#taking button.primary").click()
    await page.locator(".aloud").wait_for()


QUEUES = ("agent", "dispatcher", "supervisor", "officer", "head", "inspector", "leader")


@pytest.mark.parametrize("lang", LANGS)
async def test_the_portal(site: Site, world: World, lang: str) -> None:
    await look(site, "", lang, portal_states(world))


@pytest.mark.parametrize("lang", LANGS)
async def test_the_portal_on_a_phone(site: Site, world: World, lang: str) -> None:
    await look(site, "", lang, [state for state in portal_states(world) if state.narrow], 390)


@pytest.mark.parametrize("lang", LANGS)
async def test_queues_search_and_what_opens_over_them(site: Site, world: World, lang: str) -> None:
    for who in QUEUES:
        await look(site, who, lang, [State("queue", "/console")])
    await look(
        site,
        "supervisor",
        lang,
        [
            State("late", "/console?view=late"),
            State("search", "/console?q=o+ga"),
            State("search, nothing found", "/console?q=khongcotunao"),
            State("narrowed", "/console?status=in_progress&field=infra.road&late=true"),
            State("filter open", "/console", click(".filter summary", ".filter form")),
            State("keys", "/console", pressed("?", wait="dialog[open]")),
            State("own menu", "/console", _own_menu),
            State("cases of a figure", "/console?figure=replied&figure_from=2020-01-01&figure_to=2030-01-01"),
            State("undelivered", "/console/outbox"),
            State("no such list", "/console?view=nothing", status=404),
            State("own account", "/account"),
        ],
    )
    await look(site, "supervisor", lang, [State("queue", "/console")], 390)


@pytest.mark.parametrize("lang", LANGS)
async def test_a_case_for_each_who_sees_it(site: Site, world: World, lang: str) -> None:
    def case(status: str, *more: State) -> list[State]:
        here = f"/console/cases/{world.code(status)}"
        return [State(status, here, _all_open), *more]

    at = {status: f"/console/cases/{world.code(status)}" for status in ROADS}
    await look(site, "agent", lang, [
        *case("received"), *case("replied"), *case("closed"), *case("spam"),
        State("preview", at["received"], _answer_preview),
        State("empty answer", at["received"], _empty_answer),
        State("all that can be done", at["received"], _menu),
        State("explained", at["received"], _why),
        State("explained alone", f"{at['in_progress']}/explain"),
        State("out of sight", at["restricted"], status=404),
        State("taking in", "/console/new"),
        State("taking in, hints", "/console/new", _hints),
        State("taking in, wrong", "/console/new", click("#taking button.primary", "[aria-invalid=true]")),
        State("taken in", "/console/new", _taken),
    ])  # fmt: skip
    await look(site, "dispatcher", lang, [*case("received"), *case("given_back"), *case("merged"), *case("refused")])
    await look(site, "supervisor", lang, [*case("in_progress"), *case("redirected"), *case("published")])
    fresh = (await site.report("Ổ gà trước trường.", field="infra.road"))["code"]
    await site.drive(fresh, FORWARD, ACCEPT)
    await look(site, "officer", lang, [
        *case("forwarded"), *case("in_progress"), *case("waiting_citizen"),
        State("conflict", f"/console/cases/{fresh}", conflict(site, fresh)),
    ])  # fmt: skip
    await look(site, "officer2", lang, case("in_progress"))
    await look(site, "head", lang, [*case("answered"), *case("extension")])
    await look(site, "inspector", lang, case("restricted"))


@pytest.mark.parametrize("lang", LANGS)
async def test_a_case_on_a_phone(site: Site, world: World, lang: str) -> None:
    at = {status: f"/console/cases/{world.code(status)}" for status in ROADS}
    await look(site, "officer", lang, [
        State("forwarded", at["forwarded"], _all_open),
        State("in progress", at["in_progress"]),
        State("all that can be done", at["in_progress"], _menu),
    ], 390)  # fmt: skip
    await look(site, "agent", lang, [State("preview", at["received"], _answer_preview)], 390)


FORM_OWNERS = ("agent", "dispatcher", "officer", "officer2", "head", "inspector", "supervisor", "leader")


@pytest.mark.parametrize("lang", LANGS)
async def test_the_form_of_every_action(site: Site, world: World, lang: str) -> None:
    seen: set[str] = set()
    for who in FORM_OWNERS:
        states = []
        for status in ROADS:
            shown = await site.asked(who, f"/api/v1/cases/{world.code(status)}")
            fresh = [each for each in (shown or {}).get("actions", []) if each not in seen]
            seen.update(fresh)
            states += [State(f"{each} of {status}", f"/console/cases/{world.code(status)}/{each}") for each in fresh]
        await look(site, who, lang, states)
    assert seen >= {action.value for action in STAFF_ACTIONS} - {"unlink_incident"}


@pytest.mark.parametrize("lang", LANGS)
async def test_the_board(site: Site, lang: str) -> None:
    states = [
        State("thirty days", "/ioc", _all_open),
        State("today", "/ioc?period=today"),
        State("a year", "/ioc?period=year"),
        State("of one unit", "/ioc?period=7&department=so-xd"),
        State("own days, wrong", "/ioc?period=own&from=2026-02-01&to=2026-01-01", status=422),
        State("minutes late", "/ioc/lateness", click("main td a", "#cases")),
        State("minutes late, wrong", "/ioc/lateness?from=2026-02-01&to=2026-01-01", status=422),
    ]
    await look(site, "leader", lang, states)
    await look(site, "leader", lang, [states[0], states[5]], 390)


async def _rule_desk(page: Page, rule_set: str) -> list[State]:
    """The pages of a draft that changes a limit, one of which has an error below its row."""
    await page.goto(f"{rule_set}/change")
    await page.locator("main button.primary").click()
    draft = page.url.partition("?")[0]
    await page.goto(f"{draft}/limit")
    await page.locator("#f-stage").select_option("accept")
    await page.locator("#f-fields-1").select_option("infra.light")
    await page.locator("#f-amount-value").fill("20")
    await page.locator("main form[action$='/limit'] button.primary").click()
    empty = submitted("main form[method=post]")
    return [
        State("a draft", draft, _all_open),
        State("a limit", f"{draft}/limit?code=R09", _all_open),
        State("a new limit, empty", f"{draft}/limit", empty),
        State("a lead rule", f"{draft}/lead?code=water", _all_open),
        State("a new lead rule, empty", f"{draft}/lead", empty),
        State("settings", f"{draft}/settings"),
        State("dates", f"{draft}/head"),
        State("a draft that was checked and is not fit", draft, submitted("main form[action$='/check']")),
    ]


@pytest.mark.parametrize("lang", LANGS)
async def test_administration(site: Site, lang: str) -> None:
    page = await site.page("admin", "/admin", lang=lang)
    states = [State("/admin", "/admin")]
    for part, new in (
        ("staff", "account"), ("departments", "department"), ("fields", "field"), ("areas", "area"),
        ("calendars", ""), ("rules", "rule-set"),
    ):  # fmt: skip
        states.append(State(part, f"/admin/{part}", _all_open))
        if new:
            states.append(State(f"new {new}", f"/admin/new/{new}"))
            if new != "rule-set":
                states.append(State(f"new {new}, empty", f"/admin/new/{new}", submitted("main form[method=post]")))
        await page.goto(f"/admin/{part}")
        inside = await page.locator(f"main a[href^='/admin/{part}/']").first.get_attribute("href")
        assert inside
        states.append(State(f"one of {part}", inside, _all_open))
        if part == "rules":
            states += [State(f"rules {more}", f"{inside}/{more}") for more in ("check", "change")]
            states += await _rule_desk(page, inside)
            states.append(State("rules tried", f"/admin/simulate?set={inside.rpartition('/')[2]}", _all_open))
            states.append(State("rules tried, wrong", "/admin/simulate?set=x", status=422))
    await page.goto("/admin/new/reform?template=shipped")
    await page.locator("main form[method=post] button.primary").click()
    await page.wait_for_url("**/admin/reforms/*")
    states += [
        State("reforms", "/admin/reforms", _all_open),
        State("new reform", "/admin/new/reform"),
        State("new reform that changes nothing", "/admin/new/reform", submitted("main form[method=post]")),
        State("one reform", page.url, _all_open),
    ]
    await look(site, "admin", lang, states)
    await look(site, "agent", lang, [State("not for agents", "/admin", status=403)])


async def test_the_dark_theme_changes_colours_and_nothing_else() -> None:
    """What makes it enough to try the rules about colours in the dark theme."""
    for path in (TOP / "web/static/css").glob("*.css"):
        css = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for body in re.findall(r"data-theme[^{]*\{([^}]*)\}", css):
            for name, value in re.findall(r"([\w-]+)\s*:\s*([^;]+)", body):
                coloured = name.startswith("--") or name in (
                    "color",
                    "background",
                    "color-scheme",
                    "border-color",
                    "fill",
                )
                assert coloured, f"{path.name}: {name}: {value}"


async def test_axe_finds_what_is_wrong(site: Site) -> None:
    """So that an empty list means something: on a page with faults of both kinds it is not empty."""
    page = await site.page(path="/track")
    await page.evaluate(
        "() => { const input = document.createElement('input'); document.querySelector('main').append(input);"
        " const faint = document.createElement('p'); faint.id = 'faint'; faint.textContent = 'Quá nhạt';"
        " document.querySelector('main').append(faint);"
        " const style = new CSSStyleSheet(); style.replaceSync('#faint { color: #999; background: #aaa }');"
        " document.adoptedStyleSheets = [style]; }"
    )
    found = await violations(page)
    assert {each.split(" at ")[0] for each in found} == {
        "light: label",
        "light: color-contrast",
        "dark: color-contrast",
    }


async def _disaster(page: Page) -> None:
    """The supervisor switches, so that the banner is there."""
    if await page.locator("input[value=disaster]").count():
        await page.locator("input[value=disaster]").check()
        await page.locator("#f-reason").fill("Bão số 7")
        await page.locator("main form button", has_text=re.compile("Chuyển ngay|Switch now")).click()
    await page.locator(".top .mode .badge").wait_for()


async def _normal(page: Page) -> None:
    await page.locator("form[action$='/end'] button").click()
    await page.locator(".top .mode .badge").wait_for(state="detached")


@pytest.mark.parametrize("lang", LANGS)
async def test_modes_the_log_of_looks_and_a_new_emergency(site: Site, world: World, lang: str) -> None:
    code = (await site.report("Đánh nhau trước chợ, có người bị thương", field="security.public"))["code"]
    wrong = submitted("main form[aria-labelledby=switch]")
    await look(site, "supervisor", lang, [
        State("mode, normal", "/console/mode"),
        State("mode, wrong", "/console/mode", wrong),
        State("mode, disaster", "/console/mode", _disaster),
    ])  # fmt: skip
    emergency = State("emergency", f"/console/emergencies/{code}")
    await look(site, "agent", lang, [emergency])
    await look(site, "agent", lang, [emergency], 390)
    await look(site, "", lang, [State("portal in a disaster", "/")], 390)
    await site.asked("inspector", f"/api/v1/cases/{world.code('restricted')}")
    await look(site, "inspector", lang, [State("looks", "/console/looks")])
    await look(site, "inspector", lang, [State("looks", "/console/looks?case=BP-26-0000000")], 390)
    await look(site, "supervisor", lang, [State("mode, normal again", "/console/mode", _normal)])


async def _planned(page: Page) -> None:
    """The officer is on duty tomorrow and away the day after."""
    await page.locator("#s-person").select_option(index=2)
    await page.locator("main form[action$=shifts] button").click()
    await page.locator("main td.acts").first.wait_for()
    await page.locator("#l-person").select_option(index=2)
    await page.locator("#f-first").fill("2099-01-02")
    await page.locator("main form[action$=leaves] button").click()
    await page.locator("main form[action*='/leaves/']").first.wait_for()
    await page.locator("details.choose summary").first.click()


@pytest.mark.parametrize("lang", LANGS)
async def test_notices_how_they_come_and_the_duty_roster(site: Site, world: World, lang: str) -> None:
    code_asked = submitted("main form[action$=address]")
    await look(site, "head", lang, [
        State("notices", "/console/notices"),
        State("notices, all", "/console/notices?show=all"),
        State("ways", "/account/notices", code_asked),
        State("duty, wrong", "/admin/duty", submitted("main form[action$=shifts]")),
        State("duty", "/admin/duty", _planned),
    ])  # fmt: skip
    await look(site, "head", lang, [State("notices", "/console/notices"), State("duty", "/admin/duty")], 390)
    await look(site, "admin", lang, [State("duty, all", "/admin/duty?department=so-yte")])

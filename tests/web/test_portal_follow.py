"""Following a report by pages without a script: the key, the story so far, and what its reporter can do."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.pool import AsyncAdaptedQueuePool

from cases.states import Status
from core.files import Stored, take
from core.staff import Role
from tests.factories import As, Clock, Drive, a_photo, a_report, act, by_citizen, case_of, deliver, done, state
from tests.web.portal import key_of, phone, refused, rows, sent, value, words, wrong_at
from web.portal import keys
from web.portal.routes import router

ALIKE = "Không có phản ánh nào với mã và khóa này"
FORMS = {"add_message": "messages", "rate": "rating", "reopen": "reopen", "chase": "chase"}


@pytest.fixture
def citizen(app: FastAPI) -> AsyncClient:
    """A browser that keeps cookies and runs no script."""
    return phone(app)


async def holding(citizen: AsyncClient, code: str, key: str) -> str:
    """The tracking page's path, its key in the browser."""
    answer = await citizen.get("/track", params={"code": code, "key": key})
    assert answer.status_code == 303
    return answer.headers["location"]


async def test_from_report_to_reopening_without_a_script(
    app: FastAPI, citizen: AsyncClient, as_: As, drive: Drive
) -> None:
    code = await sent(citizen, text="Đường hư trước chợ", field="infra.road", phone="0912345678")
    at, key = f"/track/{code}", key_of(citizen, code)
    receipt = words((await citizen.get(f"{at}?new=1")).text)
    assert code in receipt
    assert key in receipt
    assert "Dự kiến có trả lời trước" in receipt

    page = (await citizen.get(at)).text
    assert "Trung tâm 1022 đang xem" in words(page)
    assert key not in page
    photo = {"attachments": ("sau.png", a_photo(), "image/png")}
    added = await citizen.post(f"{at}/messages", data={"text": "Thêm: ngay cổng chợ"}, files=photo)
    assert added.headers["location"] == f"{at}?done=add_message"
    page = (await citizen.get(added.headers["location"])).text
    assert "Đã gửi thêm nội dung" in words(page)
    assert "Thêm: ngay cổng chợ" in words(page)
    picture = await citizen.get(re.findall(rf'src="({at}/files/[^"]+)"', page)[0])
    assert picture.headers["content-type"].startswith("image/")

    await drive(code, "waiting_citizen")
    asked = words((await citizen.get(at)).text)
    assert "Câu hỏi cho anh/chị Ổ gà ở đoạn nào ạ?" in asked
    await citizen.post(f"{at}/messages", data={"text": "Đoạn trước cổng chợ"})
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá xong ổ gà."})
    assert "Đã vá xong" not in words((await citizen.get(at)).text)  # not before its head has approved
    await done(as_("head"), code, "approve_answer")
    await deliver(app)
    answered = words((await citizen.get(at)).text)
    assert "Câu trả lời · Sở Xây dựng Đã vá xong ổ gà." in answered
    assert answered.count("Đã vá xong ổ gà.") == 1  # not once more in what was said

    rated = await citizen.post(f"{at}/rating", data={"rating": "2", "text": "Còn một ổ"})
    assert "đánh giá" in words((await citizen.get(rated.headers["location"])).text)
    again = await citizen.post(f"{at}/reopen", data={"reason": "Còn một ổ gà nữa"})
    assert "Đã mở lại" in words((await citizen.get(again.headers["location"])).text)
    chased = await citizen.post(f"{at}/chase")
    assert chased.headers["location"] == f"{at}?done=chase"
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        assert (case.status, case.chased) == ("forwarded", 1)


async def test_the_link_of_a_receipt_gives_its_key_to_a_cookie(app: FastAPI, citizen: AsyncClient) -> None:
    code, key = await a_report(citizen)
    receipt = await phone(app).get("/")
    assert receipt.status_code == 200
    answer = await citizen.get("/track", params={"code": code, "key": key.lower()})
    assert answer.headers["location"] == f"/track/{code}"
    cookie = answer.headers["set-cookie"]
    year = f"Max-Age={keys.LASTS};"
    assert all(part in cookie for part in (key, "Path=/track;", "HttpOnly", "SameSite=lax", year))
    assert (await citizen.get("/track")).headers["x-robots-tag"] == "noindex"
    page = await citizen.get(answer.headers["location"])
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize(("address", "secure"), [("https://1022.example", True), ("http://127.0.0.1:8022", False)])
async def test_where_people_come_by_https_no_key_is_ever_sent_without_it(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch, address: str, secure: bool
) -> None:
    here = state(app)
    monkeypatch.setattr(here, "settings", here.settings.model_copy(update={"public_url": address}))
    code, key = await a_report(client)
    browser = phone(app, cookies=False)
    for answer in (
        await browser.get("/"),
        await browser.get("/track", params={"code": code, "key": key}),
        await browser.post("/", data={"text": "Rác", "key": "a-form-of-its-own"}, headers={"Cookie": "keeps=1"}),
        await browser.post("/track/forget", headers={"Cookie": f"{keys.PREFIX}{code}={key}"}),
    ):
        assert ("Secure" in answer.headers["set-cookie"]) is secure, answer.url


async def test_the_picture_on_the_receipt_is_drawn_without_a_style(citizen: AsyncClient) -> None:
    code = await sent(citizen)
    page = (await citizen.get(f"/track/{code}?new=1")).text
    assert re.search(r'<svg viewBox="0 0 \d+ \d+" class="qr"><path', page)
    assert "style=" not in page


async def test_a_wrong_key_and_an_unknown_code_are_told_alike(citizen: AsyncClient) -> None:
    code, _ = await a_report(citizen)
    pages = []
    for given in (
        {"code": code, "key": "AAAAAA"},
        {"code": "BP-26-0000000", "key": "AAAAAA"},
        {"code": "x", "key": ""},
    ):
        page = words(refused(await citizen.post("/track", data=given), 404))
        assert ALIKE in page
        pages.append(page)
    assert len(set(pages)) == 1


async def test_without_its_key_a_known_code_looks_like_an_unknown_one(citizen: AsyncClient) -> None:
    code, _ = await a_report(citizen)
    known = refused(await citizen.get(f"/track/{code}"), 404)
    unknown = refused(await citizen.get("/track/BP-26-0000000"), 404)
    assert known.replace(code, "…") == unknown.replace("BP-26-0000000", "…")
    for path in ("messages", "rating", "reopen", "chase"):
        refused(await citizen.post(f"/track/{code}/{path}", data={"text": "x"}), 404)


@pytest.fixture
async def throttled(app: FastAPI) -> AsyncIterator[None]:
    """Three wrong keys in five minutes."""
    here = state(app)
    here.rates["key"] = (3, 300)
    yield
    del here.rates["key"]
    async with here.database.transaction() as session:
        await session.execute(text("DELETE FROM throttles"))


@pytest.mark.usefixtures("throttled")
async def test_guessing_keys_ends_in_a_page_that_says_how_long_to_wait(citizen: AsyncClient) -> None:
    code, _ = await a_report(citizen)
    for _ in range(3):
        refused(await citizen.post("/track", data={"code": code, "key": "AAAAAA"}), 404)
    answer = await citizen.post("/track", data={"code": code, "key": "AAAAAB"})
    page = refused(answer, 429)
    assert 0 < int(answer.headers["retry-after"]) <= 300
    assert ALIKE not in words(page)


async def test_a_browser_lists_its_reports_newest_first_and_forgets_them_when_asked(citizen: AsyncClient) -> None:
    codes = [await sent(citizen, text=f"Việc thứ {n}") for n in range(3)]
    page = (await citizen.get("/track")).text
    assert re.findall(r'href="/track/(BP[^"]+)"', page) == codes[::-1]
    found = await citizen.post("/track", data={"code": codes[0].lower(), "key": ""})
    assert found.headers["location"] == f"/track/{codes[0]}"  # the browser holds the key
    await citizen.post("/track/forget")
    assert not re.findall(r'href="/track/(BP[^"]+)"', (await citizen.get("/track")).text)
    refused(await citizen.get(f"/track/{codes[0]}"), 404)


async def test_a_browser_holds_a_limited_number_of_keys(citizen: AsyncClient) -> None:
    codes = [await sent(citizen, text=f"Việc {n}") for n in range(keys.MOST + 2)]
    await citizen.get("/track")
    held = {cookie.name for cookie in citizen.cookies.jar if cookie.name.startswith(keys.PREFIX)}
    assert held == {keys.PREFIX + code for code in codes[2:]}


async def test_files_go_to_whom_they_belong(app: FastAPI, citizen: AsyncClient, as_: As) -> None:
    form = {"attachments": ("<b>ảnh</b>.png", a_photo(), "image/png")}
    code = await sent(citizen)
    await citizen.post(f"/track/{code}/messages", data={"text": "Kèm ảnh"}, files=form)
    page = (await citizen.get(f"/track/{code}")).text
    mine = re.findall(rf'/track/{code}/files/([^"]+)"', page)[0]
    assert "<b>ảnh" not in page
    attached = await as_("agent").post(
        f"/api/v1/cases/{code}/attach", files={"attachments": ("nội bộ.png", a_photo(9), "image/png")}
    )
    internal = next(each["id"] for each in attached.json()["attachments"] if each["id"] != mine)
    assert internal not in page
    assert (await citizen.get(f"/track/{code}/files/{mine}")).status_code == 200
    assert (await citizen.get(f"/track/{code}/files/{internal}")).status_code == 404
    other = phone(app)
    theirs = await sent(other)
    assert (await other.get(f"/track/{theirs}/files/{mine}")).status_code == 404
    assert (await other.get(f"/track/{code}/files/{mine}")).status_code == 404
    assert (await phone(app).get(f"/track/{code}/files/{mine}")).status_code == 404


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.MERGED])
async def test_the_page_offers_exactly_the_actions_of_the_status(
    citizen: AsyncClient, client: AsyncClient, drive: Drive, status: Status
) -> None:
    code, key = await a_report(client)
    await drive(code, status)
    at = await holding(citizen, code, key)
    page = (await citizen.get(at)).text
    offered = {name for name, path in FORMS.items() if f'action="{at}/{path}"' in page}
    assert offered == set((await by_citizen(client, code, key, "")).json()["actions"])


# action, what is sent, the words, the status; each on a case that has been replied to
BAD = [
    ("rating", {}, "chọn từ 1 đến 5", 422),
    ("rating", {"rating": "0"}, "chọn từ 1 đến 5", 422),
    ("rating", {"rating": "6"}, "chọn từ 1 đến 5", 422),
    ("rating", {"rating": "5; DROP"}, "chọn từ 1 đến 5", 422),
    ("rating", {"rating": "3", "text": "a" * 10_001}, "10000 ký tự", 422),
    ("messages", {"text": ""}, "viết vài chữ", 422),
    ("messages", {"text": "a\x00"}, "ký tự điều khiển", 422),
    ("messages", {"text": "x" * 10_001}, "10000 ký tự", 422),
    ("reopen", {"reason": ""}, "viết vài chữ", 422),
    ("chase", {}, "vừa thay đổi", 409),
]


@pytest.mark.parametrize(("path", "given", "says", "status"), BAD)
async def test_what_cannot_be_done_is_told_on_the_page_with_what_was_typed(
    app: FastAPI,
    citizen: AsyncClient,
    client: AsyncClient,
    drive: Drive,
    path: str,
    given: dict[str, str],
    says: str,
    status: int,
) -> None:
    code, key = await a_report(client)
    await drive(code, "replied")
    at = await holding(citizen, code, key)
    before = await rows(app)
    page = refused(await citizen.post(f"{at}/{path}", data=given), status)
    assert says in words(page)
    assert all(typed.strip("\x00") in page for name, typed in given.items() if name != "rating")
    assert await rows(app) == before


# status of the case, action, what is sent twice, what is sent then with the key of the same page, and what counts it
TWICE = [
    ("received", "messages", {"text": "Thêm"}, {"text": "Thêm nữa"}, "entries"),
    ("replied", "rating", {"rating": "2", "text": "Kém"}, {"rating": "3", "text": "Kém"}, "journal"),
    ("replied", "reopen", {"reason": "Còn hư"}, None, "journal"),
    ("forwarded", "chase", {}, None, "journal"),
]


@pytest.mark.parametrize(("status", "path", "given", "then", "table"), TWICE)
async def test_a_form_sent_twice_is_done_once(
    app: FastAPI,
    citizen: AsyncClient,
    client: AsyncClient,
    drive: Drive,
    status: str,
    path: str,
    given: dict[str, str],
    then: dict[str, str] | None,
    table: str,
) -> None:
    code, key = await a_report(client)
    await drive(code, status)
    at = await holding(citizen, code, key)
    form = {"key": value((await citizen.get(at)).text, "key")}
    before = await rows(app)
    answers = await asyncio.gather(*(citizen.post(f"{at}/{path}", data=form | given) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    once = await rows(app)
    assert once["received"] == before["received"] + 1
    assert once[table] == before[table] + 1
    if then is not None:  # mended after the browser's way back: nothing that was written is lost
        assert (await citizen.post(f"{at}/{path}", data=form | then)).status_code == 303
        assert (await rows(app))[table] == once[table] + 1


async def test_a_form_that_was_refused_may_be_sent_again_with_its_key(
    app: FastAPI, citizen: AsyncClient, client: AsyncClient, drive: Drive
) -> None:
    code, key = await a_report(client)
    await drive(code, "replied")
    at = await holding(citizen, code, key)
    form = {"key": value((await citizen.get(at)).text, "key")}
    refused(await citizen.post(f"{at}/chase", data=form), 409)
    await citizen.post(f"{at}/reopen", data={**form, "reason": "Còn hư"})
    assert (await citizen.post(f"{at}/chase", data=form)).status_code == 303
    async with state(app).database.transaction() as session:
        assert (await case_of(session, code)).chased == 1


@pytest.mark.parametrize("way", ["page", "api"])
async def test_pictures_are_decoded_without_a_connection(
    app: FastAPI, citizen: AsyncClient, client: AsyncClient, as_: As, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    code, key = await a_report(client)
    into, _ = await a_report(client)
    await done(as_("agent"), code, "merge", {"into": into})
    at, pool = await holding(citizen, code, key), state(app).database.engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    held = []

    async def decoded(*given: Any, **more: Any) -> list[Stored]:
        held.append(pool.checkedout())
        return await take(*given, **more)

    monkeypatch.setattr("web.portal.follow.take", decoded)
    monkeypatch.setattr("web.following.take", decoded)
    photo = {"attachments": ("sau.png", a_photo(), "image/png")}
    if way == "page":
        answer = await citizen.post(f"{at}/messages", data={"text": "Kèm ảnh"}, files=photo)
        assert answer.status_code == 303
    else:
        path = f"/api/v1/reports/{code}/messages"
        answer = await client.post(path, data={"text": "Kèm ảnh"}, files=photo, headers={"Tracking-Key": key})
        assert answer.status_code == 201
    assert held == [0]
    shown = (await as_("agent").get(f"/api/v1/cases/{into}")).json()
    assert len(shown["attachments"]) == 1


async def test_a_file_that_is_not_taken_is_told_and_the_words_are_kept(app: FastAPI, citizen: AsyncClient) -> None:
    code = await sent(citizen)
    before = await rows(app)
    bad = {"attachments": ("a.jpg", b"MZ\x90\x00" + bytes(99), "image/jpeg")}
    page = refused(await citizen.post(f"/track/{code}/messages", data={"text": "Kèm ảnh"}, files=bad), 415)
    assert "a.jpg" in wrong_at(page, "attachments")
    assert ">Kèm ảnh</textarea>" in page
    assert await rows(app) == before


async def test_files_that_were_chosen_beside_something_wrong_have_to_be_chosen_again(citizen: AsyncClient) -> None:
    code = await sent(citizen)
    photo = {"attachments": ("sau.png", a_photo(), "image/png")}
    page = refused(await citizen.post(f"/track/{code}/messages", data={"text": ""}, files=photo), 422)
    assert "chọn lại" in wrong_at(page, "attachments")
    page = refused(await citizen.post(f"/track/{code}/messages", data={"text": ""}), 422)
    assert not wrong_at(page, "attachments")


async def test_after_the_window_reopening_is_not_offered_and_not_done(
    citizen: AsyncClient, client: AsyncClient, drive: Drive, clock: Clock
) -> None:
    code, key = await a_report(client)
    await drive(code, "replied")
    at = await holding(citizen, code, key)
    assert "Anh/chị mở lại được đến 18/03/2026" in words((await citizen.get(at)).text)
    clock.move(days=16)
    assert f"{at}/reopen" not in (await citizen.get(at)).text
    assert "quá hạn mở lại" in words(refused(await citizen.post(f"{at}/reopen", data={"reason": "x"}), 409))


async def test_being_late_is_told(citizen: AsyncClient, client: AsyncClient, drive: Drive, clock: Clock) -> None:
    code, key = await a_report(client)
    at = await holding(citizen, code, key)
    assert "Trễ hạn" not in words((await citizen.get(at)).text)
    clock.move(days=1)
    late = words((await citizen.get(at)).text)
    assert "Bước này lẽ ra phải xong trước" in late
    assert "Trễ hạn" in late
    clock.move(days=30)
    assert "Lẽ ra đã có trả lời trước" in words((await citizen.get(at)).text)
    await drive(code, "replied")
    assert "Trễ hạn" not in words((await citizen.get(at)).text)


async def test_a_merged_report_is_followed_to_the_one_that_goes_on(
    app: FastAPI, citizen: AsyncClient, client: AsyncClient, as_: As
) -> None:
    code, key = await a_report(client, text="Cùng một ổ gà")
    into, _ = await a_report(client, text="Ổ gà của người khác, bí mật")
    await done(as_("agent"), code, "merge", {"into": into})
    at = await holding(citizen, code, key)
    shown = (await citizen.get(at)).text
    assert {name for name, path in FORMS.items() if f'action="{at}/{path}"' in shown} == {"add_message"}
    page = words(shown)
    assert f"xử lý chung: {into}" in page
    assert "bí mật" not in page
    assert (await citizen.post(f"{at}/messages", data={"text": "Vẫn còn đó"})).status_code == 303
    told = (await as_("agent").get(f"/api/v1/cases/{into}")).json()
    assert "Vẫn còn đó" in [entry["text"] for entry in told["entries"]]


async def test_a_restricted_report_names_no_unit_and_no_times(citizen: AsyncClient) -> None:
    code = await sent(citizen, text="Tôi tố cáo cán bộ xã nhận hối lộ")
    receipt = words((await citizen.get(f"/track/{code}?new=1")).text)
    assert "Dự kiến có trả lời" not in receipt
    page = words((await citizen.get(f"/track/{code}")).text)
    assert "Trung tâm 1022 đang xem phản ánh" in page
    assert "Đơn vị " not in page


async def test_markup_of_either_side_is_shown_as_text(citizen: AsyncClient, client: AsyncClient, as_: As) -> None:
    evil = "</textarea><script>alert(1)</script><img src=x onerror=alert(1)>"
    code, key = await a_report(client, text=evil, location={"address": evil})
    await act(as_("agent"), code, "ask_citizen", {"question": evil})
    at = await holding(citizen, code, key)
    await citizen.post(f"{at}/messages", data={"text": evil})
    page = (await citizen.get(f"{at}?done={evil}")).text + (await citizen.get(f"/track?code={evil}")).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page


async def test_another_site_cannot_act_for_the_reporter(citizen: AsyncClient) -> None:
    code = await sent(citizen)
    answer = await citizen.post(f"/track/{code}/messages", data={"text": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


# Pages that need the key of the report, which being signed in does not replace; and those that are everybody's.
WITH_KEY = {
    "GET /track/{code}",
    "GET /track/{code}/files/{attachment_id}",
    "POST /track/{code}/preferred",
    *(f"POST /track/{{code}}/{path}" for path in FORMS.values()),
}
OPEN = {
    "GET /",
    "POST /",
    "GET /robots.txt",
    "GET /track",
    "POST /track",
    "POST /track/forget",
    "GET /track/lost",
    "POST /track/lost",
    "POST /track/lost/open",
    "GET /cases",
    "GET /cases/{code}",
    "GET /cases/{code}/document",
}


def test_these_are_all_the_citizens_pages() -> None:
    pages = {
        f"{method} {route.path}"
        for route in iter_route_contexts(router.routes)
        for method in (route.methods or ())
        if method != "HEAD"
    }
    assert pages == WITH_KEY | OPEN


@pytest.mark.parametrize("role", [*Role, None])
async def test_no_role_replaces_the_key_of_a_report(
    app: FastAPI, citizen: AsyncClient, browser: As, role: Role | None
) -> None:
    code = await sent(citizen)
    await citizen.post(f"/track/{code}/messages", data={"text": "x"}, files={"attachments": ("a.png", a_photo())})
    own = re.findall(rf'/track/{code}/files/([^"]+)"', (await citizen.get(f"/track/{code}")).text)[0]
    before = await rows(app)
    stranger = browser(role.value) if role else phone(app)
    for route in WITH_KEY:
        method, _, path = route.partition(" ")
        path = path.replace("{code}", code).replace("{attachment_id}", own)
        answer = await stranger.request(method, path, data={"text": "x"} if method == "POST" else None)
        assert answer.status_code == 404, route
    for path in ("/", "/track", "/cases", "/robots.txt"):
        assert (await stranger.get(path)).status_code == 200
    assert await rows(app) == before

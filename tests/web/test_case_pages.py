"""The page of a case as people use it: what they may do, forms that do it; nothing typed is lost, nothing runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import event, text

from cases.states import STAFF_ACTIONS
from core import auth
from tests.cases.life import LIFE
from tests.factories import (
    LEAD,
    NEVER_ENDS,
    SUPPORT,
    As,
    Clock,
    Drive,
    a_photo,
    a_report,
    by_citizen,
    deliver,
    done,
    staff_id,
    state,
)
from web.console.forms import FORMS, fields_of
from web.console.hours import in_vietnamese
from web.deps import COOKIE

STATUSES = [
    "received",
    "forwarded",
    "in_progress",
    "waiting_citizen",
    "answered",
    "replied",
    "refused",
    "merged",
    "spam",
]
HTMX = {"HX-Request": "true"}


@dataclass
class Person:
    """Somebody signed in on a browser, without a script unless they say so."""

    page: AsyncClient

    async def open(self, path: str, **more: Any) -> Response:
        return await self.page.get(path, **more)

    async def send(
        self, code: str, action: str, data: dict[str, Any], *, script: bool = False, **more: Any
    ) -> Response:
        """An action's form as the page of the case has it now; `data` may bring its own version."""
        shown = (await self.page.get(f"/console/cases/{code}")).text
        token = re.search(r'name="csrf" value="([^"]+)"', shown)
        version = re.search(r'data-version="(\d+)"', shown)
        assert token
        assert version
        body = {"csrf": unescape(token[1]), "version": version[1], **data}
        return await self.page.post(
            f"/console/cases/{code}/{action}", data=body, headers=HTMX if script else {}, **more
        )


People = Callable[[str], Awaitable[Person]]


@pytest.fixture(scope="module")
async def on_page(app: FastAPI) -> AsyncIterator[People]:
    """`await on_page("agent")`: that account, signed in on a browser for as long as any test's clock runs."""
    made: dict[str, Person] = {}

    async def signed_in(name: str) -> Person:
        if name not in made:
            async with state(app).database.transaction() as session:
                token = await auth.sign_in(session, await staff_id(app, f"{name}@demo"), "cookie", NEVER_ENDS)
            cookies = {COOKIE: token}
            made[name] = Person(AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", cookies=cookies))
        return made[name]

    yield signed_in
    for person in made.values():
        await person.page.aclose()


def offered_on(html: str) -> set[str]:
    """The actions a page offers: buttons and the forms below the conversation."""
    return set(re.findall(r'data-act="(\w+)"', html))


@pytest.mark.parametrize("status", STATUSES)
async def test_each_person_is_offered_exactly_what_they_may_do(
    client: AsyncClient, as_: As, drive: Drive, on_page: People, status: str
) -> None:
    code, _ = await a_report(client)
    await drive(code, status)
    for who in ("agent", "dispatcher", "supervisor", "inspector", "leader", "officer", "head", "admin"):
        told = await as_(who).get(f"/api/v1/cases/{code}")
        page = await (await on_page(who)).open(f"/console/cases/{code}")
        assert page.status_code == told.status_code, (who, status)
        if told.status_code == 200:
            assert offered_on(page.text) == set(told.json()["actions"]), (who, status)
            for action in told.json()["actions"]:
                if FORMS[action].place == "talk":
                    assert f'id="do-{action}"' in page.text


def test_every_action_has_its_form() -> None:
    assert set(FORMS) == set(STAFF_ACTIONS)
    assert {action.value for action in FORMS} == set(LIFE) - {"add_message", "reply", "rate", "rehome"}


# action → who, where the case stands, what is typed; {other} is another case
FILLED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("note", "agent", "received", {"text": "Đã gọi lại"}),
    ("assign_officer", "officer", "in_progress", {"officer": "head@demo"}),
    ("attach", "agent", "received", {}),
    ("classify", "agent", "received", {"field": "env.waste", "area": "", "urgency": "urgent", "kind": "report"}),
    ("set_track", "supervisor", "received", {"track": "national_portal"}),
    ("answer_directly", "agent", "received", {"reply": "Cơ quan mở cửa lúc 7 giờ."}),
    ("forward", "dispatcher", "received", {"lead": LEAD, "supporting": [SUPPORT], "reason": "Xem giúp"}),
    ("recall", "dispatcher", "forwarded", {"reason": "Nhầm đơn vị"}),
    ("accept", "officer", "forwarded", {"note": "Nhận ngay"}),
    ("give_back", "officer", "forwarded", {"reason": "Không phải việc của Sở", "suggested": "so-yte"}),
    ("ask_citizen", "officer", "in_progress", {"question": "Ở đoạn nào ạ?"}),
    ("contribute", "helper", "in_progress", {"text": "Đã cắt điện"}),
    ("request_extension", "officer", "in_progress", {"until": "2026-03-09T16:00", "reason": "Chờ vật tư"}),
    ("grant_extension", "head", "asked", {"until": ""}),
    ("deny_extension", "head", "asked", {"reason": "Đủ thời gian rồi"}),
    ("tell_progress", "officer", "in_progress", {"text": "Đang vá", "until": "2026-03-05T16:00"}),
    ("submit_answer", "officer", "in_progress", {"reply": "Đã vá xong."}),
    ("return_answer", "head", "answered", {"reason": "Chưa rõ"}),
    ("approve_answer", "head", "answered", {}),
    ("publish", "agent", "replied", {"public_text": "Ổ gà đã được vá."}),
    ("unpublish", "agent", "published", {"reason": "Đăng nhầm"}),
    ("close", "agent", "replied", {}),
    ("reopen", "agent", "replied", {"reason": "Vẫn hỏng"}),
    ("refuse", "dispatcher", "received", {"reason_code": "unclear", "reply": ""}),
    ("redirect", "dispatcher", "received", {"to": "police", "track": "", "reply": "Đã bàn giao."}),
    ("mark_spam", "agent", "received", {}),
    ("unmark_spam", "agent", "spam", {}),
    ("merge", "agent", "received", {"into": "{other}"}),
    ("split", "dispatcher", "received", {"text": "Chuyện thứ hai", "field": ""}),
    ("link_incident", "dispatcher", "received", {"into": "{other}"}),
    ("unlink_incident", "dispatcher", "linked", {}),
    ("chase", "agent", "forwarded", {}),
    ("reveal_identity", "agent", "received", {"reason": "Người dân nhờ gọi lại"}),
    ("hand_over", "agent", "received", {"to": "115", "text": "Một người ngã xe", "spoke_with": ""}),
    ("direct", "leader", "in_progress", {"text": "Làm ngay", "to": "", "until": "2026-03-05T16:00"}),
    ("answer_directive", "officer", "ordered", {"text": "Đã làm"}),
    ("ask_support", "head", "in_progress", {"unit": "so-yte", "task": "Phun thuốc", "until": ""}),
    ("release_support", "dispatcher", "in_progress", {"unit": SUPPORT, "reason": "Không cần nữa"}),
    ("give_back_support", "helper", "in_progress", {"reason": "Không phải việc của Sở", "suggested": ""}),
    ("dispute", "helperhead", "forwarded", {"text": "Không thống nhất được"}),
    ("decide_dispute", "leader", "disputed", {"reason": "Giữ nguyên", "lead": ""}),
]


NUMBERED = [(n, *each) for n, each in enumerate(FILLED)]


def test_the_table_of_forms_fills_in_every_action() -> None:
    assert [action for action, *_ in FILLED] == [action.value for action in STAFF_ACTIONS]


async def bring(client: AsyncClient, as_: As, drive: Drive, code: str, where: str) -> None:
    """A case to a status, or to one of the situations that some forms are for."""
    steps = {
        "asked": "in_progress",
        "published": "replied",
        "linked": "received",
        "ordered": "in_progress",
        "disputed": "in_progress",
    }
    await drive(code, steps.get(where, where))
    if where == "asked":
        body = {"until": "2026-03-09T16:00:00+07:00", "reason": "Chờ vật tư"}
        await done(as_("officer"), code, "request_extension", body)
    if where == "published":
        await done(as_("agent"), code, "publish", {"public_text": "Xong."})
    if where == "disputed":
        await done(as_("officer"), code, "dispute", {"text": "Không thống nhất được"})
    if where == "ordered":
        await done(as_("supervisor"), code, "direct", {"text": "Làm ngay"})
    if where == "linked":
        await done(as_("dispatcher"), code, "link_incident", {"into": (await a_report(client))[0]})


@pytest.mark.parametrize(("n", "action", "who", "where", "typed"), NUMBERED, ids=[each[0] for each in FILLED])
async def test_each_form_does_its_action(
    app: FastAPI,
    client: AsyncClient,
    as_: As,
    drive: Drive,
    on_page: People,
    clock: Clock,
    n: int,
    action: str,
    who: str,
    where: str,
    typed: dict[str, Any],
) -> None:
    script = n % 2 == 0  # neither way knows any action, so each takes half of them
    code, _ = await a_report(client, contact={"phone": "0912345678"})
    other, _ = await a_report(client)
    await bring(client, as_, drive, code, where)
    person = await on_page(who)
    form = await person.open(f"/console/cases/{code}/{action}", headers=HTMX if script else {})
    assert form.status_code == 200
    if FORMS[action].place != "talk":  # type: ignore[index]
        for field in fields_of(action):  # type: ignore[arg-type]
            assert f'name="{field.name}"' in form.text
    data = {name: value.format(other=other) if isinstance(value, str) else value for name, value in typed.items()}
    files = {"attachments": ("anh.png", a_photo(), "image/png")} if action in ("attach", "submit_answer") else None
    before = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
    sent = await person.send(code, action, data, script=script, **({"files": files} if files else {}))
    left = action in ("give_back", "give_back_support")
    assert sent.status_code == (200 if script or left else 303), sent.text[-2000:]
    if script:
        assert '"toast"' in sent.headers["hx-trigger"]
        assert f'"sent": {{"action": "{action}"}}' in sent.headers["hx-trigger"]
    elif not left:
        page = await person.open(sent.headers["location"])
        assert 'class="alert good"' in page.text
    after = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
    assert after["version"] == before["version"] + 1
    timeline = (await as_("supervisor").get(f"/api/v1/cases/{code}/timeline")).json()["items"]
    assert f"case.{action}" in [each["kind"] for each in timeline]


async def test_a_unit_that_gives_a_case_back_is_told_that_it_is_gone(
    client: AsyncClient, drive: Drive, on_page: People, clock: Clock
) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    officer = await on_page("officer")
    gone = await officer.send(code, "give_back", {"reason": "Không phải việc của Sở"}, script=True)
    assert "không còn thấy" in gone.text
    assert "/console" in gone.text
    refreshed = await officer.open(f"/console/cases/{code}?part=case", headers=HTMX)
    assert refreshed.status_code == 404
    assert "không còn thấy" in refreshed.text
    assert (await officer.open(f"/console/cases/{code}")).status_code == 404


@pytest.mark.parametrize("script", [False, True], ids=["plain", "script"])
async def test_who_comes_second_sees_what_happened_and_loses_nothing(
    client: AsyncClient, as_: As, on_page: People, script: bool
) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "classify", {"urgency": "urgent"})
    agent = await on_page("agent")
    mine = "Trụ sở mở cửa lúc 7 giờ sáng <3"
    late = await agent.send(code, "answer_directly", {"version": "1", "reply": mine}, script=script)
    assert late.status_code == 412
    assert "Phân loại lại" in late.text  # what the other did
    assert "Điều Phối" in late.text  # and who it was
    assert mine.replace("<", "&lt;") in late.text
    assert "Gửi lại trên bản mới" in late.text
    again = await agent.send(code, "answer_directly", {"reply": mine}, script=script)
    assert again.status_code == (200 if script else 303)


async def test_words_for_what_cannot_be_done_any_more_are_kept_without_a_button(
    client: AsyncClient, as_: As, drive: Drive, on_page: People
) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    agent = await on_page("agent")
    late = await agent.send(code, "answer_directly", {"version": "1", "reply": "Câu trả lời của tôi"}, script=True)
    assert late.status_code == 412
    assert "Câu trả lời của tôi" in late.text
    assert "không còn làm được" in late.text
    assert "Gửi lại trên bản mới" not in late.text
    now = await agent.send(code, "answer_directly", {"reply": "Câu trả lời của tôi"})
    assert now.status_code == 409
    assert "Câu trả lời của tôi" in now.text


WRONG: list[tuple[str, str, str, dict[str, str], str]] = [
    # action, where, who, typed; where the complaint stands
    ("note", "received", "agent", {"text": "  "}, "note-text"),
    ("answer_directly", "received", "agent", {"reply": ""}, "answer_directly-reply"),
    ("answer_directly", "received", "agent", {"reply": "x\x00y"}, "answer_directly-reply"),
    ("forward", "received", "dispatcher", {"lead": "so-gtvt"}, "forward-lead"),
    ("forward", "received", "dispatcher", {}, "forward-lead"),
    ("tell_progress", "in_progress", "officer", {"text": "Đang vá", "until": "mai"}, "tell_progress-until"),
    ("tell_progress", "in_progress", "officer", {"text": "Đang vá", "until": ""}, "tell_progress-until"),
    ("tell_progress", "in_progress", "officer", {"text": "Đang", "until": "2020-01-01T08:00"}, "tell_progress-until"),
    ("assign_officer", "in_progress", "officer", {"officer": "officer2@demo"}, "assign_officer-officer"),
    ("merge", "received", "agent", {"into": "BP-26-9999999"}, "merge-into"),
    ("refuse", "received", "agent", {"reason_code": ""}, "refuse-reason_code"),
    ("redirect", "received", "dispatcher", {"reply": "Xin liên hệ", "to": ""}, "redirect-to"),
]


@pytest.mark.parametrize(("action", "where", "who", "typed", "at"), WRONG)
async def test_a_mistake_is_told_at_its_field_and_the_rest_is_kept(
    client: AsyncClient,
    drive: Drive,
    on_page: People,
    action: str,
    where: str,
    who: str,
    typed: dict[str, str],
    at: str,
) -> None:
    code, _ = await a_report(client)
    await drive(code, where)
    person = await on_page(who)
    for script in (False, True):
        answer = await person.send(code, action, {**typed, "note": "kèm theo"}, script=script)
        assert answer.status_code == 422, answer.text[-1500:]
        assert f'id="{at}-told"' in answer.text
        assert 'class="wrong"' in answer.text
        if action != "note":
            assert "kèm theo" in answer.text
        for value in typed.values():
            if len(value.strip()) > 4 and value.isprintable() and action != "assign_officer":  # a list of people
                assert value in unescape(answer.text)


async def test_what_is_not_mine_to_do_is_refused(client: AsyncClient, drive: Drive, on_page: People) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    leader, agent, stranger = await on_page("leader"), await on_page("agent"), await on_page("officer2")
    assert (await leader.send(code, "note", {"text": "x"})).status_code == 403
    assert (await agent.send(code, "accept", {})).status_code == 403
    assert (await agent.open(f"/console/cases/{code}/accept")).status_code == 409
    assert (await agent.open(f"/console/cases/{code}/reply")).status_code == 404
    for path in (f"/console/cases/{code}", f"/console/cases/{code}/accept", f"/console/cases/{code}/explain"):
        assert (await stranger.open(path)).status_code == 404
    for path in (f"/console/cases/{code}", "/console/new"):
        sent = await AsyncClient(transport=agent.page._transport, base_url="http://1022.test").get(path)
        assert sent.status_code == 303
        assert sent.headers["location"].startswith("/sign-in")
    unsigned = await agent.page.post(f"/console/cases/{code}/note", data={"text": "x", "csrf": "no"})
    assert unsigned.status_code == 403


async def test_restricted_cases_are_for_inspectors_alone(client: AsyncClient, on_page: People) -> None:
    code, _ = await a_report(client, text="Tôi tố cáo cán bộ xã nhận tiền của dân", contact={"name": "Lê Văn Út"})
    for who in ("agent", "dispatcher", "supervisor", "leader", "admin", "officer"):
        person = await on_page(who)
        assert (await person.open(f"/console/cases/{code}")).status_code == 404, who
        assert code not in (await person.open("/console/peek", params={"into": code})).text
    page = await (await on_page("inspector")).open(f"/console/cases/{code}")
    assert page.status_code == 200
    assert "chỉ thanh tra" in page.text
    assert "Lê Văn Út" in page.text


def bar_of(html: str) -> list[tuple[str, bool]]:
    """The buttons of the bar in their order, and which one is the main one."""
    found = re.findall(r'id="act-(\w+)" class="btn([^"]*)"', html)
    return [(action, "primary" in classes) for action, classes in found]


async def test_an_inspectors_bar_begins_with_the_track_and_once_it_is_sure_with_the_road_it_takes(
    client: AsyncClient, on_page: People
) -> None:
    code, _ = await a_report(client, text="Tôi tố cáo cán bộ xã nhận tiền của dân")
    inspector = await on_page("inspector")
    unsure = (await inspector.open(f"/console/cases/{code}")).text
    assert bar_of(unsure)[:2] == [("set_track", True), ("redirect", False)]
    confirmed = await inspector.send(code, "set_track", {"track": "denunciation"}, script=True)
    assert bar_of(confirmed.text)[:2] == [("forward", True), ("redirect", False)]
    guided = await inspector.send(code, "set_track", {"track": "complaint"}, script=True)
    assert bar_of(guided.text)[:2] == [("redirect", True), ("forward", False)]


async def test_a_head_reads_the_answer_in_the_form_that_decides_on_it(
    client: AsyncClient, drive: Drive, on_page: People
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    answer = {"reply": "Đã vá xong ổ gà.", "public_text": "Mặt đường đã được vá."}
    photo = {"attachments": ("sau khi vá.png", a_photo(), "image/png")}
    await (await on_page("officer")).send(code, "submit_answer", answer, files=photo)
    for action in ("approve_answer", "return_answer"):
        form = (await (await on_page("head")).open(f"/console/cases/{code}/{action}", headers=HTMX)).text
        told, button = form.index("data-read"), form.index("data-send>")
        for part in (*answer.values(), "sau khi vá.png", "?size=small"):
            assert told < form.index(part) < button, (action, part)


async def test_a_unit_is_chosen_beforehand_only_where_the_rules_name_one(
    client: AsyncClient, as_: As, on_page: People
) -> None:
    code, _ = await a_report(client, text="Xem giúp tôi việc này với")
    dispatcher = await on_page("dispatcher")
    for field, chosen in (("", ""), ("traffic.signal", LEAD)):
        if field:
            await done(as_("dispatcher"), code, "classify", {"field": field})
        form = (await dispatcher.open(f"/console/cases/{code}/forward", headers=HTMX)).text
        assert re.findall(r'name="lead" value="([^"]*)" checked', form) == [chosen]
        assert ("Chọn đơn vị…" in form) is (not chosen)
    refused = await dispatcher.send(code, "forward", {"lead": "", "reason": "Xem giúp"}, script=True)
    assert refused.status_code == 422
    assert "Hãy chọn một đơn vị." in refused.text
    assert 'aria-invalid="true"' in refused.text
    assert "Xem giúp</textarea>" in refused.text


async def test_units_see_the_matter_but_not_who_reported_it(client: AsyncClient, drive: Drive, on_page: People) -> None:
    code, _ = await a_report(client, contact={"name": "Nguyễn Thị Hạnh", "phone": "0918245123"})
    await drive(code, "forwarded")
    officer, agent = await on_page("officer"), await on_page("agent")
    hidden = (await officer.open(f"/console/cases/{code}")).text
    assert "Nguyễn Thị Hạnh" not in hidden
    assert "918245123" not in hidden
    assert "reveal_identity" not in offered_on(hidden)
    await agent.send(code, "reveal_identity", {"reason": "Cần gọi để xuống hiện trường"})
    assert "Nguyễn Thị Hạnh" in (await officer.open(f"/console/cases/{code}")).text


BOMBS = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "</textarea><script>1</script>"]


@pytest.mark.parametrize("bomb", BOMBS)
async def test_nothing_anybody_types_is_more_than_text(
    client: AsyncClient, as_: As, on_page: People, bomb: str
) -> None:
    code, key = await a_report(client, text=f"{bomb} một\n{bomb} hai", contact={"name": bomb})
    photo = {"attachments": (f"{bomb[:20]}.png".replace("/", ""), a_photo(), "image/png")}
    assert (await as_("agent").post(f"/api/v1/cases/{code}/attach", files=photo)).status_code == 200
    await by_citizen(client, code, key, "messages", {"text": bomb})
    await done(as_("agent"), code, "note", {"text": bomb})
    await done(as_("agent"), code, "reveal_identity", {"reason": bomb})
    agent = await on_page("agent")
    pages = [
        await agent.open(f"/console/cases/{code}"),
        await agent.open(f"/console/cases/{code}/split"),
        await agent.send(code, "answer_directly", {"reply": bomb, "version": "1"}),
        await agent.send(code, "answer_directly", {"reply": bomb, "preview": "1"}),
        await agent.send(code, "refuse", {"reason_code": bomb, "reply": bomb}),
        await agent.open("/console/peek", params={"into": code}),
    ]
    for page in pages:
        for part in ("<script>alert", "<img src=x", "<script>1<", "{{ 49", ">49<"):
            assert part not in page.text


PREVIEWED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("answer_directly", "agent", "received", {"reply": "Cơ quan mở cửa lúc 7 giờ."}),
    ("ask_citizen", "officer", "in_progress", {"question": "Ở đoạn nào ạ?"}),
    ("tell_progress", "officer", "in_progress", {"text": "Đang vá", "until": "2026-03-05T16:00"}),
    ("forward", "dispatcher", "received", {"lead": LEAD}),
    ("refuse", "agent", "received", {"reason_code": "court", "reply": ""}),
    ("redirect", "dispatcher", "received", {"to": "police", "reply": "Đã bàn giao hồ sơ."}),
    ("grant_extension", "head", "asked", {"until": ""}),
    ("deny_extension", "head", "asked", {"reason": "Đủ thời gian"}),
    ("approve_answer", "head", "answered", {}),
    ("reopen", "agent", "replied", {"reason": "Vẫn hỏng"}),
]


@pytest.mark.parametrize(("action", "who", "where", "typed"), PREVIEWED, ids=[each[0] for each in PREVIEWED])
async def test_the_preview_is_what_is_sent_and_does_nothing(
    app: FastAPI,
    client: AsyncClient,
    as_: As,
    drive: Drive,
    on_page: People,
    clock: Clock,
    action: str,
    who: str,
    where: str,
    typed: dict[str, Any],
) -> None:
    assert FORMS[action].hears  # type: ignore[index]
    code, _ = await a_report(client)
    await bring(client, as_, drive, code, where)
    person = await on_page(who)
    before = await texts_sent(app, code)
    clock.move(minutes=1)
    version = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()["version"]
    shown = await person.send(code, action, {**typed, "preview": "1"}, script=True)
    assert shown.status_code == 200, shown.text
    whole = await person.send(code, action, {**typed, "preview": "1"})
    assert await texts_sent(app, code) == before
    assert (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()["version"] == version
    await person.send(code, action, typed)
    [sent] = [told for told in await texts_sent(app, code) if told not in before]
    for page in (shown, whole):
        assert sent in unescape(page.text)
        assert code in page.text


async def texts_sent(app: FastAPI, code: str) -> list[str]:
    """What is in the outbox for the citizen of a case."""
    async with state(app).database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT o.text FROM outgoing o JOIN cases c ON c.id = o.subject_id "
                "WHERE c.code = :code AND o.addressee IS NULL ORDER BY o.id"
            ),
            {"code": code},
        )
        return [row.text for row in rows]


async def test_a_page_asks_the_database_a_fixed_number_of_times(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, on_page: People
) -> None:
    code, key = await a_report(client, contact={"phone": "0977000111"})
    await drive(code, "in_progress")
    officer = await on_page("officer")
    await officer.open(f"/console/cases/{code}")

    async def counted() -> int:
        said: list[str] = []
        engine = state(app).database.engine.sync_engine

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            assert (await officer.open(f"/console/cases/{code}")).status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return len([each for each in said if "hashtextextended" not in each])  # the rules, every two seconds

    few = await counted()
    for n in range(8):
        await by_citizen(client, code, key, "messages", {"text": f"Thêm {n}"})
        await done(as_("officer"), code, "note", {"text": f"Ghi {n}"})
        await a_report(client, contact={"phone": "0977000111"})
    assert await counted() == few
    assert few <= 17


async def test_the_deadline_is_explained_in_the_readers_language(
    client: AsyncClient, drive: Drive, on_page: People
) -> None:
    code, _ = await a_report(client)
    await drive(code, "in_progress")
    officer = await on_page("officer")
    whole = await officer.open(f"/console/cases/{code}/explain")
    inside = await officer.open(f"/console/cases/{code}/explain", headers=HTMX)
    for page in (whole, inside):
        assert "Khớp quy tắc" in page.text
        assert "Bắt đầu" in page.text
        assert not re.search(r"\b(working day|closed|Due|Start|used)\b", page.text)
    assert "<html" in whole.text
    assert "<html" not in inside.text


LINES = [
    ("Start Tuesday 2026-03-03 08:15 (Asia/Ho_Chi_Minh), limit 8 working hours.", "8 giờ làm việc"),
    ("Saturday 2026-03-07: closed.", "nghỉ"),
    ("Friday 2026-05-01: closed, Ngày Quốc tế Lao động.", "Ngày Quốc tế Lao động"),
    ("Tuesday 2026-03-03 08:15-11:30: 3 h 15 min, 3 h 15 min of 8 h used.", "3 giờ 15 phút trên 8 giờ"),
    ("Tuesday 2026-03-03 13:00-14:00: the clock is stopped, 1 h not counted.", "không tính 1 giờ"),
    ("Wednesday 2026-03-04: working day 1 of 3.", "thứ 1/3"),
    ("Friday 2026-03-06: working day 3 of 3, closes at 17:00.", "hết giờ lúc 17:00"),
    ("The calendar clock runs day and night: 30 min.", "30 phút"),
    ("Due Wednesday 2026-03-04 09:30.", "Hết hạn Thứ Tư"),
]


@pytest.mark.parametrize(("line", "told"), LINES)
def test_each_sentence_of_a_trace_has_its_vietnamese(line: str, told: str) -> None:
    assert told in in_vietnamese(line)
    assert not re.search(r"\b(Start|Due|closed|working|used|clock|counted)\b", in_vietnamese(line))


async def test_a_code_that_is_typed_shows_what_it_stands_for(client: AsyncClient, on_page: People) -> None:
    code, _ = await a_report(client, text="Cột điện nghiêng\nsắp đổ")
    agent = await on_page("agent")
    assert "Cột điện nghiêng" in (await agent.open("/console/peek", params={"into": code.lower()})).text
    assert "Chưa thấy" in (await agent.open("/console/peek", params={"into": "BP-26"})).text


async def test_a_callers_report_is_taken_in_once_and_forwarded(
    app: FastAPI, client: AsyncClient, as_: As, on_page: People
) -> None:
    agent = await on_page("agent")
    earlier, _ = await a_report(client, text="Chuyện lần trước", contact={"phone": "0933222111"})
    page = (await agent.open("/console/new")).text
    found = {name: re.search(rf'name="{name}" value="([^"]+)"', page) for name in ("csrf", "key")}
    base = {name: unescape(match[1]) for name, match in found.items() if match}
    told = await agent.page.post("/console/new/caller", data={**base, "phone": "0933 222 111"})
    assert earlier in told.text
    hints = await agent.page.post("/console/new/hints", data={**base, "text": "Đèn đường tắt ở phường Tân Phú"})
    assert "infra.light" in hints.text
    data = {**base, "channel": "voice", "text": "Đèn đường tắt tối om", "phone": "0933222111", "field": "infra.light"}
    wrong = await agent.page.post("/console/new", data={**data, "phone": "12ab", "forward": "1", "lead": ""})
    assert wrong.status_code == 422
    assert "tối om" in wrong.text
    taken = [await agent.page.post("/console/new", data={**data, "forward": "1", "lead": LEAD}) for _ in range(2)]
    codes = {re.search(r"BP-\d\d-\d+", each.text)[0] for each in taken}  # type: ignore[index]
    assert len(codes) == 1
    case = (await as_("agent").get(f"/api/v1/cases/{codes.pop()}")).json()
    assert case["status"] == "forwarded"
    assert case["channel"] == "voice"
    officer = await on_page("officer")
    assert (await officer.open("/console/new")).status_code == 403
    await deliver(app)


async def test_two_people_in_the_same_second_fifty_times_and_no_update_is_lost(
    client: AsyncClient, as_: As, on_page: People
) -> None:
    code, _ = await a_report(client)
    people = {"Tổng Đài": await on_page("agent"), "Điều Phối": await on_page("dispatcher")}
    tokens = {}
    for name, person in people.items():
        token = re.search(r'name="csrf" value="([^"]+)"', (await person.open(f"/console/cases/{code}")).text)
        assert token
        tokens[name] = unescape(token[1])
    for version in range(1, 51):

        async def note(name: str, version: int = version) -> Response:
            data = {"csrf": tokens[name], "version": str(version), "text": f"Lần {version} của {name}"}
            return await people[name].page.post(f"/console/cases/{code}/note", data=data, headers=HTMX)

        answers = dict(zip(people, await asyncio.gather(*map(note, people)), strict=True))
        assert sorted(answer.status_code for answer in answers.values()) == [200, 412]
        late = next(name for name, answer in answers.items() if answer.status_code == 412)
        first = next(name for name in people if name != late)
        assert f"Lần {version} của {late}" in answers[late].text
        shown = re.search(r'class="conflict".*?</ul>', answers[late].text, re.S)
        assert shown
        assert first in shown[0]
    told = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert told["version"] == 51
    assert len([entry for entry in told["entries"] if entry["kind"] == "note"]) == 50

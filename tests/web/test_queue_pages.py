"""The queue as people use it: views of each role, search, narrowing, single rows, what did not leave."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import event, func, text

from cases import lists
from cases.views import VIEWS
from core.staff import Role
from tests.factories import As, Clock, Drive, a_report, act, done, settle, state
from web.filtering import read_narrowing

MOST = 4  # statements a list may take, whatever its length


@contextmanager
def counting(app: FastAPI) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    engine = state(app).database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def codes_on(html: str) -> list[str]:
    return re.findall(r'id="row-(BP-\d\d-\d+)"', html)


ROLES = ["agent", "dispatcher", "officer", "head", "supervisor", "inspector", "leader", "admin"]


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_opens_on_its_first_view_and_can_open_the_others(browser: As, role: str) -> None:
    page = await browser(role).get("/console")
    assert page.status_code == 200
    for view in VIEWS[Role(role)]:
        units = role in ("officer", "head")  # which have such a view while it holds something: test_tracks.py
        assert (view.name in unescape(page.text)) is not (units and view.quiet)
        shown = await browser(role).get("/console", params={"view": view.code})
        assert shown.status_code == 200
        assert f'href="/console?view={view.code}" aria-current="page"' in shown.text
        assert f'<h1 id="list-title">{view.name}</h1>' in unescape(shown.text)


async def test_a_view_of_another_role_is_not_there(browser: As) -> None:
    answer = await browser("officer").get("/console", params={"view": "restricted_open"})
    assert answer.status_code == 404


async def test_a_new_report_stands_in_the_agents_queue_and_not_in_a_units(browser: As, client: AsyncClient) -> None:
    code, _ = await a_report(client)
    assert code in codes_on((await browser("agent").get("/console")).text)
    for view in VIEWS[Role.OFFICER]:
        assert code not in (await browser("officer").get("/console", params={"view": view.code})).text


async def test_what_was_forwarded_waits_for_its_unit_alone(
    browser: As, client: AsyncClient, as_: As, drive: Drive
) -> None:
    code, _ = await a_report(client)
    await drive(code, "forwarded")
    assert code in codes_on((await browser("officer").get("/console?view=to_accept")).text)
    assert code not in (await browser("officer2").get("/console?view=to_accept")).text
    assert code not in codes_on((await browser("agent").get("/console?view=received")).text)


async def test_a_search_finds_words_without_marks_a_code_and_a_number(
    app: FastAPI, browser: As, client: AsyncClient
) -> None:
    code, _ = await a_report(client, text="Cống thoát nước hôi thối trước trạm y tế", contact={"phone": "0912 777 333"})
    await settle(app)
    for q in ("cong thoat nuoc", code, code[-8:].replace("-", ""), "0912777333"):
        page = await browser("agent").get("/console", params={"q": q})
        assert code in codes_on(page.text), q
    assert code not in codes_on((await browser("officer2").get("/console", params={"q": "cong thoat nuoc"})).text)


async def test_nothing_found_says_so_and_shows_what_was_asked_escaped(browser: As) -> None:
    page = await browser("agent").get("/console", params={"q": "<script>alert(1)</script>"})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "Không có phản ánh nào" in page.text


BAD = [
    "status=nonsense",
    "received_from=yesterday",
    "rating=9",
    "cursor=zzz",
    "q=" + "a" * 201,
    "q=%00",
    "view=../../etc",
]


@pytest.mark.parametrize("query", BAD)
async def test_an_address_that_makes_no_sense_is_a_page_that_says_so(browser: As, query: str) -> None:
    page = await browser("agent").get(f"/console?{query}")
    assert page.status_code in (404, 422)
    assert page.headers["content-type"].startswith("text/html")
    assert "Traceback" not in page.text


def test_what_a_filter_form_leaves_empty_counts_as_not_said() -> None:
    read = read_narrowing([("field", ""), ("status", ""), ("received_from", " "), ("late", "true"), ("other", "x")])
    assert read.model_dump(exclude_defaults=True) == {"late": True}


async def test_a_list_goes_on_by_its_place(app: FastAPI, browser: As, client: AsyncClient) -> None:
    made = [(await a_report(client, text=f"Đèn tắt số {n}"))[0] for n in range(60)]
    seen: list[str] = []
    path: str | None = "/console?status=received"
    while path:
        page = await browser("agent").get(path)
        seen += codes_on(page.text)
        more = re.search(r'<li class="pages"><a class="btn" href="([^"]+)"', page.text)
        path = unescape(more[1]) if more else None
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)
    part = await browser("agent").get("/console?status=received", headers={"HX-Request": "true"})
    assert "<html" in part.text  # only the next pages are parts
    more = re.search(r'<li class="pages"><a class="btn" href="([^"]+)"', part.text)
    assert more is not None
    part = await browser("agent").get(unescape(more[1]), headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert codes_on(part.text) == [code for code in seen if code in codes_on(part.text)] != []


def counts_on(html: str) -> dict[str, int]:
    return {view: int(n) for view, n in re.findall(r'href="/console\?view=(\w+)"[^>]* data-count="(\d+)"', html)}


@pytest.mark.parametrize("path", ["/console", "/console/views"])
async def test_each_view_says_how_many_cases_it_holds(browser: As, client: AsyncClient, path: str) -> None:
    before = counts_on((await browser("agent").get(path)).text)
    assert set(before) == {view.code for view in VIEWS[Role.AGENT]}
    await a_report(client)
    after = counts_on((await browser("agent").get(path)).text)
    assert after["received"] == before["received"] + 1


async def test_what_is_at_work_comes_soonest_due_first_unless_another_order_is_asked_for(
    browser: As, client: AsyncClient, clock: Clock
) -> None:
    place = {"area": "dn-c-tan-hung"}  # of no other case here
    first, _ = await a_report(client, location=place)
    clock.move(hours=1)
    second, _ = await a_report(client, location=place)
    for query, found in (
        ("status=received", [first, second]),
        ("open=true", [first, second]),
        ("channel=web", [second, first]),
        ("open=true&order=received", [second, first]),
        ("channel=web&order=due", [first, second]),
    ):
        page = await browser("agent").get(f"/console?area=dn-c-tan-hung&{query}")
        assert codes_on(page.text) == found, query


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("late=true", "Quá hạn"),
        ("status=received,forwarded", "Mới tiếp nhận, Đã chuyển đơn vị"),
        ("field=infra.road", "Đường hư, ổ gà"),
        ("area=none", "Chưa rõ địa bàn"),
        ("lead=so-xd", "Sở Xây dựng"),
        ("rating=2", "Đánh giá: 2"),
        ("late=false", "Quá hạn: không"),
    ],
)
async def test_a_narrowed_list_says_in_words_by_what(browser: As, query: str, words: str) -> None:
    page = unescape((await browser("agent").get(f"/console?{query}")).text)
    assert re.findall(r'<span class="badge">([^<]*)</span>', page.partition('class="narrowed row"')[2])[:1] == [words]


async def test_the_filter_offers_departments_that_still_exist(browser: As) -> None:
    page = (await browser("agent").get("/console")).text
    assert '<option value="so-xd">' in page
    assert '<option value="so-gtvt">' not in page  # abolished


async def test_a_row_fetches_itself_and_is_empty_when_it_no_longer_belongs(
    app: FastAPI, browser: As, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    row = await browser("agent").get(f"/console/rows/{code}?view=received")
    assert codes_on(row.text) == [code]
    assert "<html" not in row.text
    await done(as_("dispatcher"), code, "forward", {"lead": "so-xd"})
    gone = await browser("agent").get(f"/console/rows/{code}?view=received")
    assert (gone.text, gone.headers["HX-Reswap"]) == ("", "delete")
    assert codes_on((await browser("agent").get(f"/console/rows/{code}?view=open")).text) == [code]
    await settle(app)
    assert codes_on((await browser("agent").get("/console", params={"q": code[-7:]})).text) == [code]
    assert (await browser("agent").get(f"/console/rows/{code[-7:]}?view=open")).text == ""  # a row is named whole
    assert (await browser("officer2").get(f"/console/rows/{code}?view=to_accept")).text == ""


async def test_a_restricted_case_leaves_every_list_but_the_inspectors(
    app: FastAPI, browser: As, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client)
    await settle(app)
    await done(as_("agent"), code, "note", {"text": "gọi lại"})
    assert (await act(as_("agent"), code, "set_track", {"track": "denunciation"})).status_code in (200, 404)
    for role in ("agent", "dispatcher", "supervisor", "leader", "admin", "officer"):
        for query in ("view=open", f"q={code}", ""):
            page = await browser(role).get(f"/console?{query}")
            assert code not in codes_on(page.text), (role, query)
        assert (await browser(role).get(f"/console/rows/{code}")).text == ""
    assert code in codes_on((await browser("inspector").get("/console?view=restricted_open")).text)


@pytest.mark.parametrize("query", ["", "view=open", "status=received&urgency=normal", "q=den", "q=0912777333"])
@pytest.mark.parametrize("role", ["agent", "officer", "supervisor", "inspector"])
async def test_a_list_takes_few_statements(app: FastAPI, browser: As, role: str, query: str) -> None:
    if query == "view=open" and role in ("officer", "inspector"):
        query = "open=true"
    state(app).routing._read_at = 0.0  # the rules are looked at again, as they are every two seconds
    with counting(app) as sent:
        page = await browser(role).get(f"/console?{query}")
    assert page.status_code == 200
    assert len(sent) <= MOST, sent


async def test_a_message_that_did_not_leave_is_shown_and_sent_again(
    app: FastAPI, browser: As, client: AsyncClient
) -> None:
    code, _ = await a_report(client)
    await settle(app)
    async with state(app).database.transaction() as session:
        await session.execute(
            text(
                "UPDATE outgoing SET state = 'failed', dead_at = now(), last_error = 'rejected', run_at = NULL "
                "WHERE reference = :code"
            ),
            {"code": code},
        )
    page = await browser("supervisor").get("/console/outbox")
    assert code in page.text
    assert (await browser("agent").get("/console/outbox")).status_code == 403
    found = re.search(r'action="/console/outbox/([0-9a-f-]+)/resend"', page.text)
    assert found is not None
    again = f"/console/outbox/{found[1]}/resend"
    assert (await browser("agent").post(again)).status_code == 403
    forged = await browser("supervisor").post(again, headers={"X-CSRF-Token": "no"})
    assert forged.status_code == 403
    assert (await browser("supervisor").post(again)).status_code == 303
    assert found[1] not in (await browser("supervisor").get("/console/outbox")).text


@pytest.mark.parametrize("q", ["", "duong hu"])
async def test_a_list_that_takes_too_long_is_ended_and_says_how_to_ask_for_less(
    app: FastAPI, client: AsyncClient, as_: As, browser: As, monkeypatch: pytest.MonkeyPatch, q: str
) -> None:
    await a_report(client)
    await settle(app)
    monkeypatch.setattr(lists, "PATIENCE", 0.1)
    monkeypatch.setattr(lists, "visible_to", lambda *_, **__: func.pg_sleep(2).is_not(None))
    answer = await as_("agent").get("/api/v1/cases", params={"order": "due", "q": q}, headers={"Accept-Language": "en"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_broad")
    assert "Add a word" in answer.json()["detail"]
    page = await browser("agent").get("/console", params={"order": "due", "q": q or "", "status": "received"})
    assert page.status_code == 422
    assert "Hãy thêm từ cần tìm" in unescape(page.text)
    monkeypatch.undo()
    assert (await as_("agent").get("/api/v1/cases", params={"order": "due", "q": q})).status_code == 200

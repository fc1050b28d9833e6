"""The board: every number opens its cases, in a small world where all of it is known."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import event, text

from ioc.board import Figures, Stock, Totals
from ioc.periods import Period
from ioc.reconcile import reconcile
from tests import factories
from tests.factories import As, Clock, Drive, a_report, by_citizen, done, settle, state
from web.board.asking import Asked
from web.board.shown import LAGGING, BoardPage, board_page

READERS = ("leader@demo", "supervisor@demo", "admin@demo")
NUMBER = re.compile(r'<a[^>]*href="(/console\?[^"]+)"[^>]*data-number="(\d+)"')
ROW = re.compile(r'href="/console/cases/(BP-[0-9-]+)')


async def browser(app: FastAPI, email: str) -> AsyncClient:
    made = AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", follow_redirects=False)
    answer = await made.post("/sign-in", data={"username": email, "password": factories.PASSWORD})
    assert answer.status_code == 303
    return made


@pytest.fixture(scope="module")
async def readers(app: FastAPI) -> AsyncIterator[dict[str, AsyncClient]]:
    made = {email: await browser(app, email) for email in (*READERS, "officer@demo")}
    yield made
    for each in made.values():
        await each.aclose()


@pytest.fixture(scope="module")
async def world(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> AsyncIterator[Clock]:
    """Two months: done and reopened, refused, given back, late, rated, reclassified, restricted, not classified."""
    here = state(app)
    wall, clock = here.clock, Clock(here.clock())
    here.clock = clock
    clock.to("2026-01-28T08:15")
    early, early_key = await a_report(client)
    await drive(early, "replied")
    clock.to("2026-02-02T09:00")
    await by_citizen(client, early, early_key, "reopen", {"reason": "Vẫn còn ổ gà"})
    await settle(app)
    clock.to("2026-02-03T09:00")
    await drive(early, "replied")
    for day in range(2, 7):
        clock.to(f"2026-02-0{day + 1}T08:30")
        code, key = await a_report(client, field="env.waste" if day % 2 else "infra.road")
        await drive(code, "closed" if day == 4 else "replied")
        await by_citizen(client, code, key, "rating", {"rating": 5})
    refused, _ = await a_report(client)
    await drive(refused, "refused")
    back, _ = await a_report(client)
    await drive(back, "forwarded")
    await done(as_("officer"), back, "give_back", {"reason": "Không thuộc thẩm quyền"})
    await a_report(client, text="Hỏi giờ làm việc", field=None)
    direct, _ = await a_report(client)
    await done(as_("agent"), direct, "answer_directly", {"reply": "Dạ, mở cửa lúc 7 giờ."})
    accused, _ = await a_report(client)
    await drive(accused, "forwarded")
    await settle(app)
    await done(as_("supervisor"), accused, "set_track", {"track": "denunciation"})
    left, _ = await a_report(client)  # runs late
    await drive(left, "in_progress")
    moved, _ = await a_report(client)
    await done(as_("agent"), moved, "classify", {"field": "env.waste"})
    await settle(app)
    clock.to("2026-03-02T08:00")
    await settle(app)
    soon, _ = await a_report(client)
    await drive(soon, "forwarded")
    clock.move(minutes=30)
    await settle(app)
    yield clock
    here.clock = wall


async def rows_behind(page: AsyncClient, href: str) -> tuple[set[str], str]:
    """All cases of a list, page after page, and its first page."""
    found: set[str] = set()
    first = ""
    following: str | None = href
    while following:
        answer = await page.get(following)
        assert answer.status_code == 200, (href, answer.text[:300])
        first = first or answer.text
        found |= set(ROW.findall(answer.text))
        more = re.search(r'href="(/console\?[^"]*cursor=[^"]*)"', answer.text)
        following = unescape(more[1]) if more else None
    return found, first


def numbers(html: str) -> set[tuple[str, int]]:
    return {(unescape(href), int(value)) for href, value in NUMBER.findall(html)}


BOARDS = (
    "period=own&from=2026-01-20&to=2026-03-02",
    "period=today",
    "period=year",
    "period=90&field=infra",
    "period=30&department=so-xd",
    "period=90&channel=web&area=none",
    "period=30&department=trung-tam-1022",
)


@pytest.mark.parametrize("asked", BOARDS)
async def test_every_number_is_the_length_of_the_list_it_opens(
    world: Clock, readers: dict[str, AsyncClient], asked: str
):
    shown = {email: numbers((await page.get(f"/ioc?{asked}")).text) for email, page in readers.items()}
    leader, *others = READERS
    assert all(shown[email] == shown[leader] for email in others)
    walks = [(leader, *each) for each in sorted(shown[leader])]
    walks += [(email, *each) for email in others for each in sorted(shown[email]) if each[1] and "department" in asked]
    assert len(walks) > 20
    for email, href, value in walks:
        codes, html = await rows_behind(readers[email], href)
        told = re.search(r'data-amount="(\d+)" data-cases="(\d+)"', html)
        if told:
            assert (int(told[1]), int(told[2])) == (value, len(codes)), href
        else:
            assert len(codes) == value, href


async def test_two_answers_of_one_case_count_twice_and_the_list_says_so(world: Clock, readers: dict[str, AsyncClient]):
    html = (await readers["leader@demo"].get("/ioc?period=own&from=2026-01-20&to=2026-02-03")).text
    (href, value) = next(pair for pair in numbers(html) if "figure=replied" in pair[0] and pair[1] == 3)
    codes, listed = await rows_behind(readers["leader@demo"], href)
    assert len(codes) == value - 1
    assert "3 lượt của 2 phản ánh" in listed


@pytest.mark.parametrize("email", READERS)
async def test_those_who_read_the_board_read_the_cases_behind_it_without_who_reported(
    world: Clock, readers: dict[str, AsyncClient], as_: As, email: str
):
    html = (await readers[email].get("/ioc?period=year")).text
    href = next(href for href, value in numbers(html) if value and "figure=replied" in href)
    codes, _ = await rows_behind(readers[email], href)
    shown = (await as_(email).get(f"/api/v1/cases/{sorted(codes)[0]}")).json()
    assert shown["citizen"]["revealed"] is False


async def test_only_those_who_may_read_figures_open_the_board_or_a_list_behind_a_figure(
    world: Clock, readers: dict[str, AsyncClient], client: AsyncClient, as_: As
):
    assert (await readers["officer@demo"].get("/ioc")).status_code == 403
    assert (await readers["officer@demo"].get("/console?figure=replied")).status_code == 403
    assert (await as_("officer").get("/api/v1/cases?figure=replied")).status_code == 403
    assert (await as_("leader").get("/api/v1/cases?figure=replied")).status_code == 200
    assert (await as_("leader").get("/api/v1/cases?figure=nonsense")).status_code == 422
    assert (await client.get("/ioc")).headers["location"].startswith("/sign-in?next=%2Fioc")


async def test_the_world_is_what_its_story_says(world: Clock, readers: dict[str, AsyncClient]):
    html = (await readers["leader@demo"].get("/ioc?period=year")).text
    value = {figure: n for href, n in numbers(html) if (figure := only_figure(href))}
    assert value["refused"] == 1
    assert value["answered_first_contact"] == 1
    assert value["ratings"] == 5
    assert value["replied"] == 8  # one of them twice, one at once
    assert value["refused.unclear"] == 1
    assert "figure_field=none" not in html or "lead=" in html
    assert "đóng phản ánh không có nghĩa là sự việc đã được sửa xong" in html
    assert "chưa đối soát lần nào" in html


def only_figure(href: str) -> str | None:
    said = dict(parse_qsl(urlsplit(href).query))
    whole = {"figure", "figure_from", "figure_to"}
    if said.get("figure_from") != "2026-01-01":
        return None
    return said["figure"] if set(said) == whole and said["figure_to"] == "2026-03-02" else None


async def test_a_mean_is_not_shown_below_twenty_ratings(world: Clock, readers: dict[str, AsyncClient]):
    html = (await readers["leader@demo"].get("/ioc?period=year")).text
    assert "dưới 20 lượt không tính điểm" in html


@pytest.mark.parametrize(
    "asked",
    ["period=own", "period=own&from=2026-02-30&to=x", "period=own&from=2026-03-01&to=2026-02-01",
     "period=own&from=1999-01-01&to=2026-01-01", "period=own&from=2026-01-01&to=2027-01-01", "period=century"],
)  # fmt: skip
async def test_a_period_that_is_none_shows_the_form_again_and_the_usual_figures(
    world: Clock, readers: dict[str, AsyncClient], asked: str
):
    answer = await readers["leader@demo"].get(f"/ioc?{asked}")
    assert answer.status_code == 422
    assert 'id="b-wrong"' in answer.text
    assert 'id="h-steps"' in answer.text


async def test_a_script_is_given_the_numbers_alone(world: Clock, readers: dict[str, AsyncClient]):
    answer = await readers["leader@demo"].get("/ioc?period=7", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert "data-stale=" in answer.text


async def test_the_board_says_what_reconciling_found(app: FastAPI, world: Clock, readers: dict[str, AsyncClient]):
    here = state(app)
    async with here.database.transaction() as session:
        assert await reconcile(session, here.settings.zone, here.clock()) == []
    assert "lệch 0" in (await readers["leader@demo"].get("/ioc")).text
    async with here.database.transaction() as session:
        await session.execute(text("UPDATE figure_cursor SET differences = 3"))
    assert "đối soát: lệch 3" in (await readers["leader@demo"].get("/ioc")).text
    async with here.database.transaction() as session:
        await session.execute(text("UPDATE figure_cursor SET reconciled_at = NULL, differences = NULL"))


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    engine = state(app).database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("asked", BOARDS)
async def test_the_board_takes_two_statements_besides_knowing_who_asks(
    app: FastAPI, world: Clock, readers: dict[str, AsyncClient], asked: str
):
    await readers["leader@demo"].get("/ioc")
    with statements(app) as sent:
        await readers["leader@demo"].get(f"/ioc?{asked}")
    assert len([each for each in sent if "figure_cursor" in each or "GROUPING" in each]) == 2
    assert len(sent) <= 5, sent


WHOLE = [
    # from, to, whole months [first, after)
    ("2026-01-01", "2026-01-31", "2026-01-01", "2026-02-01"),
    ("2026-01-01", "2026-03-02", "2026-01-01", "2026-03-01"),
    ("2025-12-15", "2026-02-28", "2026-01-01", "2026-03-01"),
    ("2026-01-02", "2026-01-31", None, None),
    ("2026-01-15", "2026-02-15", None, None),
    ("2026-02-28", "2026-02-28", None, None),
    ("2024-02-01", "2024-02-29", "2024-02-01", "2024-03-01"),
]


@pytest.mark.parametrize(("first", "last", "whole", "after"), WHOLE)
def test_a_period_is_whole_months_and_the_days_at_its_edges(
    first: str, last: str, whole: str | None, after: str | None
):
    period = Period(date.fromisoformat(first), date.fromisoformat(last))
    found = period.months()
    if whole is None:
        assert found[0] == found[1] > period.to
    else:
        assert found == (date.fromisoformat(whole), date.fromisoformat(after or ""))
    assert period.before.days == period.days
    assert sum(step.days for step in period.steps()) == period.days


# ---- the page of figures that are given

NOON = datetime(2026, 3, 8, 5, tzinfo=UTC)
WEEK = Period(date(2026, 3, 2), date(2026, 3, 8))


async def drawn(
    app: FastAPI,
    *,
    stock: dict[str, Stock] | None = None,
    units: dict[str, Stock] | None = None,
    period: Totals | None = None,
    before: Totals | None = None,
    by: dict[str, dict[str, Totals]] | None = None,
    steps: dict[date, dict[str, int]] | None = None,
    as_of: datetime = NOON,
) -> BoardPage:
    here = state(app)
    async with here.database.transaction() as session:
        routing = await here.routing.get(session)
    asked = Asked("7", WEEK, "", "", None, None, None, None, restricted=False)
    figures = Figures(1, as_of, None, period or Totals(), before or Totals(), by or {}, steps or {})
    at_work = {"": stock or {"": Stock()}, "department": units or {}}
    return board_page(asked, figures, at_work, routing, NOON, NOON.date(), "vi")


async def test_the_unit_with_most_late_comes_first_then_the_one_that_keeps_fewest_limits_then_the_busiest(app: FastAPI):
    # late · share kept · at work, the worst first
    units = {
        "so-nnmt": Stock(open=3),
        "so-yte": Stock(open=9),
        "so-gddt": Stock(open=4),
        "so-xd": Stock(open=1, late=1),
    }
    kept = {"department": {"so-gddt": Totals({"due.resolve": 4, "due_met.resolve": 1})}}
    page = await drawn(app, units=units, by=kept)
    assert [row.open.value for row in page.units] == [1, 4, 9, 3]


async def test_fields_areas_and_channels_come_by_how_much_was_received(app: FastAPI):
    received = {"web": 1, "voice": 5, "zalo": 3}
    page = await drawn(app, by={"channel": {code: Totals({"received": n}) for code, n in received.items()}})
    assert [row.received.value for row in page.sides["channel"]] == [5, 3, 1]


KEPT = [
    # limits kept of four, first responses in class: now and before; better?
    (1, 2, 1, 1, False, None),
    (3, 2, 1, 5, True, True),
    (2, 2, 5, 1, None, False),
]


@pytest.mark.parametrize(("now", "before", "speed", "was", "on_time", "response"), KEPT)
async def test_more_limits_kept_and_faster_responses_are_better(
    app: FastAPI, now: int, before: int, speed: int, was: int, on_time: bool | None, response: bool | None
):
    def totals(met: int, speed: int) -> Totals:
        return Totals({"due.resolve": 4, "due_met.resolve": met}, {speed: 1})

    page = await drawn(app, period=totals(now, speed), before=totals(before, was))
    change = {each.code: each.change and each.change.better for each in page.leading}
    assert (change["on_time"], change["response"]) == (on_time, response)


async def test_nothing_is_compared_with_a_period_of_which_nothing_is_known(app: FastAPI):
    page = await drawn(app, period=Totals({"due.resolve": 4, "due_met.resolve": 1}, {1: 1}))
    assert [each.change for each in page.leading] == [None] * 6


@pytest.mark.parametrize(("age", "lags"), [(LAGGING, False), (LAGGING + timedelta(seconds=1), True)])
async def test_figures_say_when_they_are_old(app: FastAPI, age: timedelta, lags: bool):
    assert (await drawn(app, as_of=NOON - age)).lags is lags


async def test_what_is_late_or_nearly_so_is_coloured_and_nothing_else(app: FastAPI):
    calm = await drawn(app, stock={"": Stock(open=2)})
    busy = await drawn(app, stock={"": Stock(open=2, late=1, soon=1)})
    assert [each.tone for each in calm.leading[:3]] == ["", "", ""]
    assert [each.tone for each in busy.leading[:3]] == ["", "late", "warn"]


async def test_bars_are_as_long_as_their_numbers(app: FastAPI):
    page = await drawn(app, stock={"": Stock(open=7, ages=(1, 0, 2, 0, 0, 4))})
    assert [(bar.number.value, bar.share) for bar in page.ages] == [
        (1, 25), (0, 0), (2, 50), (0, 0), (0, 0), (4, 100),
    ]  # fmt: skip
    refused = await drawn(app, period=Totals({"refused.unclear": 1, "refused.not_province": 3}))
    assert [bar.number.value for bar in refused.refusals] == [3, 1]  # most often first


async def test_the_drawing_shows_each_days_own_numbers_on_a_scale_of_four_round_parts(app: FastAPI):
    page = await drawn(app, steps={date(2026, 3, 3): {"received": 9, "replied": 6}, date(2026, 3, 8): {"replied": 1}})
    days = [(step.received.value, step.replied.value) for step in page.drawing.steps]
    assert days == [(0, 0), (9, 6), (0, 0), (0, 0), (0, 0), (0, 0), (0, 1)]
    assert list(page.drawing.marks) == [12, 9, 6, 3, 0]
    assert page.drawing.height(6) == 50

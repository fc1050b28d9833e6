"""Finding cases: words with and without marks, phrases, codes, numbers; who finds what; the copy of words itself."""

from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import cast, select, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import col

from cases import lists, search
from cases.models import Case, CaseSearch, Entry
from cases.views import Filters
from core.ids import uuid7
from core.journal import record
from core.staff import Actor, Role
from tests.cases.test_views import codes
from tests.factories import (
    LEAD,
    SUPPORT,
    As,
    Clock,
    Drive,
    a_report,
    by_citizen,
    case_of,
    done,
    settle,
    state,
)

AGENT = Actor("staff", roles=frozenset({Role.AGENT}))
OFFICER = Actor("staff", roles=frozenset({Role.OFFICER}), departments=frozenset({LEAD}))
TEXT = "Ổ gà sâu trên đường Nguyễn Văn Linh, đoạn gần chợ Đồng Xoài (số 12/3B) đã hư 30 ngày"


@pytest.fixture(scope="module")
async def hole(app: FastAPI, client: AsyncClient, as_: As) -> tuple[str, str]:
    """(code, key) of a report with much to be found by, among others."""
    place = {"address": "Hẻm 7 Phú Riềng Đỏ", "area": "bp-c-bu-dang-bom-bo"}
    code, key = await a_report(client, text=TEXT, location=place, contact={"phone": "0977 888 999"})
    await a_report(client, text="Đèn tín hiệu hỏng ở ngã tư", field="traffic.signal")
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD, "supporting": [SUPPORT]})
    answered = await by_citizen(client, code, key, "messages", {"text": "Hôm qua có người té vì bẫy này"})
    assert answered.status_code == 201
    await settle(app)
    return code, key


@pytest.mark.parametrize(
    "q",
    [
        "ổ gà trên đường",
        "o ga duong",  # without marks, in another order than written, words left out
        "O GA DUONG",
        "duong ga o",
        "o\u0302\u0309 ga\u0300",  # the same letters taken apart
        "nguyen van linh",
        '"nguyen van linh"',
        '"van linh" "o ga"',
        '"nguyễn văn linh',  # the quote is still open
        "nguyen van lin",  # the last word is not finished
        "ổ gà sâu nguyễ",
        "12 3b",
        "12/3B",
        "30 ngay",
        "té vì bẫy",  # said later by the citizen
        "phu rieng do",  # the address
        "bom bo",  # the place as it was named at intake
        "bù đăng",  # the district above it
        "so xay dung",  # who leads
    ],
)
async def test_a_case_is_found_by_its_words(as_: As, hole: tuple[str, str], q: str) -> None:
    assert hole[0] in await codes(as_("agent"), q=q)
    assert hole[0] in await codes(as_("agent"), q=q, order="due")


@pytest.mark.parametrize(
    "q",
    [
        '"linh van nguyen"',
        '"o ga tren nguyen"',
        "o ga khongco",
        "guyen",  # not the beginning of a word
        '"nguyen van li"',  # in quotes words are whole
        '"bay nay hem"',  # a phrase does not reach from the message into the address
        "0977888999",  # the number is not among the words …
    ],
)
async def test_a_case_is_not_found_by_other_words(as_: As, hole: tuple[str, str], q: str) -> None:
    who = "inspector" if q.isdecimal() else "agent"  # … and finding by number is for the centre
    assert hole[0] not in await codes(as_(who), q=q)


async def test_a_code_finds_its_case_however_it_is_typed(as_: As, hole: tuple[str, str]) -> None:
    code = hole[0]
    digits = code.partition("-")[2].replace("-", "")
    for q in (code, code.lower(), code.replace("-", " "), code.replace("-", ""), digits, digits[2:], digits[:-2]):
        assert code in await codes(as_("officer"), q=q), q
    assert await codes(as_("agent"), q=code) == [code]


async def test_a_new_case_is_found_by_its_code_at_once(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)
    assert await codes(as_("agent"), q=code) == [code]


@pytest.mark.parametrize("q", ["0977888999", "0977 888 999", "+84 977 888 999", "84977888999", "0977.888.999"])
async def test_a_number_finds_its_citizens_cases_for_the_centre(as_: As, hole: tuple[str, str], q: str) -> None:
    for who in ("agent", "dispatcher", "supervisor"):
        assert await codes(as_(who), q=q) == [hole[0]]
    for who in ("officer", "head", "inspector", "leader", "admin"):
        assert await codes(as_(who), q=q) == []


async def test_the_number_of_nobody_finds_nothing(as_: As) -> None:
    assert await codes(as_("agent"), q="0900000001") == []


async def test_units_find_their_own_cases_only(as_: As, hole: tuple[str, str]) -> None:
    for who, sees in (("officer", True), ("helper", True), ("officer2", False), ("head2", False), ("gone", False)):
        assert (hole[0] in await codes(as_(who), q="o ga duong")) is sees, who


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ({"department": LEAD}, True),
        ({"department": SUPPORT}, True),
        ({"department": "so-yte"}, False),
        ({"lead": SUPPORT}, False),
        ({"field": "infra"}, True),
        ({"field": "env"}, False),
        ({"area": "bp-c-bu-dang-bom-bo"}, True),
        ({"status": "forwarded"}, True),
        ({"status": ["closed", "forwarded"]}, True),
        ({"status": "received"}, False),
        ({"open": "true"}, True),
        ({"late": "true", "open": "true"}, False),
        ({"channel": "web"}, True),
        ({"channel": "zalo"}, False),
        ({"received_to": "2020-01-01"}, False),
        ({"closed_to": "2199-01-01"}, False),
        ({"assigned": "none"}, True),
        ({"assigned": "me"}, False),
    ],
    ids=str,
)
async def test_words_and_filters_narrow_together(
    as_: As, hole: tuple[str, str], filters: dict[str, Any], holds: bool
) -> None:
    for order in ("received", "due"):
        assert (hole[0] in await codes(as_("supervisor"), q="ổ gà", order=order, **filters)) is holds


async def test_what_changes_is_found_as_it_is_now(
    app: FastAPI, client: AsyncClient, as_: As, drive: Drive, clock: Clock
) -> None:
    code, _ = await a_report(client, text="Cây đa cổ thụ nghiêng")
    await settle(app)
    assert await codes(as_("officer"), q="cay da co thu") == []
    await drive(code, "forwarded")
    await settle(app)
    assert await codes(as_("officer"), q="cay da co thu") == [code]
    assert await codes(as_("agent"), q="cay da", status="forwarded") == [code]
    await done(as_("dispatcher"), code, "recall", {"reason": "Chuyển nơi khác"})
    await settle(app)
    assert await codes(as_("officer"), q="cay da co thu") == []
    assert await codes(as_("agent"), q="cay da", status="received") == [code]


async def test_a_case_that_becomes_restricted_is_gone_before_the_words_know(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    code, _ = await a_report(client, text="Chuyện mật quằn quại")
    await settle(app)
    assert await codes(as_("agent"), q="quan quai") == [code]
    answer = await as_("agent").post(f"/api/v1/cases/{code}/set_track", json={"track": "denunciation"})
    assert answer.status_code == 200
    for who in ("agent", "dispatcher", "supervisor", "leader", "admin", "officer"):
        assert await codes(as_(who), q="quan quai") == []
    assert await codes(as_("inspector"), q="quan quai") == [code]
    await settle(app)
    assert await codes(as_("inspector"), q="quan quai", restricted="true") == [code]
    assert await codes(as_("agent"), q="quan quai") == []


@pytest.mark.parametrize("looked_at", [1, 3, 1000])
async def test_pages_of_a_search_follow_each_other(
    app: FastAPI, client: AsyncClient, as_: As, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    """Whichever way hits are looked for, walking back or by the index, and wherever the way changes."""
    made = [(await a_report(client, text=f"Bờ kè sạt lở đoạn {looked_at}x"))[0] for _ in range(7)]
    await settle(app)
    monkeypatch.setattr(lists, "LOOKED_AT", looked_at)
    for order in ("received", "due"):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            wanted = {"q": f"sat lo {looked_at}x", "order": order, "limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await as_("agent").get("/api/v1/cases", params=wanted)).json()
            seen += [row["code"] for row in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(made)
        if order == "received":
            assert seen == made[::-1]


@pytest.mark.parametrize(
    "q", ["!!!", '""', "' | !x:*", "&", "\\", ":*", "a' & 'b", "(((", "<->", "=o", "=u:so-xd", "%", "_"]
)
async def test_signs_are_no_language(as_: As, hole: tuple[str, str], q: str) -> None:
    answer = await as_("agent").get("/api/v1/cases", params={"q": q})
    assert answer.status_code == 200
    if not any(letter.isalnum() for letter in q):
        assert answer.json()["items"] == []


async def test_facets_are_no_words(as_: As, hole: tuple[str, str]) -> None:
    """What the vectors hold beside words cannot be asked for: to these people they are the words o, u, so and xd."""
    assert hole[0] not in await codes(as_("agent"), q="=s:forwarded")
    assert hole[0] in await codes(as_("agent"), q="   ")  # nothing typed: no search


PLAIN: dict[str, Any] = {"code": "BP-26-0000019", "status": "received", "channel": "web", "restricted": False}
anything = st.text(max_size=60) | st.text("ổ ga\"'\\:*&|!()<->=đĐ12 ", max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=anything, typed=anything)
async def test_whatever_is_written_and_typed_postgresql_understands(app: FastAPI, written: str, typed: str) -> None:
    """Any vector and any query is well-formed, and every word of a text finds it."""
    written, typed = written.replace("\x00", ""), typed.replace("\x00", "")
    async with state(app).database.transaction() as session:
        routing = await state(app).routing.get(session)
        case = Case(**PLAIN, text=written)
        made, _ = search.vector(case, [typed], routing)
        for q in (written, typed):
            words = search.words_query(q)
            if words is None:
                continue
            met = select(cast(made, TSVECTOR).bool_op("@@")(search.tsquery(words)))
            assert await session.scalar(met) or '"' in q


# --- the copy of words ---


async def copy_of(app: FastAPI) -> dict[str, str]:
    """The table as it is."""
    async with state(app).database.transaction() as session:
        rows = (await session.execute(select(col(CaseSearch.case_id), col(CaseSearch.tsv)))).all()
    return {str(row[0]): str(row[1]) for row in rows}


async def position(app: FastAPI) -> int:
    """How far the copy has come."""
    async with state(app).database.transaction() as session:
        return int(await session.scalar(text("SELECT position FROM search_cursor")) or 0)


async def sort_in(app: FastAPI) -> int:
    """One batch."""
    here = state(app)
    async with here.database.transaction() as session:
        return await search.index(session, await here.routing.get(session), here.clock())


async def test_cases_and_cursor_go_together_or_not_at_all(
    app: FastAPI, client: AsyncClient, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settle(app)
    before, was = await copy_of(app), await position(app)
    await a_report(client, text="Một vụ mới tinh")
    monkeypatch.setattr(search, "index", _fails(search.index))
    with pytest.raises(RuntimeError):
        await settle(app)
    assert (await copy_of(app), await position(app)) == (before, was)
    monkeypatch.undo()
    await settle(app)
    assert await position(app) > was
    assert len(await copy_of(app)) == len(before) + 1


def _fails(real: Any) -> Any:
    async def index(*given: Any) -> int:
        await real(*given)
        raise RuntimeError("killed before the commit")

    return index


async def test_going_through_everything_again_changes_nothing(
    app: FastAPI, client: AsyncClient, hole: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await settle(app)
    before = await copy_of(app)
    async with state(app).database.transaction() as session:
        await session.execute(text("DELETE FROM case_search WHERE case_id = ANY(SELECT id FROM cases LIMIT 5)"))
        await search.rebuild(session)
    monkeypatch.setattr(search, "BATCH", 7)
    rounds = 0
    while await sort_in(app):
        rounds += 1
    assert rounds > 3
    assert await copy_of(app) == before


async def test_two_workers_do_not_sort_in_the_same(app: FastAPI, client: AsyncClient) -> None:
    await settle(app)
    await a_report(client)
    here = state(app)
    async with here.database.transaction() as one:
        await one.execute(text("SELECT 1 FROM search_cursor FOR UPDATE"))
        assert await sort_in(app) == 0


async def test_the_words_of_a_merged_cases_citizen_are_found_in_both(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    lives, _ = await a_report(client, text="Cống nghẹt")
    merged, key = await a_report(client, text="Cống nghẹt nữa")
    await done(as_("agent"), merged, "merge", {"into": lives})
    said = await by_citizen(client, merged, key, "messages", {"text": "Nước đã tràn zulu"})
    assert said.status_code == 201
    await settle(app)
    assert sorted(await codes(as_("agent"), q="zulu")) == sorted([lives, merged])


async def test_the_copy_holds_no_names_and_numbers_of_citizens(app: FastAPI, client: AsyncClient) -> None:
    code, _ = await a_report(
        client, text="Nắp hố ga mất", contact={"name": "Quách Tỉnh", "phone": "0966555444", "email": "q@t.vn"}
    )
    await settle(app)
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
    kept = (await copy_of(app))[str(case.id)]
    assert "'ho'" in kept
    for secret in ("quach", "tinh", "966555444"):
        assert secret not in kept


async def added_to(app: FastAPI, code: str, lines: list[str]) -> None:
    """So many messages of its citizen, and the journal row that has the case sorted in."""
    here = state(app)
    async with here.database.transaction() as session:
        case = await case_of(session, code)
        for line in lines:
            at = here.clock()
            said = Entry(id=uuid7(at), case_id=case.id, kind="message", author_kind="citizen", text=line, created_at=at)
            session.add(said)
        data = {"code": code}
        await record(session, "case.add_message", at=at, actor_kind="citizen", case_id=case.id, data=data)


def long_words(count: int) -> list[str]:
    """Words of 40 letters of four bytes each, no two the same, ten thousand letters a line."""
    words = [chr(0x10400 + n % 40) + chr(0x10400 + n // 40 % 40) + chr(0x10400 + n // 1600) * 38 for n in range(count)]
    return [" ".join(words[n : n + 240]) for n in range(0, count, 240)]


async def test_no_report_is_too_long_to_be_sorted_in(app: FastAPI, client: AsyncClient, as_: As) -> None:
    """A tsvector holds a megabyte; what citizens write may be longer, in letters of four bytes."""
    async with state(app).database.transaction() as session:
        routing = await state(app).routing.get(session)
        made, _ = search.vector(Case(**PLAIN, text=" ".join(long_words(12_000))), [], routing)
        assert await session.scalar(select(cast(made, TSVECTOR)))
    code, _ = await a_report(client, text="Cột điện vẹo xiêu")
    await added_to(app, code, long_words(12_000))
    await settle(app)
    assert await codes(as_("agent"), q="veo xieu") == [code]


async def test_of_what_a_citizen_added_only_so_much_is_looked_at(
    app: FastAPI, client: AsyncClient, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_SAID", 20)
    code, _ = await a_report(client, text="Biển báo lung lay")
    await added_to(app, code, ["chữ xanhbiếc", "chữ tímngắt", "chữ đỏrực"])
    await settle(app)
    assert await codes(as_("agent"), q="xanhbiec") == [code]
    assert await codes(as_("agent"), q="dorucc") == await codes(as_("agent"), q="doruc") == []


async def test_a_case_that_cannot_be_sorted_in_keeps_no_other_from_it(
    app: FastAPI, client: AsyncClient, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settle(app)
    bad, _ = await a_report(client, text="Vách taluy hỏng một")
    good, _ = await a_report(client, text="Vách taluy hỏng hai")
    real = search.vector

    def vector(case: Case, *rest: Any) -> tuple[str, set[str]]:
        made, words = real(case, *rest)
        return (made + " 'no end", words) if case.code == bad else (made, words)

    monkeypatch.setattr(search, "vector", vector)
    with structlog.testing.capture_logs() as logged:
        await settle(app)
    assert [each["event"] for each in logged if each["log_level"] == "error"] == ["case not sorted in for search"]
    assert "taluy" not in str(logged)
    assert await codes(as_("agent"), q="vach taluy") == [good]
    async with state(app).database.transaction() as session:
        newest = await session.scalar(text("SELECT max(position) FROM journal_positions"))
    assert await position(app) == newest


async def test_the_words_of_one_report_crowd_out_no_common_one(app: FastAPI, client: AsyncClient, as_: As) -> None:
    made = [(await a_report(client, text="Chồi zebrux"))[0] for _ in range(2)]
    junk = " ".join(f"zebra{a}{b}" for a in "abcdefg" for b in "abcdefghij")
    loud, _ = await a_report(client, text=junk)
    for _ in range(4):  # sorted in again and again, it is still one case
        await settle(app)
        await done(as_("agent"), loud, "note", {"text": "Xem lại"})
    await settle(app)
    assert set(made) <= set(await codes(as_("agent"), q="zeb"))


@pytest.mark.parametrize(
    ("q", "actor", "expected"),
    [
        ("bp-26-0482134", AGENT, search.Sought(code="BP-26-0482134")),
        ("BP-26-0482135", AGENT, search.Sought(words=search.Words(("'bp'", "'26'", "'0482135':*")))),  # mistyped
        ("0912345678", AGENT, search.Sought(phone="+84912345678")),
        ("0912345678", OFFICER, search.Sought(words=search.Words(("'0912345678':*",)))),
        ("ổ gà", AGENT, search.Sought(words=search.Words(("'o'", "'ga'")))),  # two letters are whole
        ("đường", AGENT, search.Sought(words=search.Words((), "duong"))),
        ('"ổ gà" đường', AGENT, search.Sought(words=search.Words(("('o' <-> 'ga')",), "duong"))),
        ('đường "ổ gà"', AGENT, search.Sought(words=search.Words(("'duong'", "('o' <-> 'ga')")))),
        ("...", AGENT, search.Sought()),
    ],
)
def test_what_is_typed_is_understood(q: str, actor: Actor, expected: search.Sought) -> None:
    assert search.read(q, actor) == expected


def test_who_works_nowhere_searches_without_being_narrowed_by_a_unit() -> None:
    """Such a person sees nothing; a search of theirs failed on an empty group of terms."""
    assert search.facets(Actor("staff", roles=frozenset({Role.OFFICER})), Filters(), (), (), frozenset()) == ""

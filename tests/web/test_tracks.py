"""Restricted tracks are worked to their end by those who hold the role, and by nobody else; whom a case is about never
knows of it; tracks that are nobody's secret have queues of their own.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cases import notices
from cases.changes import heard_by
from core import auth
from core.ids import uuid7
from core.journal import last_position
from core.staff import Actor, Role, RoleGrant, Staff, roles_from
from tests.factories import (
    LEAD,
    NEVER_ENDS,
    As,
    Clock,
    a_report,
    act,
    by_citizen,
    case_of,
    deliver,
    done,
    journal_of,
    limit_differences,
    settle,
    state,
)
from tests.web.problems import problem
from web.deps import COOKIE
from web.hub import kind_of

PHONE = "0934571286"
SENDER = {"name": "Trần Thị Kín", "phone": PHONE}
NEEDLE = "mậtxyz"
CENTRE = ("agent", "dispatcher", "supervisor", "leader", "admin", "officer", "head")


async def a_denunciation(client: AsyncClient, **members: Any) -> tuple[str, str]:
    return await a_report(client, text=f"Tố cáo cán bộ nhận tiền {NEEDLE}", field=None, contact=SENDER, **members)


async def a_tip(client: AsyncClient, as_: As, *, confirmed: bool = True) -> str:
    code, _ = await a_report(client, text=f"Tố giác nhóm bán ma túy {NEEDLE}", field=None, contact=SENDER)
    if confirmed:
        await done(as_("inspector"), code, "set_track", {"track": "crime_tip"})
    return code


async def listed(client: AsyncClient, **params: Any) -> set[str]:
    rows: set[str] = set()
    params = {"limit": 200, **params}
    while True:
        page = (await client.get("/api/v1/cases", params=params)).json()
        rows |= {row["code"] for row in page["items"]}
        if page["next_cursor"] is None:
            return rows
        params["cursor"] = page["next_cursor"]


# ---- worked to its end


async def test_an_inspector_brings_a_denunciation_to_its_end(
    app: FastAPI, client: AsyncClient, as_: As, clock: Clock
) -> None:
    code, key = await a_denunciation(client)
    inspector = as_("inspector")
    await done(inspector, code, "set_track", {"track": "denunciation"})
    for who in CENTRE:
        for action in ("forward", "accept", "submit_answer", "approve_answer", "redirect"):
            problem(await act(as_(who), code, action, {}), 404)
    case = await done(inspector, code, "forward", {"lead": "thanh-tra"})
    due = {each["stage"]: each["due_at"] for each in case["limits"] if each["met_at"] is None}
    # Taken in within 7 working days: Tuesday 3 March, not counted, to Thursday 12; 30 days to resolve: 2 April.
    assert due == {"accept": "2026-03-12T17:00:00+07:00", "resolve": "2026-04-02T08:15:00+07:00"}
    assert case["promised_at"] is None
    case = await done(inspector, code, "accept")
    assert (case["status"], case["officer"]) == ("in_progress", "inspector@demo")
    until = "2026-04-20T17:00:00+07:00"
    await done(inspector, code, "request_extension", {"until": until, "reason": "Vụ việc phức tạp"})
    case = await done(inspector, code, "grant_extension")
    assert next(each["due_at"] for each in case["limits"] if each["stage"] == "resolve") == until
    assert case["promised_at"] is None  # what the law allows its authority is no promise of ours
    told = problem(await act(inspector, code, "submit_answer", {"reply": "Kết luận", "public_text": "x"}), 422)
    assert told["errors"][0]["where"] == "public_text"
    await done(inspector, code, "submit_answer", {"reply": "Kết luận: tố cáo đúng một phần."})
    problem(await act(inspector, code, "approve_answer", {"public_text": "x"}), 422)
    case = await done(inspector, code, "return_answer", {"reason": "Bổ sung căn cứ"})
    assert case["status"] == "in_progress"
    await done(inspector, code, "submit_answer", {"reply": "Kết luận: tố cáo đúng một phần, theo Điều 31."})
    await done(inspector, code, "approve_answer")
    await deliver(app)
    case = (await inspector.get(f"/api/v1/cases/{code}")).json()
    assert case["status"] == "replied"
    assert "Điều 31" in (await by_citizen(client, code, key, "")).json()["reply"]
    assert not {"publish", "unpublish", "merge", "split", "link_incident", "ask_support"} & set(case["actions"])
    for action in ("publish", "merge", "ask_support", "dispute", "direct"):
        problem(await act(inspector, code, action, {"public_text": "x", "text": "x", "into": code, "unit": LEAD}), 403)
    assert (await done(inspector, code, "close"))["status"] == "closed"
    await settle(app)
    assert await limit_differences(app) == []
    assert all(row.restricted for row in await journal_of(app, code) if row.kind.startswith(("case.", "limit.")))


async def test_the_database_itself_keeps_restricted_cases_unpublished(app: FastAPI, client: AsyncClient) -> None:
    code, _ = await a_denunciation(client)
    for change in ("public_text = 'x'", "published_at = now()"):
        with pytest.raises(IntegrityError, match="never_published"):
            async with state(app).database.transaction() as session:
                await session.execute(text(f"UPDATE cases SET {change} WHERE code = :code"), {"code": code})


async def test_a_text_for_the_public_is_forgotten_when_a_case_becomes_restricted(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)
    await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    await done(as_("officer"), code, "accept")
    await done(as_("officer"), code, "submit_answer", {"reply": "Đã vá", "public_text": "Đã vá ổ gà"})
    await done(as_("head"), code, "return_answer", {"reason": "Chưa đủ"})
    await done(as_("dispatcher"), code, "recall", {"reason": "Xem lại"})
    await done(as_("supervisor"), code, "set_track", {"track": "denunciation"})
    case = (await as_("inspector").get(f"/api/v1/cases/{code}")).json()
    assert (case["public_text"], case["public"], case["promised_at"]) == (None, False, None)


async def test_a_complaint_is_guided_with_the_record_of_its_transfer(
    app: FastAPI, client: AsyncClient, as_: As, browser: As
) -> None:
    code, key = await a_report(client, text="Tôi gửi đơn khiếu nại quyết định thu hồi đất", field=None)
    await done(as_("inspector"), code, "set_track", {"track": "complaint"})
    page = (await browser("inspector").get(f"/console/cases/{code}/redirect")).text
    assert page.count('name="document.number"') == 1
    record = {"number": "12/PC-TTr", "issued_on": "2026-01-05", "signer": "Chánh Thanh tra"}
    body = {"reply": "Đơn thuộc thẩm quyền của Chủ tịch UBND huyện.", "document": record}
    case = await done(as_("inspector"), code, "redirect", body)
    assert case["status"] == "redirected"
    assert case["document"] | {"file": None} == {
        **record,
        "file": None,
        "public": True,
        "file_public": False,
    }
    row = (await journal_of(app, code))[-1]
    assert (row.data["destination"], row.data["document"]["issued_on"]) == ("reception_board", "2026-01-05")
    assert "12/PC-TTr" not in str(row.data)
    told = (await by_citizen(client, code, key, "")).json()
    assert any("Ban Tiếp công dân" in each["text"] for each in told["timeline"] if each["text"])


async def test_a_case_never_goes_to_whom_it_is_about_and_comes_back_when_that_is_found_later(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    inspector = as_("inspector")
    code, _ = await a_denunciation(client)
    await done(inspector, code, "set_track", {"track": "denunciation", "accused": [LEAD]})
    told = problem(await act(inspector, code, "forward", {"lead": LEAD}), 422)
    assert [(each["where"], each["code"]) for each in told["errors"]] == [("lead", "accused")]
    told = problem(await act(inspector, code, "forward", {"lead": "thanh-tra", "supporting": ["so-yte"]}), 422)
    assert told["errors"][0]["where"] == "supporting"
    await done(inspector, code, "forward", {"lead": "thanh-tra"})
    case = await done(inspector, code, "set_track", {"track": "denunciation", "accused": ["thanh-tra"]})
    assert (case["status"], case["lead"]) == ("received", None)
    assert await limit_differences(app) == []


async def test_given_back_often_it_stays_with_those_who_may_know_of_it(client: AsyncClient, as_: As) -> None:
    inspector = as_("inspector")
    code, _ = await a_denunciation(client)
    for _ in range(3):
        await done(inspector, code, "forward", {"lead": "thanh-tra"})
        case = await done(inspector, code, "give_back", {"reason": "Không thuộc thẩm quyền"})
    assert (case["give_backs"], case["needs_supervisor"]) == (3, False)
    assert "forward" in case["actions"]


@pytest.mark.parametrize("status", ["received", "forwarded"])
async def test_a_later_message_that_denounces_hides_the_case_at_once(
    app: FastAPI, client: AsyncClient, as_: As, status: str
) -> None:
    code, key = await a_report(client)
    if status == "forwarded":
        await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
    said = await by_citizen(client, code, key, "messages", {"text": f"Tôi tố cáo trưởng phòng nhận tiền {NEEDLE}"})
    assert said.status_code == 201, said.text
    for who in ("officer", "head", "agent", "supervisor"):
        problem(await as_(who).get(f"/api/v1/cases/{code}"), 404)
    case = (await as_("inspector").get(f"/api/v1/cases/{code}")).json()
    assert (case["track"], case["track_confirmed"], case["promised_at"]) == ("denunciation", False, None)
    assert [(row.kind, row.restricted) for row in await journal_of(app, code)][-2:] == [
        ("case.add_message", True),
        ("case.withdrawn", False),
    ]
    await done(as_("inspector"), code, "set_track", {"track": "ordinary"})
    assert (await as_("agent").get(f"/api/v1/cases/{code}")).json()["status"] == status
    assert await limit_differences(app) == []


async def test_an_angry_word_in_a_later_message_is_only_suggested(client: AsyncClient, as_: As) -> None:
    code, key = await a_report(client)
    await by_citizen(client, code, key, "messages", {"text": "Không làm thì tôi gửi đơn khiếu nại"})
    case = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert (case["track"], case["suggested_track"]) == ("ordinary", "complaint")


# ---- crime tips


async def test_until_it_is_confirmed_inspectors_see_a_tip_but_not_its_sender_and_only_say_what_it_is(
    client: AsyncClient, as_: As
) -> None:
    code = await a_tip(client, as_, confirmed=False)
    case = (await as_("inspector").get(f"/api/v1/cases/{code}")).json()
    assert PHONE not in str(case)
    assert case["citizen"] == {"name": None, "phone": None, "email": None, "revealed": False}  # not even masked
    assert set(case["actions"]) == {"note", "assign_officer", "attach", "set_track", "redirect", "hand_over"}
    for action, body in (("forward", {"lead": "cong-an-tinh"}), ("reveal_identity", {"reason": "x"})):
        problem(await act(as_("inspector"), code, action, body), 403)
    problem(await as_("inspector").get(f"/api/v1/citizens/{code}"), 403)
    case = (await as_("police").get(f"/api/v1/cases/{code}")).json()
    assert PHONE not in str(case)


@pytest.mark.parametrize("who", ["inspector", "supervisor"])  # who confirms a tip at the centre
async def test_a_confirmed_tip_is_the_polices_alone(client: AsyncClient, as_: As, browser: As, who: str) -> None:
    said = "Tố giác bán ma túy" if who == "inspector" else "Xin hỏi về đường"
    code, _ = await a_report(client, text=f"{said} {NEEDLE}", field=None, contact=SENDER)
    await done(as_(who), code, "set_track", {"track": "crime_tip"})
    for other in (*CENTRE, "inspector"):
        for path in ("", "/timeline", "/explain"):
            problem(await as_(other).get(f"/api/v1/cases/{code}{path}"), 404)
        problem(await act(as_(other), code, "note", {"text": "x"}), 404)
        for params in ({}, {"restricted": "true"}, {"track": "crime_tip"}, {"q": code}, {"q": NEEDLE}, {"q": PHONE}):
            assert code not in await listed(as_(other), **params), (other, params)
        assert f"/console/cases/{code}" not in (await browser(other).get(f"/console?q={code}")).text
        assert (await browser(other).get(f"/console/cases/{code}")).status_code == 404
    assert code in await listed(as_("police"))
    assert code in (await browser("police").get("/console")).text


async def test_police_bring_a_tip_to_its_end_and_see_its_sender_for_a_reason_only(
    app: FastAPI, client: AsyncClient, as_: As, browser: As
) -> None:
    code = await a_tip(client, as_)
    police = as_("police")
    case = await done(police, code, "forward", {"lead": "cong-an-tinh"})
    assert PHONE not in str(case)
    page = (await browser("police").get(f"/console/cases/{code}")).text
    assert "Người báo tin được giấu." in page
    assert PHONE[-3:] not in page
    await done(police, code, "accept")
    case = await done(police, code, "reveal_identity", {"reason": "Cần gặp người báo tin"})
    assert case["citizen"]["phone"] == f"+84{PHONE[1:]}"
    assert "reveal_identity" not in case["actions"]
    await done(police, code, "submit_answer", {"reply": "Đã tiếp nhận, đang xác minh."})
    await done(police, code, "approve_answer")
    await deliver(app)
    assert (await police.get(f"/api/v1/cases/{code}")).json()["status"] == "replied"


async def test_police_know_of_nothing_else(client: AsyncClient, as_: As, browser: As) -> None:
    ordinary, _ = await a_report(client)
    denunciation, _ = await a_denunciation(client)
    tip = await a_tip(client, as_)
    for code in (ordinary, denunciation):
        problem(await as_("police").get(f"/api/v1/cases/{code}"), 404)
    found = await listed(as_("police"))
    assert tip in found
    assert not {ordinary, denunciation} & found
    for code in (ordinary, denunciation):
        assert code not in (await browser("police").get("/console?view=tips_all")).text


async def test_a_case_taken_from_the_tips_hides_its_sender_again(client: AsyncClient, as_: As) -> None:
    code = await a_tip(client, as_)
    await done(as_("police"), code, "reveal_identity", {"reason": "Cần gặp"})
    await done(as_("police"), code, "set_track", {"track": "ordinary"})
    case = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert case["citizen"]["revealed"] is False
    assert PHONE not in str(case["citizen"])


async def test_who_sent_a_tip_is_not_told_by_their_other_cases(client: AsyncClient, as_: As, browser: As) -> None:
    tip = await a_tip(client, as_, confirmed=False)
    denunciation, _ = await a_denunciation(client)
    page = (await browser("inspector").get(f"/console/cases/{denunciation}")).text
    assert tip not in page
    person = await as_("inspector").get(f"/api/v1/citizens/{denunciation}")
    assert person.status_code == 200
    assert tip not in person.text
    body = {"with": tip, "note": "một người"}
    problem(await as_("inspector").post(f"/api/v1/citizens/{denunciation}/merge", json=body), 422)


async def test_screens_of_inspectors_let_go_of_a_tip_that_is_confirmed(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    await settle(app)
    async with state(app).database.transaction() as session:
        before = await last_position(session)
    code = await a_tip(client, as_)
    await settle(app)
    inspector = Actor("staff", uuid7(state(app).clock()), roles=frozenset({Role.INSPECTOR}))
    police = Actor("staff", uuid7(state(app).clock()), roles=frozenset({Role.POLICE}))
    agent = Actor("staff", roles=frozenset({Role.AGENT}))
    async with state(app).database.transaction() as session:
        heard = await heard_by(session, before, await last_position(session), [inspector, police, agent])
    assert [(each.code, each.left) for each in heard[inspector]] == [(code, True)]
    assert {(each.code, each.left) for each in heard[police]} == {(code, False)}
    assert heard[agent] == []


async def test_no_tip_is_confirmed_while_no_account_of_the_police_could_receive_it(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    code = await a_tip(client, as_, confirmed=False)
    change = text("UPDATE staff SET active = :active WHERE email = 'police@demo'")
    async with state(app).database.transaction() as session:
        await session.execute(change, {"active": False})
    try:
        told = problem(await act(as_("inspector"), code, "set_track", {"track": "crime_tip"}), 409)
        assert "công an" in told["detail"]
        assert (await done(as_("inspector"), code, "redirect", {"reply": "Đã chuyển"}))["status"] == "redirected"
    finally:
        async with state(app).database.transaction() as session:
            await session.execute(change, {"active": True})


async def test_naming_a_field_of_the_police_confirms_nothing(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client)
    await done(as_("supervisor"), code, "set_track", {"track": "ordinary"})
    await done(as_("agent"), code, "classify", {"field": "security.drug"})
    case = (await as_("inspector").get(f"/api/v1/cases/{code}")).json()
    assert (case["track"], case["track_confirmed"]) == ("crime_tip", False)


# ---- people a case is about


class Accused:
    """Somebody of many roles, their programs, pages and screen."""

    def __init__(self, app: FastAPI, id: UUID, bearer: str, cookie: str) -> None:
        """With tokens of both kinds."""
        self.id = id
        self.actor = Actor("staff", id, roles=roles_from(ROLES))
        base: dict[str, Any] = {"transport": ASGITransport(app), "base_url": "http://1022.test"}
        self.api = AsyncClient(headers={"Authorization": f"Bearer {bearer}"}, **base)
        self.pages = AsyncClient(cookies={COOKIE: cookie}, **base)


ROLES = ("inspector", "police", "leader", "admin", "supervisor")
EMAIL = "bi-to-cao@demo"


@pytest.fixture(scope="module")
async def accused(app: FastAPI) -> AsyncIterator[Accused]:
    at = state(app).clock()
    async with state(app).database.transaction() as session:
        person = Staff(id=uuid7(at), email=EMAIL, name="Lê Bị Cáo", password_hash="-", created_at=at)
        session.add(person)
        await session.flush()
        session.add_all(RoleGrant(staff_id=person.id, role=role, granted_at=at) for role in ROLES)
        tokens = [await auth.sign_in(session, person.id, kind, NEVER_ENDS) for kind in ("bearer", "cookie")]
    them = Accused(app, person.id, *tokens)
    yield them
    await them.api.aclose()
    await them.pages.aclose()


@pytest.mark.parametrize("track", ["denunciation", "complaint", "crime_tip"])
async def test_whoever_a_case_is_about_never_knows_of_it_whatever_their_role(
    app: FastAPI, client: AsyncClient, as_: As, accused: Accused, track: str
) -> None:
    code, _ = await a_denunciation(client)
    assert (await accused.api.get(f"/api/v1/cases/{code}")).status_code == 200  # before it is said
    await done(accused.api, code, "assign_officer", {"officer": EMAIL})
    await settle(app)
    async with state(app).database.transaction() as session:
        before = await last_position(session)
    case = await done(as_("inspector"), code, "set_track", {"track": track, "accused_staff": [EMAIL.upper()]})
    assert (case["accused_staff"], case["officer"]) == ([EMAIL], None)
    worker = as_("police" if track == "crime_tip" else "inspector")
    await done(worker, code, "forward", {"lead": "thanh-tra"})
    await settle(app)
    await follow(app)
    for path in ("", "/timeline", "/explain"):
        problem(await accused.api.get(f"/api/v1/cases/{code}{path}"), 404)
    problem(await accused.api.get(f"/api/v1/citizens/{code}"), 404)
    for action in ("note", "set_track", "redirect", "assign_officer", "submit_answer"):
        problem(await act(accused.api, code, action, {"text": "x"}), 404)
    for params in ({}, {"q": code}, {"q": NEEDLE}, {"q": PHONE}, {"restricted": "true"}, {"track": track}):
        assert code not in await listed(accused.api, **params), params
    for path in ("looks?limit=200", f"looks?case={code}", "outbox", "calls", "call-tasks"):
        assert code not in (await accused.api.get(f"/api/v1/{path}")).text, path
    pages = (
        "", "?view=restricted_all", "?view=tips_all", f"?q={code}", f"/rows/{code}?view=restricted_all",
        f"/peek?into={code}", "/notices", "/looks", "/outbox", "/views",
    )  # fmt: skip
    for page in pages:
        shown = (await accused.pages.get(f"/console{page}")).text
        assert f"/console/cases/{code}" not in shown, page
        assert NEEDLE not in shown, page
    assert (await accused.pages.get(f"/console/cases/{code}")).status_code == 404
    problem(await act(worker, code, "assign_officer", {"officer": EMAIL}), 422)
    async with state(app).database.transaction() as session:
        me = kind_of(accused.actor)
        heard = (await heard_by(session, before, await last_position(session), [me]))[me]
        told = await session.execute(
            text("SELECT count(*) FROM notices JOIN cases ON cases.id = case_id WHERE code = :code AND staff_id = :me"),
            {"code": code, "me": accused.id},
        )
    assert {each.code for each in heard if not each.left} == set()
    assert told.scalar_one() == 0
    back = await done(worker, code, "set_track", {"track": "ordinary"})
    assert back["accused_staff"] == []


async def follow(app: FastAPI) -> None:
    """Tell what the journal gives to tell."""
    async with state(app).database.transaction() as session:
        routing = await state(app).routing.get(session)
        while await notices.follow(session, routing, state(app).clock()):
            pass


async def test_who_is_told_leaves_out_whom_it_is_about(
    app: FastAPI, client: AsyncClient, as_: As, accused: Accused
) -> None:
    """Two inspectors: of the denunciation of the one only the other hears."""
    code, _ = await a_denunciation(client)
    await done(as_("inspector"), code, "set_track", {"track": "denunciation", "accused_staff": [EMAIL]})
    await done(as_("inspector"), code, "forward", {"lead": "thanh-tra"})
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        await session.execute(text("UPDATE limits SET next_at = now() WHERE case_id = :id"), {"id": case.id})
    state(app).clock = lambda: datetime.now().astimezone() + timedelta(days=60)  # everything is late
    try:
        await settle(app)
        await follow(app)
    finally:
        state(app).clock = lambda: datetime.now().astimezone()
    async with state(app).database.transaction() as session:
        rows = await session.execute(
            text("SELECT DISTINCT s.email FROM notices n JOIN staff s ON s.id = n.staff_id WHERE n.case_id = :id"),
            {"id": case.id},
        )
    assert {email for (email,) in rows} == {"inspector@demo"}


async def test_what_has_to_be_decided_on_a_restricted_case_is_told_to_the_others_too(
    app: FastAPI, client: AsyncClient, as_: As, accused: Accused
) -> None:
    """The officer, who asks and writes, is the one who is told of all else; of this the other inspector hears."""
    code, _ = await a_denunciation(client)
    inspector = as_("inspector")
    await done(inspector, code, "set_track", {"track": "denunciation"})
    await done(inspector, code, "forward", {"lead": "thanh-tra"})
    case = await done(inspector, code, "accept")
    due = next(datetime.fromisoformat(each["due_at"]) for each in case["limits"] if each["stage"] == "resolve")
    later = (due + timedelta(days=2)).isoformat()
    await done(inspector, code, "request_extension", {"until": later, "reason": "Phức tạp"})
    await done(inspector, code, "submit_answer", {"reply": "Kết luận"})
    await settle(app)
    await follow(app)
    async with state(app).database.transaction() as session:
        case_id = (await case_of(session, code)).id
        rows = await session.execute(
            text("SELECT kind FROM notices WHERE case_id = :id AND staff_id = :me"), {"id": case_id, "me": accused.id}
        )
    assert {"extension_asked", "to_approve"} <= {kind for (kind,) in rows}


async def test_people_are_named_by_their_accounts_and_somebody_has_to_be_left(
    client: AsyncClient, as_: As, accused: Accused, browser: As
) -> None:
    code, _ = await a_denunciation(client)
    unknown = {"track": "denunciation", "accused_staff": ["khong-co@demo"]}
    told = problem(await act(as_("inspector"), code, "set_track", unknown), 422)
    assert [(each["where"], each["code"]) for each in told["errors"]] == [("accused_staff", "unknown")]
    everybody = {"track": "denunciation", "accused_staff": ["inspector@demo", EMAIL]}
    told = problem(await act(as_("inspector"), code, "set_track", everybody), 422)
    assert [(each["where"], each["code"]) for each in told["errors"]] == [("accused_staff", "nobody_left")]
    form = (await browser("inspector").get(f"/console/cases/{code}/set_track")).text
    assert f'name="accused_staff" value="{EMAIL}"' in form
    sent = {"track": "denunciation", "accused_staff": EMAIL, "version": "1"}
    answer = await browser("inspector").post(f"/console/cases/{code}/set_track", data=sent)
    assert answer.status_code in (200, 303), answer.text
    assert (await as_("inspector").get(f"/api/v1/cases/{code}")).json()["accused_staff"] == [EMAIL]
    assert "Lê Bị Cáo" in (await browser("inspector").get(f"/console/cases/{code}")).text
    data = [row.data for row in await journal_of(app_of(as_), code)][-1]
    assert EMAIL not in str(data)
    assert data["accused_staff"] == [str(accused.id)]


def app_of(as_: As) -> FastAPI:
    transport = as_("inspector")._transport
    assert isinstance(transport, ASGITransport)
    app = transport.app
    assert isinstance(app, FastAPI)
    return app


# ---- queues of the tracks that are nobody's secret


async def test_the_tracks_with_limits_of_their_own_have_queues_where_they_are_worked_on(
    client: AsyncClient, as_: As, browser: As, clock: Clock
) -> None:
    for track, name in (("admin_regulation", "Quy định hành chính"), ("national_portal", "Cổng dịch vụ công")):
        before = (await browser("officer").get("/console")).text
        assert f"view={track}" not in before  # a unit without such cases is not shown an empty queue
        code, _ = await a_report(client)
        await done(as_("supervisor"), code, "set_track", {"track": track})
        case = await done(as_("dispatcher"), code, "forward", {"lead": LEAD})
        due = next(each["due_at"] for each in case["limits"] if each["stage"] == "resolve")
        # From Tuesday 3 March, 08:15: 15 days for a regulation, 20 for what came by the national portal.
        assert due == {
            "admin_regulation": "2026-03-18T08:15:00+07:00", "national_portal": "2026-03-23T08:15:00+07:00"
        }[track]  # fmt: skip
        for who in ("dispatcher", "supervisor", "officer", "head"):
            page = (await browser(who).get(f"/console?view={track}")).text
            assert code in page, who
            assert name in page, who
        assert f"view={track}" in (await browser("officer").get("/console")).text
        assert f"view={track}" not in (await browser("officer2").get("/console")).text
        assert code not in (await browser("officer2").get(f"/console?view={track}")).text

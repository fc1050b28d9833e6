"""The person behind a case on its page, in the API and on the tracking page: shown, decided, and hidden."""

import re
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import select

from cases.models import Case, Citizen, Identity
from core.ids import uuid7
from tests.factories import As, Clock, a_report, by_citizen, case_of, done, journal_of, state

PARTIAL = {"HX-Request": "true"}


class Two:
    """Two reporters who may be one: the first stated the mailbox by which the second is known."""

    def __init__(self) -> None:
        mark = uuid4().int % 10**7
        self.phone = f"+8491{mark:07d}"
        self.mail = f"lan{mark}@example.vn"
        self.first = self.second = ""


@pytest.fixture
async def two(client: AsyncClient) -> Two:
    made = Two()
    made.second, _ = await a_report(client, text="Cống nghẹt ở hẻm 7", contact={"email": made.mail})
    made.first, _ = await a_report(client, contact={"name": "Lan", "phone": made.phone, "email": made.mail})
    return made


async def test_the_page_shows_who_it_may_be_and_one_press_merges_and_another_takes_it_back(
    browser: As, as_: As, two: Two, app: FastAPI
) -> None:
    agent, here = browser("agent"), f"/console/cases/{two.first}"
    page = (await agent.get(here)).text
    assert "Có thể cùng một người" in page
    assert f"Người này để lại hộp thư l***@example.vn ở {two.first}, là của người kia." in page
    assert two.phone not in page
    assert two.mail not in page
    merged = await agent.post(f"{here}/person/same", data={"with": two.second}, headers=PARTIAL)
    assert merged.status_code == 200
    assert "Có thể cùng một người" not in merged.text
    assert "Cùng hộp thư" in merged.text
    assert "Cống nghẹt ở hẻm 7" in merged.text  # the other case of the same person
    id = re.search(r'name="merge" value="([0-9a-f-]{36})"', merged.text)
    assert id
    again = await agent.post(f"{here}/person/same", data={"with": two.second}, headers=PARTIAL)
    assert (again.status_code, "đã được gộp" in again.text) == (409, True)
    undone = await agent.post(f"{here}/person/undo", data={"merge": id[1]}, headers=PARTIAL)
    assert "Có thể cùng một người" in undone.text
    kinds = [row.kind for row in await journal_of(app, two.first)]
    assert kinds[-2:] == ["person.merged", "person.unmerged"]
    page = (await agent.get(here)).text
    assert "Hoàn tác gộp người gửi" in page  # in the case's history, in words


async def test_without_a_script_the_page_comes_back_and_who_is_another_is_not_offered_again(
    browser: As, two: Two
) -> None:
    agent, here = browser("dispatcher"), f"/console/cases/{two.first}"
    answer = await agent.post(f"{here}/person/apart", data={"with": two.second})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{here}#case-person")
    assert "Có thể cùng một người" not in (await agent.get(here)).text
    assert "Có thể cùng một người" not in (await agent.get(f"/console/cases/{two.second}")).text


@pytest.mark.parametrize("who", ["officer", "head", "leader", "admin", "inspector"])
async def test_whoever_may_not_know_people_sees_no_panel_and_decides_nothing(
    browser: As, as_: As, two: Two, who: str
) -> None:
    await done(as_("dispatcher"), two.first, "forward", {"lead": "so-xd"})
    page = await browser(who).get(f"/console/cases/{two.first}")
    assert page.status_code == 200
    assert 'id="case-person"' not in page.text
    answer = await browser(who).post(f"/console/cases/{two.first}/person/same", data={"with": two.second})
    assert answer.status_code == 403
    assert (await as_(who).get(f"/api/v1/citizens/{two.first}")).status_code == 403
    body = {"with": two.second}
    assert (await as_(who).post(f"/api/v1/citizens/{two.first}/merge", json=body)).status_code == 403


async def test_the_same_in_the_api(as_: As, two: Two) -> None:
    agent, path = as_("agent"), f"/api/v1/citizens/{two.first}"
    person = (await agent.get(path)).json()
    assert [(each["channel"], each["handle"]) for each in person["identities"]] == [("sms", "*" * 9 + two.phone[-3:])]
    (offered,) = (await agent.get(f"{path}/suggestions")).json()["items"]
    assert offered == person["suggestions"][0]
    assert (offered["case"], offered["reasons"][0]["signal"]) == (two.second, "stated_email")
    merged = (await agent.post(f"{path}/merge", json={"with": two.second})).json()
    assert (merged["suggestions"], [each["why"] for each in merged["merges"]]) == ([], [["stated_email"]])
    assert {each["channel"] for each in merged["identities"]} == {"sms", "email"}
    assert (await agent.post(f"{path}/apart", json={"with": two.second})).status_code == 409
    undone = await agent.post(f"{path}/undo", json={"merge": merged["merges"][0]["id"]})
    assert (undone.json()["merges"], len(undone.json()["suggestions"])) == ([], 1)
    assert (await agent.post(f"{path}/undo", json={"merge": merged["merges"][0]["id"]})).status_code == 404


async def test_two_who_are_not_suggested_are_merged_by_what_somebody_was_told(as_: As, client: AsyncClient) -> None:
    first, _ = await a_report(client, contact={"phone": f"+8492{uuid4().int % 10**7:07d}"})
    second, _ = await a_report(client, contact={"phone": f"+8493{uuid4().int % 10**7:07d}"})
    path = f"/api/v1/citizens/{first}/merge"
    assert (await as_("agent").post(path, json={"with": second})).status_code == 422
    told = await as_("agent").post(path, json={"with": second, "note": "Chị Lan nói đây là số thứ hai của chị"})
    assert told.json()["merges"][0]["note"] == "Chị Lan nói đây là số thứ hai của chị"
    nobody, _ = await a_report(client)
    assert (await as_("agent").post(path, json={"with": nobody, "note": "x"})).status_code == 422
    assert (await as_("agent").post(path, json={"with": "BP-26-9999990", "note": "x"})).status_code == 422
    empty = await as_("agent").get(f"/api/v1/citizens/{nobody}")
    assert empty.json()["identities"] == []
    assert (await as_("agent").post(f"/api/v1/citizens/{nobody}/preferred", json={"channel": "sms"})).status_code == 409


async def test_a_restricted_case_is_no_way_to_anybody(as_: As, browser: As, two: Two) -> None:
    await done(as_("agent"), two.second, "set_track", {"track": "denunciation"})
    page = (await browser("agent").get(f"/console/cases/{two.first}")).text
    assert "Có thể cùng một người" not in page
    assert two.second not in page
    body = {"with": two.second, "note": "x"}
    refused = await as_("agent").post(f"/api/v1/citizens/{two.first}/merge", json=body)
    unknown = await as_("agent").post(
        f"/api/v1/citizens/{two.first}/merge", json={"with": "BP-26-9999990", "note": "x"}
    )
    assert refused.status_code == 422
    assert refused.json() == unknown.json() | {"instance": refused.json().get("instance")} or (
        refused.json()["errors"] == unknown.json()["errors"]
    )
    assert (await as_("agent").get(f"/api/v1/citizens/{two.second}")).status_code == 404
    inspector = (await as_("inspector").get(f"/api/v1/citizens/{two.second}")).json()
    assert [each["case"] for each in inspector["suggestions"]] == [two.first]
    assert 'id="case-person"' in (await browser("inspector").get(f"/console/cases/{two.second}")).text


async def test_what_they_agree_to_is_kept_with_who_wrote_it_down(as_: As, two: Two, app: FastAPI) -> None:
    path = f"/api/v1/citizens/{two.first}/consents"
    for given in (True, False):
        body = {"channel": "voice", "purpose": "care_calls", "given": given}
        answer = await as_("agent").post(path, json=body)
        (now,) = answer.json()["consents"]
        assert (now["channel"], now["purpose"], now["given"], now["source"]) == ("voice", "care_calls", given, "staff")
    for wrong in ({"channel": "fax"}, {"purpose": "advertising"}):
        body = {"channel": "voice", "purpose": "care_calls", "given": True, **wrong}
        assert (await as_("agent").post(path, json=body)).status_code == 422
    assert [row.kind for row in await journal_of(app, two.first)][-2:] == ["person.consented", "person.withdrew"]


async def test_an_agent_notes_the_channel_they_prefer(browser: As, as_: As, two: Two) -> None:
    here = f"/console/cases/{two.first}"
    answer = await browser("agent").post(f"{here}/person/preferred", data={"channel": "email"}, headers=PARTIAL)
    assert '<option value="email" selected>' in answer.text
    assert (await as_("agent").get(f"/api/v1/citizens/{two.first}")).json()["preferred_channel"] == "email"
    wrong = await browser("agent").post(f"{here}/person/preferred", data={"channel": "voice"}, headers=PARTIAL)
    assert wrong.status_code == 422
    assert (await browser("agent").post(f"{here}/person/dance", data={})).status_code == 404
    cleared = await browser("agent").post(f"{here}/person/preferred", data={"channel": ""}, headers=PARTIAL)
    assert '<option value="email" selected>' not in cleared.text


async def test_an_agent_notes_what_they_agree_to_and_what_they_take_back(browser: As, as_: As, two: Two) -> None:
    here = f"/console/cases/{two.first}"
    for given, said in (("yes", "đồng ý"), ("no", "đã rút")):
        body = {"purpose": "surveys", "channel": "sms", "given": given}
        answer = await browser("agent").post(f"{here}/person/consent", data=body, headers=PARTIAL)
        assert answer.status_code == 200
        assert f"Khảo sát · Tin nhắn SMS: {said}" in answer.text
        now = (await as_("agent").get(f"/api/v1/citizens/{two.first}")).json()["consents"]
        assert [each["given"] for each in now if each["channel"] == "sms"] == [given == "yes"]
    wrong = {"purpose": "advertising", "channel": "sms", "given": "yes"}
    assert (await browser("agent").post(f"{here}/person/consent", data=wrong, headers=PARTIAL)).status_code == 422
    denied = {"purpose": "surveys", "channel": "sms", "given": "yes"}
    assert (await browser("officer").post(f"{here}/person/consent", data=denied)).status_code in (403, 404)


async def test_the_citizen_chooses_on_the_tracking_page_among_what_they_stated(
    app: FastAPI, client: AsyncClient, as_: As
) -> None:
    phone = f"+8498{uuid4().int % 10**7:07d}"
    code, key = await a_report(client, contact={"phone": phone})
    client.cookies.set(f"report-{code}", key)
    page = (await client.get(f"/track/{code}")).text
    assert "Báo trả lời cho tôi qua" in page
    assert '<option value="sms">' in page
    assert '<option value="email">' not in page  # this report states no mailbox
    answer = await client.post(f"/track/{code}/preferred", data={"channel": "sms"})
    assert answer.status_code == 303
    assert '<option value="sms" selected>' in (await client.get(f"/track/{code}")).text
    assert (await client.post(f"/track/{code}/preferred", data={"channel": "email"})).status_code == 422
    assert (await as_("agent").get(f"/api/v1/citizens/{code}")).json()["preferred_channel"] == "sms"
    assert (await by_citizen(client, code, key, "preferred", {"channel": None})).status_code == 200
    assert (await as_("agent").get(f"/api/v1/citizens/{code}")).json()["preferred_channel"] is None
    assert (await by_citizen(client, code, "WRONG1", "preferred", {"channel": "sms"})).status_code == 404
    client.cookies.clear()
    assert (await client.post(f"/track/{code}/preferred", data={"channel": "sms"})).status_code == 404


async def test_whoever_reports_anonymously_is_offered_nothing(client: AsyncClient) -> None:
    code, key = await a_report(client)
    client.cookies.set(f"report-{code}", key)
    assert "Báo trả lời cho tôi qua" not in (await client.get(f"/track/{code}")).text
    client.cookies.clear()


@pytest.mark.parametrize(
    ("scheme", "handle", "shown"),
    [
        ("zalo", "3456789012345678901", "***8901"),
        ("facebook", "100012345", "***2345"),
        ("telegram", "77", "***"),  # too short to show any of it
    ],
)
async def test_a_contact_that_is_only_an_id_of_a_channel_is_a_contact(
    app: FastAPI, client: AsyncClient, browser: As, as_: As, clock: Clock, scheme: str, handle: str, shown: str
) -> None:
    code, _ = await a_report(client)
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        citizen = Citizen(id=uuid7(clock()), created_at=clock())
        session.add(citizen)
        await session.flush()
        session.add(
            Identity(
                id=uuid7(clock()),
                citizen_id=citizen.id,
                scheme=scheme,
                handle=handle,
                seen_at=clock(),
                stopped_at=clock() if scheme == "zalo" else None,
                unreachable_at=clock() if scheme == "facebook" else None,
            )
        )
        case.contact, case.channel, case.citizen_id = {scheme: handle}, scheme, citizen.id
        session.add(case)
    page = (await browser("agent").get(f"/console/cases/{code}")).text
    assert "Không để lại thông tin liên hệ." not in page
    assert f"<dd>{shown}</dd>" in page
    assert ("không nhận tin" in page, "tin không đến" in page) == (scheme == "zalo", scheme == "facebook")
    await done(as_("agent"), code, "reveal_identity", {"reason": "Gọi lại cho người dân"})
    assert f"<dd>{handle}</dd>" in (await browser("agent").get(f"/console/cases/{code}")).text
    async with state(app).database.transaction() as session:
        assert (await session.exec(select(Case.contact).where(Case.code == code))).one() == {scheme: handle}

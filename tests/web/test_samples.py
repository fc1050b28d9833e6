"""The forty sample reports, sent as citizens send them: where they are, on which track, and what stays hidden."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from core.text import fold
from routing.queries import Routing, load
from routing.tracks import RESTRICTED_TRACKS
from tests.factories import As, a_report, state

SAMPLES = [
    json.loads(line) for line in (Path(__file__).parents[1] / "data" / "sample-reports.jsonl").read_text().splitlines()
]
TRACKS = {"complaint": "complaint", "denunciation": "denunciation"}
KINDS = ("phường ", "xã ", "thị trấn ", "tp ", "huyện ", "thị xã ", "thành phố ")


@pytest.fixture(scope="module")
async def routing(app: FastAPI) -> Routing:
    """Areas by code."""
    async with state(app).database.transaction() as session:
        return await load(session)


@pytest.fixture(scope="module")
async def cases(client: AsyncClient, as_: As) -> dict[str, dict[str, Any]]:
    """Each sample as the inspector, who sees every track, finds it."""
    made = {}
    for sample in SAMPLES:
        code, _ = await a_report(client, text=sample["text"], field=None)
        answer = await as_("inspector").get(f"/api/v1/cases/{code}")
        assert answer.status_code == 200, answer.text
        made[sample["id"]] = answer.json()
    return made


def plain_name(name: str) -> str:
    """The bare name of a unit, for comparison with the samples."""
    folded = fold(name)
    for kind in KINDS:
        folded = folded.removeprefix(fold(kind) + " ")
    return folded.strip()


def wanted(sample: dict[str, Any]) -> list[str]:
    """Names the sample's note gives for the place, the nearest first: "Xã Tiến Hưng, Đồng Xoài"."""
    return [plain_name(part) for part in str(sample["ward_or_district"] or "").split(",") if part.strip()]


def names_a_unit(sample: dict[str, Any]) -> bool:
    """Whether the text itself says one of them."""
    said = fold(sample["text"])
    return any(name and name in said for name in wanted(sample))


def around(code: str, routing: Routing) -> set[str]:
    """Names that are right for an area: its own, those it lies in, those it became and those that became it."""
    names, waiting, seen = set(), [code], set()
    while waiting:
        found = routing.places.get(waiting.pop())
        if found is None or found.code in seen:
            continue
        seen.add(found.code)
        names.add(plain_name(found.name))
        waiting += [*found.successors, *([found.parent] if found.parent else [])]
    return names | {
        plain_name(place.name)
        for place in (routing.places.get(other) for other in routing.directory.areas)
        if place is not None and code in place.successors
    }


def test_the_samples_are_the_forty_we_know() -> None:
    assert len(SAMPLES) == 40
    assert sum(map(names_a_unit, SAMPLES)) >= 20


def test_nine_in_ten_that_name_a_unit_get_it_right_or_among_the_candidates(
    cases: dict[str, dict[str, Any]], routing: Routing
) -> None:
    named = [sample for sample in SAMPLES if names_a_unit(sample)]
    missed = []
    for sample in named:
        case = cases[sample["id"]]
        offered = [case["area"]["code"]] if case["area"] else [each["code"] for each in case["area_candidates"]]
        if not any(set(wanted(sample)) & around(code, routing) for code in offered):
            missed.append((sample["id"], sample["ward_or_district"], offered))
    assert len(missed) <= len(named) // 10, missed


def test_an_area_that_is_beyond_doubt_is_never_a_wrong_one(cases: dict[str, dict[str, Any]], routing: Routing) -> None:
    definite = [(sample, cases[sample["id"]]["area"]) for sample in SAMPLES if cases[sample["id"]]["area"]]
    assert definite
    wrong = [
        (sample["id"], sample["ward_or_district"], area["name"])
        for sample, area in definite
        if not set(wanted(sample)) & around(area["code"], routing)
    ]
    assert wrong == []


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["id"] for sample in SAMPLES])
def test_each_is_on_its_own_track(cases: dict[str, dict[str, Any]], sample: dict[str, Any]) -> None:
    case = cases[sample["id"]]
    if sample["kind"] in TRACKS:
        assert case["track"] == TRACKS[sample["kind"]]
    else:
        assert case["track"] not in ("complaint", "denunciation"), case["track"]


async def test_complaint_and_denunciation_are_unseen_by_ordinary_staff(
    as_: As, cases: dict[str, dict[str, Any]]
) -> None:
    hidden = {case["code"] for case in cases.values() if case["track"] in RESTRICTED_TRACKS}
    assert {cases["R039"]["code"], cases["R040"]["code"]} <= hidden
    assert len(hidden) <= 3
    for who in ("agent", "dispatcher", "supervisor", "leader", "admin"):
        seen = {row["code"] for row in (await as_(who).get("/api/v1/cases", params={"limit": 200})).json()["items"]}
        assert seen >= {case["code"] for case in cases.values()} - hidden
        assert not seen & hidden
        for code in hidden:
            assert (await as_(who).get(f"/api/v1/cases/{code}")).status_code == 404


# A market, a border gate, the corner of the province: whoever stands there named no unit.
@pytest.mark.parametrize(("lat", "lng"), [(11.535, 106.883), (11.83, 106.6), (11.75, 107.0)])
async def test_coordinates_without_a_name_give_candidates_and_no_verdict(
    client: AsyncClient, as_: As, routing: Routing, lat: float, lng: float
) -> None:
    code, _ = await a_report(client, text="Ổ gà to ngay chỗ tôi đứng", location={"lat": lat, "lng": lng})
    case = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert case["area"] is None
    assert case["area_candidates"]
    scores = [each["score"] for each in case["area_candidates"]]
    assert scores == sorted(scores, reverse=True)
    for each in case["area_candidates"]:
        place = routing.places.get(each["code"])
        assert place is not None
        assert place.valid(datetime.now(UTC).date())


async def test_a_point_far_outside_the_province_gives_no_area(client: AsyncClient, as_: As) -> None:
    code, _ = await a_report(client, text="Ổ gà to ngay chỗ tôi đứng", location={"lat": 48.85, "lng": 2.35})
    case = (await as_("agent").get(f"/api/v1/cases/{code}")).json()
    assert case["area"] is None
    assert case["area_candidates"] == []

"""Reports that come at once are written together, and each is answered for itself."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import text

from cases.opening import OPEN_CASES
from cases.together import MOST, Together
from tests.factories import state

URL = "/api/v1/reports"
CROWD = 100


def report(number: int, **more: Any) -> dict[str, Any]:
    return {"text": f"Hố ga số {number} trước chợ mất nắp", "field": "infra.road", **more}


async def send(client: AsyncClient, body: dict[str, Any], key: str | None = None) -> Response:
    return await client.post(URL, json=body, headers={"Idempotency-Key": key or uuid4().hex})


async def count(app: FastAPI, what: str, **given: Any) -> int:
    async with state(app).database.transaction() as session:
        return int(await session.scalar(text(f"SELECT count(*) FROM {what}"), given) or 0)


async def test_a_crowd_is_written_in_a_few_commits_each_once(app: FastAPI, client: AsyncClient) -> None:
    answers = await asyncio.gather(*(send(client, report(number)) for number in range(CROWD)))
    assert {answer.status_code for answer in answers} == {201}
    codes = [answer.json()["code"] for answer in answers]
    assert len(set(codes)) == CROWD
    async with state(app).database.transaction() as session:
        written = (
            await session.execute(
                text(
                    "SELECT c.code, c.text, j.txid FROM cases c JOIN journal j ON j.case_id = c.id "
                    "WHERE c.code = ANY(:codes) AND j.kind = 'case.open'"
                ),
                {"codes": codes},
            )
        ).all()
    assert {row.code: row.text for row in written} == {
        code: report(number)["text"] for number, code in enumerate(codes)
    }
    assert len(written) == CROWD
    assert len({row.txid for row in written}) < CROWD / 2  # as they come: some alone, some by tens


async def test_twins_and_one_person_in_one_group(app: FastAPI, client: AsyncClient) -> None:
    phone = {"contact": {"phone": "0987 000 111"}}
    twins = [send(client, report(1, **phone), "twin") for _ in range(8)]
    others = [send(client, report(number, **phone)) for number in range(2, 10)]
    answers = await asyncio.gather(*twins, *others)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers[:8]}) == 1
    assert len({answer.json()["code"] for answer in answers}) == 9
    assert await count(app, "identities WHERE handle = '+84987000111'") == 1
    assert await count(app, "received WHERE external_id = 'twin'") == 1


EVERYTHING_WRITTEN = """
    SELECT r.raw, r.answer - 'code', to_jsonb(c) - '{id,code,key_of,citizen_id}'::text[],
        c.citizen_id IS NULL, ARRAY(SELECT scheme || handle FROM identities WHERE citizen_id = c.citizen_id ORDER BY 1),
        to_jsonb(e) - '{id,case_id}'::text[], to_jsonb(l) - '{id,case_id}'::text[],
        to_jsonb(o) - '{id,subject_id,entry_id}'::text[], j.kind, j.actor_kind, j.occurred_at, j.restricted,
        j.data - 'code' #- '{limits,0,id}'
    FROM cases c JOIN received r ON r.subject_id = c.id JOIN journal j ON j.case_id = c.id
    JOIN entries e ON e.case_id = c.id JOIN limits l ON l.case_id = c.id LEFT JOIN outgoing o ON o.subject_id = c.id
    WHERE c.code = :code
"""


@pytest.mark.usefixtures("clock")
async def test_a_group_writes_what_one_by_one_would(app: FastAPI, client: AsyncClient) -> None:
    bodies = [
        report(1),
        report(2, anonymous=True, contact={"phone": "0987 000 311"}),
        report(3, contact={"phone": "0987 000 312", "email": "Ba@example.org", "name": "Trần Thị Ba"}),
        report(4, contact={"email": "tu@example.org"}, location={"lat": 11.53, "lng": 106.89, "address": "Chợ"}),
        {"text": "Tôi tố cáo ông Phó Chủ tịch xã nhận hối lộ"},
        report(6, public=False, source="app"),
    ]
    together = await asyncio.gather(*(send(client, body) for body in bodies * 2))
    alone = [await send(client, body) for body in bodies]
    async with state(app).database.transaction() as session:

        async def written(answer: Response) -> list[tuple[Any, ...]]:
            found = await session.execute(text(EVERYTHING_WRITTEN), {"code": answer.json()["code"]})
            return [
                tuple(repr(each).replace(answer.json()["code"], "CODE") for each in row)  # also within the sentences
                for row in found
            ]

        for number, one in enumerate(alone):
            expected = await written(one)
            assert len(expected) == 1
            assert await written(together[number]) == expected
            assert await written(together[number + len(bodies)]) == expected
        assert (
            await session.scalar(
                text(
                    "SELECT count(*) FROM citizens c WHERE NOT EXISTS (SELECT FROM identities WHERE citizen_id = c.id)"
                )
            )
            == 0
        )


class Troubled:
    """The driver's pool with something wrong: with one report, with every group, or with all."""

    def __init__(self, real: Any, *, refused: str = "", groups: str = "", dead: bool = False) -> None:
        self.real, self.refused, self.groups, self.dead = real, refused, groups, dead
        self.alone = 0

    async def fetchrow(self, query: str, *args: Any) -> Any:
        self.alone += 1
        if self.dead:
            raise ConnectionRefusedError
        return await self.real.fetchrow(query, *map(self._spoilt, args))

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        if query != OPEN_CASES:
            return await self.real.fetch(query, *args)
        if self.dead or self.groups == "before":
            raise asyncpg.ConnectionDoesNotExistError
        given = [tuple(map(self._spoilt, each)) for each in args]
        rows = await self.real.fetch(query, *given, timeout=timeout)
        if self.groups == "after":
            raise TimeoutError
        return rows

    async def fetchmany(self, query: str, args: Sequence[Sequence[Any]], *, timeout: float) -> Any:
        if self.dead or self.groups == "before":
            raise asyncpg.ConnectionDoesNotExistError
        rows = await self.real.fetchmany(query, [list(map(self._spoilt, each)) for each in args], timeout=timeout)
        if self.groups == "after":
            raise TimeoutError
        return rows

    def _spoilt(self, value: Any) -> Any:
        return None if self.refused and value == self.refused else value


@pytest.fixture
async def trouble(app: FastAPI) -> Any:
    """`trouble(refused=…)`: the process writes through a pool in which that is wrong."""
    here = state(app)
    whole = here.together
    real = await here.database.pool()

    def make(**wrong: Any) -> Troubled:
        pool = Troubled(real, **wrong)

        async def given() -> Troubled:
            return pool

        here.together = Together(given)
        return pool

    yield make
    here.together = whole


async def test_nobody_falls_out_of_a_group_because_one_person_wrote_twice(
    app: FastAPI, client: AsyncClient, trouble: Any
) -> None:
    pool = trouble()
    phone = {"contact": {"phone": "0987 000 333"}}
    answers = await asyncio.gather(*(send(client, report(n, **phone if n % 2 else {})) for n in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert pool.alone == 0
    assert await count(app, "identities WHERE handle = '+84987000333'") == 1


async def test_one_that_cannot_be_written_fails_alone(app: FastAPI, client: AsyncClient, trouble: Any) -> None:
    trouble(refused=report(5)["text"])  # its text is NULL to the database
    answers = await asyncio.gather(*(send(client, report(number)) for number in range(12)))
    assert [answer.status_code for answer in answers] == [201] * 5 + [500] + [201] * 6


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_group_that_breaks_before_or_after_its_commit_is_there_once(
    app: FastAPI, client: AsyncClient, trouble: Any, when: str
) -> None:
    pool = trouble(groups=when)
    keys = [f"{when}-{number}" for number in range(MOST)]
    answers = await asyncio.gather(*(send(client, report(n), key) for n, key in enumerate(keys)))
    assert {answer.status_code for answer in answers} == {201}
    assert pool.alone >= MOST - 2
    assert await count(app, "received WHERE external_id LIKE :keys", keys=f"{when}-%") == MOST
    assert await count(app, "cases WHERE code = ANY(:codes)", codes=[a.json()["code"] for a in answers]) == MOST


async def test_without_the_database_everybody_is_told(client: AsyncClient, trouble: Any) -> None:
    trouble(dead=True)
    answers = await asyncio.gather(*(send(client, report(number)) for number in range(6)))
    assert {answer.status_code for answer in answers} == {503}
    assert all("Retry-After" in answer.headers for answer in answers)


async def test_who_waits_for_a_lock_keeps_nobody_else_waiting(app: FastAPI, client: AsyncClient) -> None:
    slow = {"contact": {"phone": "0987 000 222"}}
    assert (await send(client, report(1, **slow))).status_code == 201
    async with state(app).database.transaction() as session:
        held = await session.execute(text("SELECT citizen_id FROM identities WHERE handle = '+84987000222' FOR UPDATE"))
        assert isinstance(held.scalar_one(), UUID)
        waiting = asyncio.create_task(send(client, report(2, **slow)))
        others = await asyncio.wait_for(asyncio.gather(*(send(client, report(n)) for n in range(3, 40))), 10)
        assert {answer.status_code for answer in others} == {201}
        assert not waiting.done()
    assert (await waiting).status_code == 201

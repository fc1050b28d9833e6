"""A reform rehearsed: the change of 1 July 2025 in a province as of 20 June, and what a rehearsal must not overlook."""

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import rehearsal, rehoming
from cases.models import Case
from core.db import Database
from core.errors import Invalid
from ioc import project, reconcile
from routing.calendars import province_calendar
from routing.editing.reforms import SHIPPED
from tests.conftest import at_database, run_sql
from tests.running import TOP

FIRST, LAST = date(2025, 6, 20), date(2025, 7, 2)
DOCUMENT = SHIPPED.read_text(encoding="utf-8")


@pytest.fixture
async def stage(server_url: str, template: str) -> AsyncIterator[Database]:
    """A database of the test's own, with the province that is shipped."""
    name = f"rehearsal_{uuid.uuid4().hex[:8]}"
    await run_sql(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    made = Database(at_database(server_url, name), pool=4)
    yield made
    await made.close()
    await run_sql(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def figures(session: AsyncSession, at: datetime) -> list[str]:
    zone = province_calendar().zone
    while await project.project(session, zone, at):
        pass
    return [str(each) for each in await reconcile.reconcile(session, zone, at)]


async def test_the_day_goes_well_for_one_department_in_seven(stage: Database) -> None:
    outcome = await rehearsal.run(stage, DOCUMENT, FIRST, LAST, most=1, every=7, proofs={"figures": figures})
    assert outcome.wrong == []
    counts = outcome.counts
    assert counts["areas that end"] == counts["departments that end"] == 123  # a province, 11 + 111; these and a board
    assert counts["open cases on the eve"] == counts["open cases afterwards"] > 20
    assert counts["passed to a living heir"] > 15
    assert counts["back at the centre, with a notice"] >= 2  # districts where nobody wrote down the place
    assert counts["batches that died"] == 1
    assert counts["acts of passing on"] == counts["open cases on the eve"]
    assert outcome.lines()[-1] == "All went well."
    async with stage.transaction() as session:
        leads = set((await session.exec(select(Case.lead))).all())
    assert not any(lead and lead.startswith("ubnd-bp-") for lead in leads)


async def test_it_is_told_when_cases_stay_with_who_has_ended(stage: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*anything: object, **more: object) -> rehoming.Step:
        return rehoming.Step(0, 0, None)

    monkeypatch.setattr(rehoming, "run", nothing)
    outcome = await rehearsal.run(stage, DOCUMENT, FIRST, LAST, most=1, every=40)
    assert any("which has ended" in each for each in outcome.wrong)
    assert any("passed on 0 times, not 1" in each for each in outcome.wrong)
    assert outcome.lines()[-1] == f"{len(outcome.wrong)} things went wrong."


async def test_a_wrong_document_is_refused_before_anything_is_played(stage: Database) -> None:
    with pytest.raises(Invalid, match="nowhere"):
        await rehearsal.run(stage, DOCUMENT.replace("    bp-d-dong-xoai:", "    nowhere:"), FIRST, LAST)


def test_the_command_says_what_is_wrong_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "reform.yaml"
    file.write_text("reform:\n  code: r\n  name: x\n  effective_on: 2025-07-01\ncommittee: true\n", encoding="utf-8")
    command = [sys.executable, str(TOP / "main.py"), "reforms", "rehearse", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert (ended.returncode, "line 5: " in ended.stderr) == (1, True), ended.stderr


@pytest.mark.soak
async def test_every_district_and_commune_has_a_living_heir_for_each_open_case(stage: Database) -> None:
    outcome = await rehearsal.run(stage, DOCUMENT, FIRST, LAST, proofs={"figures": figures})
    assert outcome.wrong == []
    assert outcome.counts["open cases on the eve"] > 280  # one and more for each of them


@pytest.mark.soak
def test_the_command_plays_it_in_a_database_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, str(TOP / "main.py"), "reforms", "rehearse", "--places", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.rstrip().endswith("All went well.")
    assert list(tmp_path.iterdir()) == []

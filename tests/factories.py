"""What tests of cases over HTTP are made of: accounts, reports, the road to each status, one round of the worker."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from httpx import AsyncClient, Response
from PIL import Image
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import demo, verify
from cases.models import Case
from channels import outbox
from core import auth
from core.db import Database
from core.due import Work
from core.ids import uuid7
from core.journal import Journal
from core.staff import RoleGrant, Staff, StaffDepartment
from web.state import State
from worker import Worker

PASSWORD = "demo-pass-1"
CENTRE = demo.CENTRE
LEAD = demo.OFFICERS  # the department of officer@demo and head@demo
OTHER = demo.OTHERS  # that of officer2@demo, which has no part in the cases below
SUPPORT = "so-congthuong"
ABOLISHED = "so-gtvt"  # until 1 March 2025; LEAD is its heir
# Accounts the demo has no need of, but the table of states does.
MORE = (
    ("head2@demo", ("head",), (OTHER,)),
    ("helper@demo", ("officer",), (SUPPORT,)),
    ("helperhead@demo", ("head",), (SUPPORT,)),
    ("gone@demo", ("officer", "head"), (ABOLISHED,)),
)
EMAILS = tuple(account[0] for account in demo.ACCOUNTS) + tuple(account[0] for account in MORE)
NEVER_ENDS = datetime(2090, 1, 1, tzinfo=UTC)  # sign-ins outlive every step of a test's clock

As = Callable[[str], AsyncClient]
Drive = Callable[[str, str], Awaitable[None]]


class Clock:
    """The application's clock in the hands of a test: it stands still until moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The moment it stands at."""
        return self.now

    def move(self, **amount: float) -> datetime:
        """Forward by hours=, minutes=, days=."""
        self.now += timedelta(**amount)
        return self.now

    def to(self, local: str) -> datetime:
        """To a local time such as 2026-03-03T09:00."""
        self.now = datetime.fromisoformat(f"{local}+07:00").astimezone(UTC)
        return self.now


def state(app: FastAPI) -> State:
    """The web process's state."""
    here: State = app.state.hotline
    return here


async def make_accounts(database: Database, at: datetime) -> None:
    """The demo accounts with PASSWORD, and MORE without one."""
    async with database.transaction() as session:
        await demo.make(session, PASSWORD, at)
        for email, roles, departments in MORE:
            person = Staff(id=uuid7(at), email=email, name=email, password_hash="-", created_at=at)
            session.add(person)
            await session.flush()
            session.add_all(RoleGrant(staff_id=person.id, role=role, granted_at=at) for role in roles)
            session.add_all(StaffDepartment(staff_id=person.id, department=code) for code in departments)


async def make_tokens(database: Database) -> dict[str, str]:
    """A bearer token for every account, without the cost of its password."""
    async with database.transaction() as session:
        people = (await session.exec(select(Staff))).all()
        return {person.email: await auth.sign_in(session, person.id, "bearer", NEVER_ENDS) for person in people}


async def make_cookies(database: Database) -> dict[str, str]:
    """The same for pages: a cookie sign-in for every account."""
    async with database.transaction() as session:
        people = (await session.exec(select(Staff))).all()
        return {person.email: await auth.sign_in(session, person.id, "cookie", NEVER_ENDS) for person in people}


async def a_report(client: AsyncClient, **members: Any) -> tuple[str, str]:
    """(code, tracking key) of a new report from the portal."""
    body = {"text": "Đường hư nhiều ổ gà trước chợ", "field": "infra.road", **members}
    answer = await client.post("/api/v1/reports", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["code"], answer.json()["tracking_key"]


def a_photo(side: int = 8) -> bytes:
    """A small PNG."""
    made = BytesIO()
    Image.new("RGB", (side, side), (200, 120, 40)).save(made, "PNG")
    return made.getvalue()


async def act(client: AsyncClient, code: str, action: str, body: dict[str, Any] | None = None) -> Response:
    """One action on a case, whatever comes of it."""
    return await client.post(f"/api/v1/cases/{code}/{action}", json=body or {})


async def done(client: AsyncClient, code: str, action: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The case after an action that must succeed."""
    answer = await act(client, code, action, body)
    assert answer.status_code == 200, (action, answer.status_code, answer.text)
    shown: dict[str, Any] = answer.json()
    return shown


async def by_citizen(
    client: AsyncClient, code: str, key: str, what: str, body: dict[str, Any] | None = None
) -> Response:
    """messages, rating or reopen as the reporter; `what` empty reads the case."""
    headers = {"Tracking-Key": key}
    if not what:
        return await client.get(f"/api/v1/reports/{code}", headers=headers)
    return await client.post(f"/api/v1/reports/{code}/{what}", json=body or {}, headers=headers)


@dataclass(frozen=True, slots=True)
class Step:
    """How a status is reached from the one before it."""

    before: str
    who: str
    action: str
    body: dict[str, Any]


ROAD = {
    "forwarded": Step("received", "dispatcher", "forward", {"lead": LEAD, "supporting": [SUPPORT]}),
    "in_progress": Step("forwarded", "officer", "accept", {}),
    "waiting_citizen": Step("in_progress", "officer", "ask_citizen", {"question": "Ổ gà ở đoạn nào ạ?"}),
    "answered": Step("in_progress", "officer", "submit_answer", {"reply": "Đã vá xong ổ gà."}),
    "replied": Step("answered", "head", "approve_answer", {}),
    "closed": Step("replied", "agent", "close", {}),
    "refused": Step("received", "dispatcher", "refuse", {"reason_code": "unclear"}),
    "redirected": Step("received", "dispatcher", "redirect", {"to": "other", "reply": "Đã chuyển đến nơi giải quyết."}),
    "merged": Step("received", "agent", "merge", {}),  # into a case made for it
    "spam": Step("received", "agent", "mark_spam", {}),
}


async def drive(app: FastAPI, client: AsyncClient, as_: As, code: str, status: str) -> None:
    """Bring a case to a status by the acts of the people who may do them, from wherever on ROAD it stands."""
    present = (await as_("supervisor").get(f"/api/v1/cases/{code}")).json()["status"]
    steps: list[tuple[str, Step]] = []
    wanted = status
    while wanted != present:
        steps.append((wanted, ROAD[wanted]))
        wanted = ROAD[wanted].before
    for reached, step in reversed(steps):
        body = {"into": (await a_report(client))[0]} if reached == "merged" else step.body
        await done(as_(step.who), code, step.action, body)
        if reached == "replied":
            await deliver(app)


async def deliver(app: FastAPI) -> None:
    """Send everything that is queued; answers that left make their cases replied."""
    here = state(app)
    duties = _worker(app)
    more = 1
    while more:
        more = await outbox.deliver_due(
            here.database, here.adapters, here.clock(), on_sent=duties.reply_sent, on_failed=duties.message_failed
        )


async def receive(app: FastAPI) -> None:
    """Take in what vendors have sent."""
    await _worker(app).take_in()


async def settle(app: FastAPI) -> None:
    """One round of the worker in this process: deliveries, reminders, closing, journal positions, figures, words."""
    await deliver(app)
    await remind(app)
    duties = _worker(app)
    await _exhaust(app, duties.close, duties.number, duties.project, duties.sort_in)


async def remind(app: FastAPI) -> None:
    """Write the reminders and breaches that are due, and the dates that units let pass."""
    await _exhaust(app, _worker(app).remind, _worker(app).hold_to_dates)


async def _exhaust(app: FastAPI, *works: Work) -> None:
    here = state(app)
    for work in works:
        more = 1
        while more:
            async with here.database.transaction() as session:
                more = await work(session, here.clock())


def _worker(app: FastAPI) -> Worker:
    here = state(app)
    made = Worker(here.settings, here.database, here.adapters, asyncio.Event(), here.clock)
    made.routing = here.routing  # read once for both
    return made


async def case_of(session: AsyncSession, code: str) -> Case:
    """The row of a case, as the database has it now."""
    return (await session.exec(select(Case).where(Case.code == code))).one()


async def journal_of(app: FastAPI, code: str) -> list[Journal]:
    """What the journal holds about a case, oldest first."""
    async with state(app).database.transaction() as session:
        case = await case_of(session, code)
        rows = await session.exec(select(Journal).where(Journal.case_id == case.id).order_by(Journal.id))  # type: ignore[arg-type]
        return list(rows.all())


async def staff_id(app: FastAPI, email: str) -> UUID:
    """The id behind an account."""
    async with state(app).database.transaction() as session:
        return (await session.exec(select(Staff.id).where(Staff.email == email))).one()


async def limit_differences(app: FastAPI) -> list[str]:
    """What `limits verify` has to say about the whole database."""
    async with state(app).database.transaction(frozen=True) as session:
        _, differences = await verify.limits(session, state(app).clock())
        return differences

"""Calls for other programs: what came, who has to be called, and that somebody has."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from cases import citizens
from hotline import tasks
from hotline.call_lists import Came, ToCall, calls_that_came, number_of, task_for, to_call
from routing.queries import Routing
from web.deps import Db, Now, Rules, Who
from web.docs import PROBLEMS, answers
from web.shapes import when, zone_of

router = APIRouter(prefix="/api/v1", tags=["calls"], responses=PROBLEMS)


class RecordingAnswer(BaseModel):
    """A recording; its sound is at `/api/v1/recordings/{recording}` while `state` is kept or removed."""

    id: str
    state: str
    duration: int | None  # seconds


class CallAnswer(BaseModel):
    """A call that came; of the caller's number only the last digits."""

    id: str
    caller: str | None
    number: str
    opened_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    state: str
    outcome: str
    case: str | None
    recordings: list[RecordingAnswer]


class Calls(BaseModel):
    """A page of calls; ask again with `cursor=next_cursor`."""

    items: list[CallAnswer]
    next_cursor: str | None


class TaskAnswer(BaseModel):
    """Somebody to call. `phone` shows its last digits in lists, and all of them when the task alone is asked for."""

    id: str
    kind: str
    state: str
    phone: str | None
    opened_at: datetime
    last_at: datetime
    due_at: datetime | None
    calls: int
    case: str | None
    earlier_cases: int


class Tasks(BaseModel):
    """What is to do, due first."""

    items: list[TaskAnswer]


class CloseIn(BaseModel):
    """What came of it."""

    outcome: tasks.Came = "reached"


@router.get("/calls", response_model=None, responses=answers(Calls, description="A page of calls"))
async def calls(
    session: Db,
    who: Who,
    routing: Rules,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Calls that came, newest first; not those of restricted cases, but to inspectors."""
    page = await calls_that_came(session, who, cursor=cursor, limit=limit)
    return {"items": [_call(each, routing) for each in page.items], "next_cursor": page.next_cursor}


@router.get("/call-tasks", response_model=None, responses=answers(Tasks, description="Who has to be called"))
async def call_tasks(
    session: Db, who: Who, routing: Rules, limit: Annotated[int, Query(ge=1, le=200)] = 100
) -> dict[str, Any]:
    """Callers nobody has spoken with yet, due first."""
    return {"items": [_task(each, routing) for each in await to_call(session, who, limit=limit)]}


@router.get("/call-tasks/{task}", response_model=None, responses=answers(TaskAnswer, description="With the number"))
async def call_task(session: Db, who: Who, routing: Rules, at: Now, task: UUID) -> dict[str, Any]:
    """One of them with the number to call; that it was asked for is written down."""
    found = await number_of(session, who, task, at)
    return {**_task(found, routing), "phone": found.task.phone}


@router.post("/call-tasks/{task}/close", response_model=None, responses=answers(TaskAnswer, description="Closed"))
async def close(session: Db, who: Who, routing: Rules, at: Now, task: UUID, given: CloseIn) -> dict[str, Any]:
    """Somebody has called, or need not. Closed by somebody else it stays as it is (409)."""
    await tasks.close(session, who, task, at, given.outcome)
    return _task(await task_for(session, who, task), routing)


def masked(phone: str | None) -> str | None:
    """A number as lists show it."""
    return citizens.masked({"phone": phone})["phone"] if phone else None


def _call(came: Came, routing: Routing) -> dict[str, Any]:
    call, zone = came.call, zone_of(routing)
    return {
        "id": str(call.id),
        "caller": masked(call.caller),
        "number": call.number,
        "opened_at": when(call.opened_at, zone),
        "answered_at": when(call.answered_at, zone),
        "ended_at": when(call.ended_at, zone),
        "state": call.state,
        "outcome": call.outcome,
        "case": came.case,
        "recordings": [
            {"id": str(each.id), "state": each.state, "duration": each.duration} for each in came.recordings
        ],
    }


def _task(found: ToCall, routing: Routing) -> dict[str, Any]:
    task, zone = found.task, zone_of(routing)
    return {
        "id": str(task.id),
        "kind": task.kind,
        "state": task.state,
        "phone": masked(task.phone),
        "opened_at": when(task.opened_at, zone),
        "last_at": when(found.last_at, zone),
        "due_at": when(task.due_at, zone),
        "calls": task.calls,
        "case": found.case,
        "earlier_cases": found.earlier,
    }

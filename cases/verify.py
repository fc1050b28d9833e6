"""`limits verify`: fold the journal into limits again and compare them with the table and with the calendar."""

from datetime import UTC, datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.limits import computed_due
from cases.models import Case, Limit
from core.journal import Journal
from routing.queries import Routing

BATCH = 2_000
COMPARED = ("stage", "holder", "opened_at", "due_at", "met_at", "cancelled_at", "breached_at")


async def limits(session: AsyncSession, routing: Routing) -> tuple[int, list[str]]:
    """(limits looked at, differences). A difference names the case and says which member differs."""
    folded: dict[str, dict[str, Any]] = {}
    stream = await session.stream(
        select(Journal.data)
        .where(Journal.data.has_key("limits"))  # type: ignore[attr-defined]
        .order_by(col(Journal.id))
        .execution_options(yield_per=BATCH)
    )
    async for (data,) in stream:
        for op in data["limits"]:
            fold(folded, op)
    differences: list[str] = []
    seen = 0
    rows = await session.stream(
        select(Limit, Case.code, Case.rule_set_id)
        .join(Case, col(Case.id) == col(Limit.case_id))
        .execution_options(yield_per=BATCH)
    )
    async for row, code, rule_set_id in rows:
        seen += 1
        wanted = folded.pop(str(row.id), None)
        if wanted is None:
            differences.append(f"{code} {row.stage}: not in the journal")
            continue
        for name in COMPARED:
            have = getattr(row, name)
            if have != wanted.get(name):
                differences.append(f"{code} {row.stage}: {name} is {have}, the journal says {wanted.get(name)}")
        if row.due_at is not None and row.moved_to is None:
            by_calendar = computed_due(row, routing.calendars, routing.rulebook(rule_set_id))
            if by_calendar != row.due_at:
                differences.append(f"{code} {row.stage}: due_at is {row.due_at}, the calendar says {by_calendar}")
    differences += [f"{key} {left['stage']}: in the journal but not in the table" for key, left in folded.items()]
    return seen, differences


def fold(folded: dict[str, dict[str, Any]], op: dict[str, Any]) -> None:
    """Apply one op of the journal to the limits told so far."""
    name, key = op["op"], op["id"]
    at = _moment(op.get("at"))
    if name == "opened":
        folded[key] = {
            "stage": op["stage"],
            "holder": op["holder"],
            "opened_at": _moment(op["opened_at"]),
            "due_at": _moment(op["due_at"]),
        }
        return
    limit = folded.setdefault(key, {"stage": op["stage"], "holder": op["holder"]})
    limit["due_at"] = _moment(op.get("due_at"))
    if name == "met":
        limit["met_at"] = at
    elif name == "cancelled":
        limit["cancelled_at"] = at
    elif name == "reopened":
        limit["met_at"] = None
    elif name == "breached":
        limit["breached_at"] = limit["due_at"]
    elif name == "stopped":
        limit["due_at"] = None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None

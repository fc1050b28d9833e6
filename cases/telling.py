"""What a row of the journal gives to tell, and to whom: a table, and a function of the row alone. Pure.

Told are work that is given, decisions that wait, reminders, breaches and steps upwards; not what the person did who
would be told, and no new report: those stand in the queues that the centre works from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from core.staff import Role

# Who owes a stage: whoever works on the case in the department that holds it.
OWED_BY: Final[Mapping[str, Role]] = {
    "forward": Role.DISPATCHER,
    "publish": Role.DISPATCHER,
    "reply": Role.HEAD,
    "directive": Role.HEAD,
}
ESCALATED: Final = "limit.escalated"  # the journal's word for a step upwards

To = Literal["owing", "unit", "decider", "above", "one", "named"]


@dataclass(frozen=True, slots=True)
class Tell:
    """One thing to tell.

    `to` owing: the officer of the case if they are of `holder`, else whoever is on duty there; unit: whoever is on duty
    there; decider: who decides on extensions of this case; above: who decides what the units cannot; one: `person`;
    named: whom `role` of the ladder means.
    """

    kind: str
    to: To
    holder: str = ""
    role: Role | str = Role.OFFICER
    person: UUID | None = None
    limit: UUID | None = None
    stage: str | None = None
    percent: int | None = None
    due_at: datetime | None = None


def tells(kind: str, data: Mapping[str, Any]) -> list[Tell]:
    """What this row gives to tell, in its order; the place in the list is part of what makes a notice one."""
    if kind in ("limit.reminded", "limit.breached"):
        return [_of_clock(op) for op in data["limits"]]
    if kind == ESCALATED:
        return [
            Tell(
                "escalated",
                "named",
                data["holder"],
                role=data["to"],
                limit=UUID(data["limit"]),
                stage=data["stage"],
                due_at=_moment(data["due_at"]),
            )
        ]
    if kind == "commitment.broken":
        return [Tell("broken_date", "owing", data["department"])]
    if not kind.startswith("case."):
        return []
    return [*_of_act(kind.removeprefix("case."), data), *_of_limits(kind, data.get("limits", ()))]


def late_still(kind: str, data: Mapping[str, Any]) -> list[UUID]:
    """Limits that this row leaves late and owed: they go upwards from now on, or are looked at again."""
    last = {op["id"]: op for op in data.get("limits", ()) if kind.startswith(("case.", "limit.")) and "op" in op}
    return [
        UUID(op["id"])
        for op in last.values()
        if op.get("breached") and op["op"] in ("breached", "reopened", "recounted", "moved", "handed")
    ]


def _of_clock(op: Mapping[str, Any]) -> Tell:
    late = op["op"] == "breached" or op.get("percent") == 100
    return Tell(
        "breach" if late else "reminder",
        "owing",
        op["holder"],
        role=OWED_BY.get(op["stage"], Role.OFFICER),
        limit=UUID(op["id"]),
        stage=op["stage"],
        percent=op.get("percent"),
        due_at=_moment(op["due_at"]),
    )


def _of_act(action: str, data: Mapping[str, Any]) -> list[Tell]:
    unit = data.get("department") or ""
    if action == "assign_officer" and data.get("officer"):
        return [Tell("yours", "one", person=UUID(data["officer"]))]
    if action == "give_back":
        role = Role.SUPERVISOR if data.get("to_supervisor") else Role.DISPATCHER
        return [Tell("given_back", "unit", "", role=role)]
    if action == "request_extension":
        to: To = "above" if data.get("beyond") else "decider"
        return [Tell("extension_asked", to, unit, due_at=_moment(data.get("until")))]
    if action in ("grant_extension", "deny_extension"):
        granted = action == "grant_extension"
        until = _moment(data.get("until")) if granted else None
        return [Tell("extension_granted" if granted else "extension_denied", "owing", unit, due_at=until)]
    if action == "answer_directive" and data.get("by"):
        return [Tell("order_answered", "one", person=UUID(data["by"]))]
    if action == "give_back_support":
        return [Tell("help_given_back", "owing", data["lead"])]
    if action == "decide_dispute":
        return _of_decision(data["lead"], data["was"], data.get("raised_by"))
    if action == "contribute" and data.get("dims"):
        return [Tell("contributed", "owing", data["dims"]["department"])]
    if action == "chase":
        return [Tell("chased", "owing", unit)]
    if action == "add_message" and data.get("dims"):
        return [Tell("message", "owing", data["dims"]["department"])]
    return []


def _of_decision(lead: str, was: str, raised_by: str | None) -> list[Tell]:
    """A new lead is told of its work, the former one has the case no more; a helper that raised it hears its end."""
    told = [Tell("dispute_decided", "owing", lead)] if lead == was else []
    if raised_by not in (None, lead, was):
        told.append(Tell("dispute_decided", "unit", raised_by))
    return told


def _of_limits(kind: str, ops: Any) -> list[Tell]:
    """Work that begins with this act, one thing for each who has it; what was found to be late and is still owed."""
    told: list[Tell] = []
    over = {op["id"] for op in ops if op["op"] in ("met", "cancelled")}
    begun: dict[str, Mapping[str, Any]] = {}
    for op in ops:
        if op["op"] == "breached" and op["id"] not in over:
            told.append(_of_clock(op))
        elif op["op"] == "reopened":
            told.append(Tell("returned", "owing", op["holder"], stage=op["stage"], due_at=_moment(op["due_at"])))
        elif op["op"] in ("opened", "handed") and op["stage"] == "reply":
            told.append(
                Tell("to_approve", "unit", op["holder"], Role.HEAD, stage="reply", due_at=_moment(op["due_at"]))
            )
        elif op["op"] in ("opened", "handed") and op["stage"] == "directive":
            told.append(
                Tell("ordered", "unit", op["holder"], Role.HEAD, stage="directive", due_at=_moment(op["due_at"]))
            )
        elif op["op"] == "opened" and op["stage"] == "dispute":
            told.append(Tell("dispute", "above", op["holder"], due_at=_moment(op["due_at"])))
        elif op["op"] in ("opened", "handed") and op["stage"] in ("accept", "resolve", "contribute"):
            begun[op["holder"]] = op  # of accept and resolve the later one: by when it must be done
        elif op["op"] == "opened" and op["stage"] == "forward" and kind == "case.reopen":
            told.append(Tell("reopened", "unit", op["holder"], Role.DISPATCHER, due_at=_moment(op["due_at"])))
    what = "reopened" if kind == "case.reopen" else "assigned"
    told += [
        Tell(what, "unit", holder, stage=op["stage"], due_at=_moment(op["due_at"])) for holder, op in begun.items()
    ]
    return told


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None

"""Why a case went where it went, and why by then: the rule set it was opened under told for its facts, each clock as it
really ran, and what changed decision or clocks since, from the journal."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.codes import read_code
from cases.facts import facts_of
from cases.limits import Op, amount_of, limits_of, stops_of
from cases.models import Case, Limit
from core.errors import NotAllowed, NotFound
from core.journal import Journal
from routing import telling
from routing.decide import Rulebook
from routing.queries import Routing
from routing.telling import Traced

# Of a journal row, what says how a decision came to change; the rest (people, files, dimensions) is not of the rules.
_SAID = (
    "track",
    "was",
    "confirmed",
    "urgency",
    "kind",
    "rule_set",
    "changed",
    "lead",
    "supporting",
    "department",
    "suggested",
    "count",
    "to_supervisor",
    "until",
    "reason_code",
    "destination",
)
_REMINDED = "reminded"  # of all that may happen to a clock, the one thing that changes nothing


@dataclass(frozen=True, slots=True)
class Change:
    """One act that decided anew or changed clocks. `rules` are those that hold from here on, where they were asked."""

    at: datetime
    kind: str  # of the journal row
    actor: str  # staff, citizen, system or api_key: who it was is in the timeline
    said: Mapping[str, Any]
    clocks: tuple[Op, ...]
    rules: tuple[str, ...] | None = None
    rules_before: tuple[str, ...] | None = None

    def to_dict(self, book: Rulebook) -> dict[str, Any]:
        """As JSON, with one sentence for each thing that changed; times in the province's zone."""
        return {
            "at": _local(self.at, book),
            "kind": self.kind,
            "actor": self.actor,
            "said": dict(self.said),
            **({} if self.rules is None else {"rules": list(self.rules)}),
            "lines": list(self._lines(book)),
        }

    def _lines(self, book: Rulebook) -> Iterator[str]:
        if self.rules is not None and self.rules_before is not None and self.rules != self.rules_before:
            yield f"Decided anew by {', '.join(self.rules) or 'no rule'}; before by {', '.join(self.rules_before)}."
        for op in self.clocks:
            yield f"{op['stage']}, {op['holder']}: {_told(op, book)}."


def explain_case(case: Case, routing: Routing) -> dict[str, Any]:
    """The decision rule by rule and the deadlines hour by hour, as if every stage opened at received_at."""
    book = routing.rulebook(case.rule_set_id)
    told = routing.explain(facts_of(case), book).to_dict()
    return {"code": case.code, "rule_set": f"{book.code} v{book.version}", **told}


async def story(session: AsyncSession, case: Case, routing: Routing) -> dict[str, Any]:
    """`explain_case`, then every clock as it ran hour by hour, and every later change in order: what API and command
    answer."""
    book = routing.rulebook(case.rule_set_id)
    clocks = [_clock(limit, routing, book) for limit in await limits_of(session, case.id)]
    changed = [change.to_dict(book) for change in await changes(session, case)]
    return {**explain_case(case, routing), "clocks": clocks, "changes": changed}


async def explain_command(session: AsyncSession, code: str, routing: Routing) -> dict[str, Any]:
    """`story` for whoever runs the system. NotFound for an unknown code; NotAllowed on a restricted track, whose looks
    are written down, which needs somebody who is signed in."""
    standard = read_code(code)
    case = (await session.exec(select(Case).where(Case.code == standard))).first() if standard else None
    if case is None:
        raise NotFound("Không tìm thấy phản ánh này.", f"There is no case {code}.")
    if case.restricted:
        raise NotAllowed(
            "Phản ánh thuộc luồng hạn chế: chỉ xem trên trang, khi đã đăng nhập.",
            "The case is on a restricted track: it is explained in the console only, to an inspector who is signed in.",
        )
    return await story(session, case, routing)


async def changes(session: AsyncSession, case: Case) -> list[Change]:
    """Every act that decided or changed a clock, oldest first; the first is how the case was opened."""
    statement = select(Journal).where(Journal.case_id == case.id).order_by(col(Journal.id))
    return list(changes_of((await session.exec(statement)).all()))


def changes_of(rows: Iterable[Journal]) -> Iterator[Change]:
    """The journal of one case, in order, as changes of its decision and clocks."""
    rules: tuple[str, ...] | None = None
    for row in rows:
        ops = tuple(op for op in row.data.get("limits", ()) if op["op"] != _REMINDED)
        asked = tuple(row.data["rules"]) if "rules" in row.data else None
        said = {name: row.data[name] for name in _SAID if name in row.data}
        if row.kind.startswith(("case.", "limit.")) and (ops or asked is not None or said):
            yield Change(row.occurred_at, row.kind, row.actor_kind, said, ops, asked, rules)
        rules = rules if asked is None else asked


def traced(limit: Limit, routing: Routing, book: Rulebook) -> Traced:
    """How the due time of one clock comes about from its opening, amount, calendar and stops; extensions left out."""
    calendar = routing.calendars.get(limit.calendar, book.calendar)
    return telling.explain(limit.opened_at, amount_of(limit), calendar, day_end=book.day_end, stops=stops_of(limit))


def counted_otherwise(limit: Limit, told: Traced) -> bool:
    """Whether a clock keeps another due time than the calendar of now would give it."""
    return limit.due_at is not None and limit.moved_to is None and told.due != limit.due_at


def _clock(limit: Limit, routing: Routing, book: Rulebook) -> dict[str, Any]:
    told = traced(limit, routing, book)
    kept = ["The calendar was changed since: it is still due by the calendar of then."]
    moments = ("opened_at", "due_at", "met_at", "cancelled_at", "breached_at", "moved_to", "stopped_at")
    return {
        "stage": limit.stage,
        "holder": limit.holder,
        "amount": str(amount_of(limit)),
        "calendar": limit.calendar,
        **{name: _local(getattr(limit, name), book) for name in moments},
        "lines": [*told.lines, *(kept if counted_otherwise(limit, told) else [])],
    }


def _told(op: Op, book: Rulebook) -> str:
    """What happened to a clock, in one clause."""
    name = op["op"]
    due, at = _moment(op.get("due_at"), book), _moment(op.get("at"), book)
    amount = f"{op['amount']}{op['unit']}/{op['clock']}" if "amount" in op else ""
    told = {
        "opened": f"{amount} from {_moment(op.get('opened_at'), book)}, due {due}",
        "amended": f"now {amount} from {_moment(op.get('opened_at'), book)}, due {due}, before {_was(op, book)}",
        "moved": f"due moved from {_was(op, book)} to {_moment(op.get('until'), book)}",
        "met": f"done {at}, due {due}",
        "cancelled": f"owed no more from {at}, was due {due}",
        "reopened": f"owed again from {at}, due {due}",
        "breached": f"late since {due}",
        "stopped": f"stopped {at}",
        "resumed": f"runs on from {at}, due {due}",
        "recounted": f"counted again by the calendar, due moved from {_was(op, book)} to {due}",
    }
    return told.get(name, f"{name}, due {due}")


def _was(op: Op, book: Rulebook) -> str:
    return _moment(op.get("was"), book)


def _moment(text: str | None, book: Rulebook) -> str:
    return datetime.fromisoformat(text).astimezone(book.zone).strftime("%Y-%m-%d %H:%M") if text else "no time"


def _local(at: datetime | None, book: Rulebook) -> str | None:
    return at.astimezone(book.zone).isoformat(timespec="seconds") if at else None

"""What one journal row adds to which sums. Pure: no database, no clock.

`contributions` turns one journal row into signed amounts for cells of `definitions.SUMS`; nothing else ever changes a
figure.

Restricted tracks. A row written while its case was restricted is in no figure. `case.withdrawn` takes out, each on its
own day, everything the case had added; `case.restored` lets all its rows count, those written in between too, so that
after it the figures are what they would be had the case never been restricted. `standing` says which rows count.

Reclassification. `received` and the stock `open` follow the case: when its department, field, or area changes, one is
taken from the old cell and added to the new, so that a figure always equals the list of cases behind it. Every other
figure stays where its event happened.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

from ioc.definitions import OPEN_STATUSES
from ioc.durations import bucket_of

WITHDRAWN, RESTORED = "case.withdrawn", "case.restored"
MARKERS = frozenset({WITHDRAWN, RESTORED})


class Dims(NamedTuple):
    """Where a figure is counted; "" where not known. The centre is a department."""

    department: str
    field: str
    channel: str
    area: str


class Contribution(NamedTuple):
    """A signed amount for one cell of one figure."""

    day: date
    figure: str
    department: str
    field: str
    channel: str
    area: str
    bucket: int
    value: int


@dataclass(frozen=True, slots=True)
class Event:
    """One journal row of a case, as far as figures care."""

    kind: str
    occurred_at: datetime
    restricted: bool
    data: Mapping[str, Any]


def counts(event: Event) -> bool:
    """Whether a journal row speaks of a case in a way figures know: all but markers name the case's dimensions."""
    return event.kind in MARKERS or (event.kind.startswith(("case.", "limit.")) and "dims" in event.data)


def dims_of(event: Event) -> Dims:
    """The dimensions a row gives its case."""
    dims = event.data["dims"]
    return Dims(dims["department"], dims["field"], dims["channel"], dims["area"])


def standing(history: Sequence[Event]) -> list[bool]:
    """For all rows of one case in order: does it count now?

    Rows after the last marker count unless written while restricted; rows before it count if it restored the case.
    """
    last = max((n for n, event in enumerate(history) if event.kind in MARKERS), default=-1)
    restored = last >= 0 and history[last].kind == RESTORED
    return [
        event.kind not in MARKERS and (restored if n < last else not event.restricted)
        for n, event in enumerate(history)
    ]


def with_predecessors(history: Sequence[Event]) -> Iterator[tuple[Event, Dims | None]]:
    """Each row of one case with the dimensions the case had before it; None before the first."""
    was: Dims | None = None
    for event in history:
        yield event, was
        if event.kind not in MARKERS and counts(event):
            was = dims_of(event)


def marker_contributions(history: Sequence[Event], marker: Event, zone: tzinfo) -> list[Contribution]:
    """What a `case.withdrawn` or `case.restored` changes, given all earlier rows of its case in order."""
    now = marker.kind == RESTORED
    changed: list[Contribution] = []
    for (event, was), before in zip(with_predecessors(history), standing(history), strict=True):
        if before == now or event.kind in MARKERS:
            continue
        sign = 1 if now else -1
        changed += [each._replace(value=sign * each.value) for each in contributions(event, was, zone)]
    return changed


def contributions(event: Event, was: Dims | None, zone: tzinfo) -> list[Contribution]:
    """What one row adds to the figures; `was` are the dimensions its case had before, None at its first row.

    Markers add nothing by themselves (`marker_contributions`), and whether the row counts at all is `standing`'s.
    """
    if event.kind in MARKERS or not counts(event):
        return []
    book = _Book(event, dims_of(event), zone)
    if event.kind.startswith("case."):
        _stock(book, was)
        _EVENTS.get(event.kind, _nothing)(book)
        if event.data.get("first_response"):
            book.duration("first_response")
    for op in event.data.get("limits", ()):
        _limit(book, op)
    return book.entries


class _Book:
    """Collects the entries of one row."""

    def __init__(self, event: Event, dims: Dims, zone: tzinfo) -> None:
        self.event, self.data, self.dims, self.zone = event, event.data, dims, zone
        self.day = self.local(event.occurred_at)
        self.entries: list[Contribution] = []

    def local(self, moment: datetime | str) -> date:
        """The local day of a moment, given as such or in ISO form."""
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return at.astimezone(self.zone).date()

    def add(
        self,
        figure: str,
        value: int = 1,
        *,
        day: date | None = None,
        dims: Dims | None = None,
        department: str | None = None,
        bucket: int = 0,
    ) -> None:
        """Note an amount, on the event's day and dimensions unless others are given."""
        if value:
            at = dims or self.dims
            self.entries.append(
                Contribution(day or self.day, figure, department or at.department, *at[1:], bucket, value)
            )

    def duration(self, figure: str) -> None:
        """Note the time from receipt to this event in its class."""
        taken = self.event.occurred_at - datetime.fromisoformat(self.data["received_at"])
        self.add(figure, bucket=bucket_of(taken.total_seconds()))


def _stock(book: _Book, was: Dims | None) -> None:
    """`received`, and the stock of open cases: both follow the case when its dimensions change."""
    before, after = book.data.get("from") in OPEN_STATUSES, book.data.get("to") in OPEN_STATUSES
    old = was or book.dims
    if was is not None and was != book.dims:
        received = book.local(book.data["received_at"])
        book.add("received", -1, day=received, dims=was)
        book.add("received", 1, day=received)
    if (before, old) != (after, book.dims):
        book.add("open", -int(before), dims=old)
        book.add("open", int(after))
    if before != after:
        book.add("opened" if after else "ended")
    if book.data.get("to") == "closed" != book.data.get("from"):  # by hand, by time, or by a good rating
        book.add("closed")


def _nothing(book: _Book) -> None:
    """Actions that no figure counts."""


def _open(book: _Book) -> None:
    book.add("received", day=book.local(book.data["received_at"]))


def _forward(book: _Book) -> None:
    book.add("forwarded")
    book.duration("forward_time")


def _reply(book: _Book) -> None:
    book.add("replied")
    book.duration("resolution")


def _refuse(book: _Book) -> None:
    book.add("refused")
    book.add(f"refused.{book.data['reason_code']}")


def _give_back(book: _Book) -> None:
    book.add("give_backs", department=book.data["department"])


def _extended(book: _Book) -> None:
    book.add("extensions_granted")
    if book.data.get("beyond"):
        book.add("extensions_beyond")


def _rate(book: _Book) -> None:
    rating, previous = book.data["rating"], book.data.get("previous")
    book.add("ratings", 1 if previous is None else 0)
    book.add("rating_sum", rating - (previous or 0))
    book.add("ratings_good", int(rating >= 4) - int((previous or 0) >= 4))


def _tally(figure: str, value: int = 1) -> Callable[[_Book], None]:
    def note(book: _Book) -> None:
        book.add(figure, value)

    return note


_EVENTS: dict[str, Callable[[_Book], None]] = {
    "case.open": _open,
    "case.answer_directly": _tally("answered_first_contact"),
    "case.forward": _forward,
    "case.reply": _reply,
    "case.refuse": _refuse,
    "case.redirect": _tally("redirected"),
    "case.merge": _tally("merged"),
    "case.mark_spam": _tally("spam"),
    "case.unmark_spam": _tally("spam", -1),
    "case.reopen": _tally("reopened"),
    "case.give_back": _give_back,
    "case.request_extension": _tally("extensions_requested"),
    "case.grant_extension": _extended,
    "case.deny_extension": _tally("extensions_denied"),
    "case.chase": _tally("chased"),
    "case.rate": _rate,
}


def _limit(book: _Book, op: Mapping[str, Any]) -> None:
    """A limit enters the due cohort once: when it is met in time, or when it is breached.

    Met after a breach it is in already; owed again (`reopened`), what was met in time leaves until it is met or
    breached. Counted again for a changed calendar, it leaves where it was and enters where it is now. Moving, amending,
    stopping and cancelling change nothing by themselves: before the due time it was not counted, and a breach stands.
    Nor does passing to an heir (`handed`): a breach until then stays with the former holder, what comes is the heir's.
    `breached` on an op says that a breach of this limit stands; without it, met after the due time is late. `extended`:
    it would have been late but for an extension; that is counted, and counted apart.
    """
    name, stage, holder = op["op"], op["stage"], op["holder"]
    if name == "breached":
        book.add(f"breached.{stage}", department=holder)
        book.add(f"due.{stage}", day=book.local(op["due_at"]), department=holder)
    elif name in ("met", "reopened"):
        met_at = op["at"] if name == "met" else op.get("met_at", op["at"])
        late = op.get("breached", datetime.fromisoformat(met_at) > datetime.fromisoformat(op["due_at"]))
        sign = 1 if name == "met" else -1
        book.add(f"met.{stage}", sign, day=book.local(met_at), department=holder)
        if not late:
            due_day = book.local(op["due_at"])
            book.add(f"met_in_time.{stage}", sign, day=book.local(met_at), department=holder)
            book.add(f"due.{stage}", sign, day=due_day, department=holder)
            book.add(f"due_met.{stage}", sign, day=due_day, department=holder)
            book.add(f"due_met_extended.{stage}", sign * bool(op.get("extended")), day=due_day, department=holder)
    elif name == "recounted":
        _recounted(book, op)


def _recounted(book: _Book, op: Mapping[str, Any]) -> None:
    """What the limit had added by its old due time goes, what it adds by its new one comes.

    A breach was added where the case was `charged` with it, maybe to the unit before the present holder: it goes from
    there, and one that stands stays there.
    """
    stage, holder = op["stage"], op["holder"]
    met_at = op["met_at"]
    present = book.dims._replace(department=holder)
    charged = Dims(**op["charged"]) if op.get("charged") else present
    for sign, late, due_at in ((-1, op["was_breached"], op["was"]), (1, op["breached"], op["due_at"])):
        if late or met_at:
            book.add(
                f"due.{stage}", sign, day=book.local(due_at), dims=charged if late and op["was_breached"] else present
            )
        if met_at and not late:
            book.add(f"due_met.{stage}", sign, day=book.local(due_at), department=holder)
            book.add(f"met_in_time.{stage}", sign, day=book.local(met_at), department=holder)
    if op["was_breached"] and not op["breached"]:  # off the day on which it was told
        book.add(f"breached.{stage}", -1, day=book.local(op["told_at"]), dims=charged)
    elif op["breached"] and not op["was_breached"]:
        book.add(f"breached.{stage}", department=holder)

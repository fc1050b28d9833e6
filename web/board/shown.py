"""The board as its page shows it: every number with the address of its cases."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from cases.views import NONE
from ioc.board import SOON, Figures, Stock, Totals, age_days
from ioc.definitions import Definition, definition_of
from ioc.periods import Period
from routing.queries import Routing
from web.board.asking import Asked
from web.names import NAMES, Lang
from web.shapes import named_area, named_department, named_field

Quantity = TypeVar("Quantity", float, timedelta)
FIRST_ROWS = 10  # of a table; the others unfold
LAGGING = timedelta(minutes=5)  # figures older than this say so


@dataclass(frozen=True, slots=True)
class Number:
    """A number and the list it opens."""

    value: int
    href: str


@dataclass(frozen=True, slots=True)
class Change:
    """The same in the period before; `better` is none where neither way is."""

    before: float | timedelta
    better: bool | None
    href: str


@dataclass(frozen=True, slots=True)
class Leading:
    """One of the large numbers; `parts` are the numbers it rests on, `second` is what stands beside it."""

    code: str
    kind: str  # count | share | span | points
    value: int | float | timedelta | None
    href: str
    definitions: Sequence[Definition]
    tone: str = ""
    change: Change | None = None
    parts: Mapping[str, Number] | None = None
    second: float | timedelta | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One day or month of the drawing."""

    period: Period
    received: Number
    replied: Number


@dataclass(frozen=True, slots=True)
class Drawing:
    """Received and answered, step by step, and the scale they are drawn to."""

    steps: Sequence[Step]
    top: int
    marks: Sequence[int]  # of the scale, from the top
    labels: Sequence[tuple[date, float]]  # and how far to the right, in hundredths
    by_month: bool
    totals: Step
    before: Step  # the period before

    def height(self, value: int) -> float:
        """In hundredths of the drawing."""
        return round(100 * value / self.top, 2)


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a bar drawing: of `share` per cent of the longest."""

    name: str
    number: Number
    share: float


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A department: what it has at work and how it kept its limits."""

    name: str
    open: Number
    late: Number
    due: Number
    on_time: float | None
    give_backs: Number


@dataclass(frozen=True, slots=True)
class SideRow:
    """A field, area or channel."""

    name: str
    received: Number
    replied: Number
    open: Number
    late: Number


@dataclass(frozen=True, slots=True)
class BoardPage:
    """Everything the board shows."""

    asked: Asked
    figures: Figures
    lags: bool
    leading: Sequence[Leading]
    drawing: Drawing
    ages: Sequence[Bar]
    units: Sequence[UnitRow]
    sides: Mapping[str, Sequence[SideRow]]  # field, area, channel
    refusals: Sequence[Bar]
    refused: Number
    first_contact: Number
    first_contact_share: float | None
    choices: Mapping[str, Sequence[tuple[str, str]]]
    first_rows: int = FIRST_ROWS


def board_page(
    asked: Asked,
    figures: Figures,
    stock: Mapping[str, Mapping[str, Stock]],
    routing: Routing,
    at: datetime,
    today: date,
    lang: Lang,
) -> BoardPage:
    """The figures and the stock, put together for the page."""
    whole, now = stock.get("", {}).get("", Stock()), figures.period
    ages = zip(age_days(today), whole.ages, strict=True)
    return BoardPage(
        asked=asked,
        figures=figures,
        lags=at - figures.as_of > LAGGING,
        leading=[*_of_stock(asked, whole, at), *_of_period(asked, figures)],
        drawing=_drawing(asked, figures),
        ages=_bars((_age_name(code, lang), Number(n, _of_age(asked, first, last))) for (code, first, last), n in ages),
        units=_units(asked, figures, stock, routing),
        sides={
            side: _sides(asked, side, figures, stock, routing, today, lang) for side in ("field", "area", "channel")
        },
        refusals=_refusals(asked, now, lang),
        refused=Number(now.of("refused"), asked.behind("refused", asked.period)),
        first_contact=Number(now.of("answered_first_contact"), asked.behind("answered_first_contact", asked.period)),
        first_contact_share=now.share("answered_first_contact", "received"),
        choices=_choices(routing, today, lang),
    )


def _of_stock(asked: Asked, whole: Stock, at: datetime) -> list[Leading]:
    late, soon = {"late": "true"}, {"late": "false", "due_before": (at + SOON).isoformat()}
    return [
        Leading("open", "count", whole.open, asked.at_work(), [definition_of("open_now")]),
        Leading(
            "late",
            "count",
            whole.late,
            asked.at_work(**late),
            [definition_of("open_late")],
            "late" if whole.late else "",
        ),
        Leading(
            "soon",
            "count",
            whole.soon,
            asked.at_work(**soon),
            [definition_of("open_due_soon")],
            "warn" if whole.soon else "",
        ),
    ]


def _of_period(asked: Asked, figures: Figures) -> list[Leading]:
    now, before = figures.period, figures.before

    def number(figure: str) -> Number:
        value = now.of("due.resolve") - now.of("due_met.resolve") if figure == "due_late.resolve" else now.of(figure)
        return Number(value, asked.behind(figure, asked.period))

    cohort = (
        "due.resolve",
        "due_met.resolve",
        "due_met_extended.resolve",
        "due_late.resolve",
        "met.resolve",
        "met_in_time.resolve",
    )
    return [
        Leading(
            "on_time",
            "share",
            now.on_time,
            asked.behind("due.resolve", asked.period),
            [
                definition_of(code)
                for code in ("on_time_rate.resolve", "due_met_extended.resolve", "on_time_rate_closed.resolve")
            ],
            change=_change(now.on_time, before.on_time, asked.behind("due.resolve", asked.period.before)),
            parts={name: number(name) for name in cohort},
            second=now.on_time_finished,
        ),
        Leading(
            "response",
            "span",
            now.response(50),
            asked.behind("first_response", asked.period),
            [definition_of("first_response.p50"), definition_of("first_response.p90")],
            parts={"first_response": Number(now.responses, asked.behind("first_response", asked.period))},
            change=_change(
                now.response(50), before.response(50), asked.behind("first_response", asked.period.before), less=True
            ),
            second=now.response(90),
        ),
        Leading(
            "rating",
            "points",
            now.rating,
            asked.behind("ratings", asked.period),
            [definition_of("rating_mean"), definition_of("rating_response")],
            change=_change(now.rating, before.rating, asked.behind("ratings", asked.period.before)),
            parts={"ratings": number("ratings"), "replied": number("replied")},
            second=now.share("ratings", "replied"),
        ),
    ]


def _change(now: Quantity | None, before: Quantity | None, href: str, *, less: bool = False) -> Change | None:
    """How it was, where both are known; `less`: less is better."""
    if now is None or before is None:
        return None
    return Change(before, None if now == before else (now > before) != less, href)


def _drawing(asked: Asked, figures: Figures) -> Drawing:
    steps = []
    for step in asked.period.steps():
        key = step.from_.replace(day=1) if asked.period.by_month else step.from_
        found = figures.steps.get(key, {})
        steps.append(
            Step(
                step,
                Number(found.get("received", 0), asked.received(step.from_, step.to)),
                Number(found.get("replied", 0), asked.behind("replied", step)),
            )
        )
    top = _round_up(max((max(step.received.value, step.replied.value) for step in steps), default=0))
    every = max(1, (len(steps) + LABELS - 1) // LABELS)
    return Drawing(
        steps=steps,
        top=top,
        marks=[top * n // 4 for n in range(4, -1, -1)],
        labels=[(step.period.from_, 100 * (n * every + 0.5) / len(steps)) for n, step in enumerate(steps[::every])],
        by_month=asked.period.by_month,
        totals=_totals(asked, asked.period, figures.period),
        before=_totals(asked, asked.period.before, figures.before),
    )


def _totals(asked: Asked, period: Period, totals: Totals) -> Step:
    return Step(
        period,
        Number(totals.of("received"), asked.received(period.from_, period.to)),
        Number(totals.of("replied"), asked.behind("replied", period)),
    )


def _round_up(value: int) -> int:
    """The next number that a scale of four round parts ends at."""
    size = 1
    while True:
        for parts in (4, 8, 12, 20):
            if parts * size >= value:
                return parts * size
        size *= 10


def _bars(items: Iterable[tuple[str, Number]]) -> list[Bar]:
    rows = list(items)
    most = max((number.value for _, number in rows), default=0) or 1
    return [Bar(name, number, round(100 * number.value / most, 1)) for name, number in rows]


def _age_name(code: str, lang: Lang) -> str:
    return AGE_NAMES[code][lang == "en"]


def _of_age(asked: Asked, first: date | None, last: date | None) -> str:
    days = {"received_from": first, "received_to": last}
    return asked.at_work(**{name: day.isoformat() for name, day in days.items() if day})


def _refusals(asked: Asked, now: Totals, lang: Lang) -> list[Bar]:
    found = sorted(
        ((value, figure) for figure, value in now.sums.items() if figure.startswith("refused.") and value), reverse=True
    )
    return _bars(
        (_named("refusal", figure.partition(".")[2], lang), Number(value, asked.behind(figure, asked.period)))
        for value, figure in found
    )


def _units(asked: Asked, figures: Figures, stock: Mapping[str, Mapping[str, Stock]], routing: Routing) -> list[UnitRow]:
    """Departments, the worst first: most late, then fewest limits kept, then most at work."""
    at_work, counted = stock.get("department", {}), figures.by.get("department", {})
    rows = []
    for code in at_work.keys() | counted.keys():
        work, kept, side = at_work.get(code, Stock()), counted.get(code, Totals()), {"department": code}
        row = UnitRow(
            name=(named_department(code, routing) or {}).get("name", code),
            open=Number(work.open, asked.at_work(side)),
            late=Number(work.late, asked.at_work(side, late="true")),
            due=Number(kept.of("due.resolve"), asked.behind("due.resolve", asked.period, side)),
            on_time=kept.on_time,
            give_backs=Number(kept.of("give_backs"), asked.behind("give_backs", asked.period, side)),
        )
        if row.open.value or row.due.value or row.give_backs.value:
            rows.append(row)
    return sorted(
        rows, key=lambda row: (-row.late.value, 1 if row.on_time is None else row.on_time, -row.open.value, row.name)
    )


def _sides(
    asked: Asked,
    side: str,
    figures: Figures,
    stock: Mapping[str, Mapping[str, Stock]],
    routing: Routing,
    today: date,
    lang: Lang,
) -> list[SideRow]:
    """Fields (of the first level), areas or channels, most received first."""
    at_work: dict[str, Stock] = defaultdict(Stock)
    received: dict[str, int] = defaultdict(int)
    replied: dict[str, int] = defaultdict(int)
    for code, work in stock.get(side, {}).items():
        key = _row_of(asked, side, code, routing, today)
        at_work[key] = replace(at_work[key], open=at_work[key].open + work.open, late=at_work[key].late + work.late)
    for code, totals in figures.by.get(side, {}).items():
        key = _row_of(asked, side, code, routing, today)
        received[key] += totals.of("received")
        replied[key] += totals.of("replied")
    period, rows = asked.period, []
    for key in at_work.keys() | received.keys():
        here: dict[str, str | None] = {side: key}
        rows.append(
            SideRow(
                name=_side_name(side, key, routing, lang),
                received=Number(received[key], asked.received(period.from_, period.to, here)),
                replied=Number(replied[key], asked.behind("replied", period, here)),
                open=Number(at_work[key].open, asked.at_work(here)),
                late=Number(at_work[key].late, asked.at_work(here, late="true")),
            )
        )
    shown = [row for row in rows if row.received.value or row.replied.value or row.open.value]
    return sorted(shown, key=lambda row: (-row.received.value, -row.open.value, row.name))


def _row_of(asked: Asked, side: str, code: str, routing: Routing, today: date) -> str:
    """The row a code belongs to: fields of the second level to that of the first, unless one is asked for; areas of
    old to the unit they are today, if that is how they are to be read."""
    if not code:
        return NONE
    if side == "area" and asked.geography == "today":
        return routing.directory.counted_as(code, today)
    if side != "field":
        return code
    known = routing.field_rows.get(code)
    return asked.field or (known.parent if known and known.parent else code)


def _side_name(side: str, code: str, routing: Routing, lang: Lang) -> str:
    if code == NONE:
        return UNKNOWN[side][lang == "en"]
    if side == "channel":
        return _named("channel", code, lang)
    found = named_field(code, routing) if side == "field" else named_area(code, routing)
    return (found or {}).get("name", code)


def _named(group: str, code: str, lang: Lang) -> str:
    return NAMES[group].get(code, (code, code))[lang == "en"]


def _choices(routing: Routing, today: date, lang: Lang) -> dict[str, list[tuple[str, str]]]:
    """What the filter offers: (code, name) pairs."""
    groups = [row for row in routing.field_rows.values() if row.parent is None]
    places = [place for place in map(routing.places.get, routing.directory.areas) if place is not None]
    areas = [place for place in places if place.valid(today)]
    former = [place for place in places if place.began(today) and not place.valid(today)]
    units = [row for row in routing.departments.values() if row.valid_to is None or row.valid_to > today]
    return {
        "department": _by_name((row.code, row.name) for row in units),
        "field": [*_by_name((row.code, row.name) for row in groups), (NONE, UNKNOWN["field"][lang == "en"])],
        "area": [
            *_by_name((place.code, place.name) for place in areas),
            *_by_name((place.code, f"{place.type} {place.name} {FORMER[lang == 'en']}") for place in former),
            (NONE, UNKNOWN["area"][lang == "en"]),
        ],
        "channel": [(code, names[lang == "en"]) for code, names in NAMES["channel"].items()],
    }


def _by_name(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(pairs, key=lambda pair: pair[1])


FORMER = ("(cũ)", "(former)")
LABELS = 8  # days named under the drawing, at most
UNKNOWN = {"field": ("Chưa phân loại", "Not classified"), "area": ("Chưa rõ địa bàn", "Area unknown")}
AGE_NAMES = {
    "d1": ("Đến 1 ngày", "Up to 1 day"),
    "d3": ("2–3 ngày", "2–3 days"),
    "d7": ("4–7 ngày", "4–7 days"),
    "d15": ("8–15 ngày", "8–15 days"),
    "d30": ("16–30 ngày", "16–30 days"),
    "more": ("Trên 30 ngày", "Over 30 days"),
}

"""What can be chosen in forms: departments, fields, areas, people, codes with names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from cases.dossier import Colleague
from cases.looks import text_in_list
from cases.models import Case
from cases.replies import REFUSALS
from cases.wording import Words
from core.text import fold
from routing.queries import Routing
from web.names import NAMES, Lang, name_of


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose. `words` is what typing is compared with, `text` what choosing it fills in elsewhere."""

    value: str
    label: str
    hint: str = ""
    words: str = ""
    chosen: bool = False
    first: bool = False  # stands above the others, with its hint
    text: str = ""


def chosen(options: Iterable[Option], values: Sequence[str]) -> tuple[Option, ...]:
    """The options with these ones chosen and, of a long list, put where they are seen."""
    marked = [replace(each, chosen=each.value in values) for each in options]
    return tuple(sorted(marked, key=lambda each: not (each.first or each.chosen)))


def departments(routing: Routing, on: date, suggested: Sequence[str], why: str) -> list[Option]:
    """Departments alive on the day, by name; those the rules suggest first."""
    directory = routing.directory
    living = [each for each in directory.departments.values() if each.lives(on) and each.code != directory.centre]
    made = [
        Option(each.code, each.name, why if each.code in suggested else "", fold(f"{each.name} {each.code}"))
        for each in sorted(living, key=lambda each: each.name)
    ]
    return [replace(each, first=each.value in suggested) for each in made]


def fields(routing: Routing, on: date) -> list[Option]:
    """Fields of the second level in force on the day, in the order of their groups."""
    rows = routing.field_rows
    return [
        Option(
            code,
            rows[code].name,
            rows[group].name if (group := rows[code].parent) and group in rows else "",
            fold(f"{rows[code].name} {' '.join(field.keywords)} {code}"),
        )
        for code, field in sorted(routing.fields.items())
        if field.valid_from <= on and (field.valid_to is None or on < field.valid_to)
    ]


def areas(routing: Routing, on: date, candidates: Sequence[str]) -> list[Option]:
    """Areas valid on the day, by name; candidates first."""
    found = [place for place in map(routing.places.get, routing.directory.areas) if place and place.valid(on)]
    return [
        Option(
            place.code,
            place.name,
            parent.name if place.parent and (parent := routing.area(place.parent)) else "",
            fold(f"{place.name} {place.code}"),
            first=place.code in candidates,
        )
        for place in sorted(found, key=lambda place: (place.name, place.code))
    ]


def people(colleagues: Iterable[Colleague]) -> list[Option]:
    """Who work can be given to, or whom a case may be about."""
    return [Option(each.email, each.name, each.email, fold(f"{each.name} {each.email}")) for each in colleagues]


def named(group: str, lang: Lang, words: Words | None = None, reads: str = "vi") -> list[Option]:
    """Every code of a group with its name; a reason of refusal fills in what a citizen is told who `reads` so."""
    told = words or Words()
    filled = {code: told.refusal(code, reads) for code in REFUSALS} if group == "refusal" else {}
    return [Option(code, pair[lang == "en"], text=filled.get(code, "")) for code, pair in NAMES[group].items()]


def stated(group: str, codes: Iterable[str], lang: Lang) -> list[Option]:
    """Values of a fact with their names, in this order; those that only a rule set knows by their codes."""
    return [Option(code, name_of(group, code, lang)) for code in codes]


def other_codes(cases: Iterable[Case]) -> list[Option]:
    """Other cases somebody may mean, to be offered while a code is typed."""
    return [Option(each.code, first_line(text_in_list(each), 80)) for each in cases]


def first_line(text: str, most: int = 160) -> str:
    """The beginning of a text, on one line."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"

"""Finding cases by their words: what is searched for, and the copy of words that is searched (table `case_search`).

Words are folded (lower case, no marks), so "o ga duong" finds "Ổ gà trên đường". The vectors are made here and not by
PostgreSQL's parser, which reads "30/4" as a path and "12e5" as a number. Beside the words they hold what searches are
narrowed by, as lexemes no word can be: only a shortcut, every hit is held against the case itself (`cases.lists`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, cast, func, literal, text
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.citizens import phone_number
from cases.codes import read_code
from cases.models import Case, Entry, SearchWord
from cases.states import OPEN
from cases.views import Filters
from core.errors import Invalid
from core.staff import CENTRE_ROLES, Actor
from core.text import fold
from routing.queries import Routing

BATCH = 1_000  # journal positions a transaction
MOST_WORDS = 8  # of one query
LONGEST_WORD = 40  # bytes; what is longer is cut
MOST_POSITIONS = 10_000  # words of one case; all as long as can be, they fill half of the 1 MB a tsvector may have
MOST_SAID = 100_000  # characters of what the citizen added that are looked at: more than there are positions for
SHORTEST_PREFIX = 3  # letters typed before the last word is also taken for the beginning of one
SHORTEST_NUMBER = 4  # digits, likewise
COMPLETIONS = 60  # words one that is being typed may still become, those of most cases first
COMMON = 1_000  # cases; how many more a word stands in is not counted
AFTER_LETTERS = "{"  # sorts behind z

_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r'"([^"]*)"?|([^"]+)')
_LISTED = re.compile(r"[a-z]{3,20}")  # words in the list of words: numbers would make it endless
_PHONE = re.compile(r"(?:\+?84|0)[\d\s.()-]{7,18}")
# Of SQLSTATE: values PostgreSQL does not take, what is too large for it, and (42601) a vector it cannot read.
_OF_THE_DATA = ("22", "54", "42601")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sought:
    """What was typed, understood: a case's code, a reporter's number in E.164, or words as a tsquery. Else nothing."""

    code: str | None = None
    phone: str | None = None
    words: "Words | None" = None


@dataclass(frozen=True, slots=True)
class Words:
    """Terms of a tsquery that must all be met, and the last word if it may be the beginning of one."""

    terms: tuple[str, ...]
    growing: str | None = None


def read(q: str, actor: Actor) -> Sought:
    """Understand what this person typed. Numbers of reporters are for the centre; to others they are words."""
    if code := read_code(q):
        return Sought(code=code)
    if actor.roles & CENTRE_ROLES and _PHONE.fullmatch(q.strip()):
        try:
            return Sought(phone=phone_number(q.strip(), "query.q"))
        except Invalid:
            pass
    return Sought(words=words_query(q))


def words_query(q: str) -> Words | None:
    """All words in any order, quoted ones as they stand; the last one may still be growing. None without a word."""
    terms: list[str] = []
    count = 0
    for quoted, plain in _PART.findall(q):
        found = [_cut(word) for word in _WORD.findall(fold(quoted or plain))[: MOST_WORDS - count]]
        count += len(found)
        if quoted and found:
            terms.append("(" + " <-> ".join(f"'{word}'" for word in found) + ")")
        else:
            terms += [f"'{word}'" for word in found]
    if not terms:
        return None
    last = terms[-1].strip("'")
    if last.isdecimal() and len(last) >= SHORTEST_NUMBER:
        return Words((*terms[:-1], f"{terms[-1]}:*"))
    if _LISTED.fullmatch(last) and len(last) >= SHORTEST_PREFIX:
        return Words(tuple(terms[:-1]), last)
    return Words(tuple(terms))


def tsquery(words: Words, narrowed: str = "") -> ColumnElement[Any]:
    """The words, and what narrows them, as PostgreSQL compares them with vectors.

    A growing word is completed from the list of words that occur: as a prefix it would have PostgreSQL gather every
    case with any of them, which for "duong" is all there are.
    """
    terms = [*words.terms, *([narrowed] if narrowed else [])]
    if words.growing is None:
        return cast(" & ".join(terms), TSQUERY)
    word = col(SearchWord.word)
    known = (
        sql_select(word.label("word"))
        .where(word >= words.growing, word < words.growing + AFTER_LETTERS)
        .order_by(col(SearchWord.cases).desc(), word)  # what one report brought in crowds out no common word
        .limit(COMPLETIONS)
        .subquery("known")
    )
    listed = func.string_agg(func.quote_literal(known.c.word), " | ")
    either = sql_select(func.coalesce(listed, func.quote_literal(words.growing))).scalar_subquery()
    whole = literal(" & ".join([*terms, "("])) + either + literal(")")
    return sql_select(cast(whole, TSQUERY)).scalar_subquery()  # worked out once, not for each case


def facets(
    actor: Actor, filters: Filters, fields: Iterable[str], areas: Iterable[str], units: Iterable[str] | None
) -> str:
    """A tsquery of what the list is narrowed by, as far as vectors hold it; empty when they hold none of it.

    `fields` and `areas` are those the filter means; `units` the departments whose cases are all this person sees,
    None: all.
    """
    groups: list[list[str]] = []
    if filters.status:
        groups.append([f"=s:{status}" for status in filters.status])
    elif filters.open:
        groups.append(["=o"])
    if filters.restricted:
        groups.append(["=r"])
    if filters.assigned == "me":
        groups.append([f"=p:{actor.id}"])
    if filters.channel:
        groups.append([f"=c:{filters.channel}"])
    for department in (filters.department, filters.lead):
        if department:
            groups.append([f"=u:{department}"])
    if units:  # who works nowhere sees nothing anyway
        groups.append([f"=u:{code}" for code in sorted(units)])
    if filters.field:
        groups.append([f"=f:{code}" for code in fields])
    if filters.area:
        groups.append([f"=a:{code}" for code in areas])
    return " & ".join("(" + " | ".join(_quoted(each) for each in group) + ")" for group in groups)


def vector(case: Case, messages: Iterable[str], routing: Routing) -> tuple[str, set[str]]:
    """What the case is found by, as a tsvector literal: code, words of its citizen, place, field, lead; and facets.

    With it the words themselves, those that are completed while somebody types.
    """
    field = routing.field_rows.get(case.field or "")
    digits = re.sub(r"\D", "", case.code)
    parts = [case.code, digits, case.text, *messages, case.address or "", *_area_names(case.area, routing)]
    parts += [*([field.name] if field is not None else []), *_unit_names(case.lead, routing)]
    places: dict[str, list[int]] = {}
    number = 0
    for part in parts:
        for word in _WORD.findall(fold(part)):
            number += 1
            if number <= MOST_POSITIONS:
                places.setdefault(_cut(word), []).append(number)
        number += 1  # a phrase does not reach from one part into the next
    marks = [f"=u:{code}" for code in case.units]
    marks += [f"=f:{case.field}"] if case.field else []
    marks += [f"=a:{case.area}"] if case.area else []
    marks += [f"=s:{case.status}", f"=c:{case.channel}", *(["=o"] if case.status in OPEN else [])]
    marks += [*(["=r"] if case.restricted else []), *([f"=p:{case.officer_id}"] if case.officer_id else [])]
    words = [f"'{word}':{','.join(map(str, at[:255]))}" for word, at in places.items()]
    return " ".join([*words, *map(_quoted, marks)]), {word for word in places if _LISTED.fullmatch(word)}


def _cut(word: str) -> str:
    """A word as vectors and queries hold it."""
    return word.encode()[:LONGEST_WORD].decode(errors="ignore")


def _area_names(code: str | None, routing: Routing) -> list[str]:
    """The area's name, those of the units above it, and the same of all it was made of or has become, at any date."""
    names: dict[str, None] = {}
    for each in (code, *routing.directory.kin_areas(code)) if code is not None else ():
        place = routing.area(each)
        while place is not None and place.type != "tỉnh":
            names |= dict.fromkeys(f"{place.type} {name}" for name in place.every_name)
            place = routing.area(place.parent)
    return list(names)


def _unit_names(code: str | None, routing: Routing) -> list[str]:
    """What a department is, was and will be called, and those whose work came to it or goes on from it."""
    known = routing.directory.departments
    line = [known[each] for each in (code, *routing.directory.kin(code)) if each in known] if code is not None else []
    return list(dict.fromkeys(name for unit in line for name in (unit.name, *(worn for _, worn in unit.names))))


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


# A second worker finds the row locked and goes on with other work.
_CURSOR = text("SELECT position FROM search_cursor WHERE id = 1 FOR UPDATE SKIP LOCKED")
_NEW = text(
    """
    SELECT p.position, j.case_id, j.kind, j.data ->> 'via' AS via
    FROM journal_positions p JOIN journal j ON j.id = p.journal_id
    WHERE p.position > :after ORDER BY p.position LIMIT :limit
    """
)
_WRITE = text(
    """
    INSERT INTO case_search (case_id, received_at, tsv)
    SELECT n.id, n.at, CAST(n.tsv AS tsvector)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:tsvs AS text[])) AS n (id, at, tsv)
    ON CONFLICT (case_id) DO UPDATE SET tsv = excluded.tsv WHERE case_search.tsv <> excluded.tsv
    """
)
_KNOWN = text("SELECT case_id FROM case_search WHERE case_id = ANY(CAST(:ids AS uuid[]))")
_LIST = text(
    f"""
    INSERT INTO search_words AS w (word, cases)
    SELECT * FROM unnest(CAST(:words AS text[]), CAST(:counts AS int[]))
    ON CONFLICT (word) DO UPDATE SET cases = w.cases + excluded.cases
    WHERE excluded.cases > 0 AND w.cases < {COMMON}
    """  # noqa: S608 - a number of ours
)


async def index(session: AsyncSession, routing: Routing, at: datetime) -> int:
    """Sort in the cases that up to BATCH new journal positions speak of; the cursor moves in the same transaction.

    Returns how many positions were read: 0 when there are none or another worker is at it. Each case is written as it
    is now, so running again over the same positions changes nothing.
    """
    after = (await session.execute(_CURSOR)).scalar_one_or_none()
    if after is None:
        return 0
    rows = (await session.execute(_NEW, {"after": after, "limit": BATCH})).all()
    if not rows:
        return 0
    touched = {row.case_id for row in rows if row.case_id is not None and row.kind.startswith("case.")}
    touched |= {UUID(row.via) for row in rows if row.via is not None}
    await _write(session, routing, touched)
    await session.execute(
        text("UPDATE search_cursor SET position = :position WHERE id = 1"), {"position": rows[-1].position}
    )
    return len(rows)


async def rebuild(session: AsyncSession) -> None:
    """Have everything sorted in again, after a restore of other origin or a new way of reading words.

    What is there stays and is found meanwhile; the worker goes through the whole journal once more.
    """
    await session.execute(text("UPDATE search_cursor SET position = 0 WHERE id = 1"))


async def _write(session: AsyncSession, routing: Routing, ids: set[UUID]) -> None:
    """Sort in these cases; one whose words PostgreSQL does not take keeps no other from being found."""
    if not ids:
        return
    try:
        async with session.begin_nested():
            await _write_all(session, routing, ids)
        return
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if not state.startswith(_OF_THE_DATA):
            raise
    if len(ids) == 1:
        log.error("case not sorted in for search", case=str(*ids), sqlstate=state)
        return
    for each in sorted(ids):
        await _write(session, routing, {each})


async def _write_all(session: AsyncSession, routing: Routing, ids: set[UUID]) -> None:
    cases = (await session.exec(select(Case).where(col(Case.id).in_(ids)).order_by(col(Case.id)))).all()
    said = await _messages(session, ids)
    known = set((await session.execute(_KNOWN, {"ids": list(ids)})).scalars())
    vectors: list[str] = []
    listed: Counter[str] = Counter()
    for case in cases:
        made, words = vector(case, said.get(case.id, ()), routing)
        vectors.append(made)
        listed.update(dict.fromkeys(words, 0 if case.id in known else 1))
    rows = {"ids": [case.id for case in cases], "ats": [case.received_at for case in cases], "tsvs": vectors}
    await session.execute(_WRITE, rows)
    words_of_all = sorted(listed)
    await session.execute(_LIST, {"words": words_of_all, "counts": [listed[word] for word in words_of_all]})


async def _messages(session: AsyncSession, ids: set[UUID]) -> Mapping[UUID, list[str]]:
    """What the citizens of these cases have added, of each the first MOST_SAID characters in whole messages."""
    length = func.sum(func.length(col(Entry.text))).over(partition_by=col(Entry.case_id), order_by=col(Entry.id))
    lines = (
        sql_select(col(Entry.id), col(Entry.case_id), col(Entry.text), length.label("up_to_here"))
        .where(col(Entry.case_id).in_(ids), col(Entry.kind) == "message", col(Entry.author_kind) == "citizen")
        .subquery("lines")
    )
    statement = sql_select(lines.c.case_id, lines.c.text).where(lines.c.up_to_here <= MOST_SAID).order_by(lines.c.id)
    said: dict[UUID, list[str]] = {}
    for case_id, line in (await session.execute(statement)).all():
        said.setdefault(case_id, []).append(line)
    return said

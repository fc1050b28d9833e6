"""Sentences to citizens worded by the centre: listed, worded anew, put back as shipped. Every change is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import wording
from cases.sentences import LANGUAGES, SENTENCES, SHORT, Sentence
from cases.wording import Words
from channels.segments import Sms
from core.errors import Conflict, Invalid, NotFound
from core.ids import uuid7
from core.staff import Actor, Staff
from routing.editing.shared import begin, note
from routing.models import Wording
from routing.queries import read_wordings

HISTORY = 50  # changes shown of one wording


@dataclass(frozen=True, slots=True)
class Worded:
    """A sentence in one form and language: the words in use, whether they are the centre's, and how they read."""

    name: str
    form: str
    language: str
    text: str
    own: bool
    shipped: str  # what a reset leads to
    example: str
    sms: Sms | None  # of the example, for short forms


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a wording; `text` None: back to what is shipped."""

    id: UUID
    at: datetime
    by: str | None
    text: str | None


def worded(words: Words, name: str, form: str, language: str) -> Worded:
    """How a sentence stands. NotFound where there is no such sentence, form or language."""
    _known(name, form, language)
    text = words.template(name, form, language)
    own = dict(words.own)
    mine = own.pop((name, form, language), None)
    return Worded(
        name=name,
        form=form,
        language=language,
        text=text,
        own=mine is not None,
        shipped=Words(own, words.site).template(name, form, language),
        example=words.example(text, language),
        sms=wording.sms_length(words, text, language) if form == SHORT else None,
    )


def all_of(words: Words, sentence: Sentence) -> list[Worded]:
    """A sentence in all its forms and languages."""
    return [worded(words, sentence.name, form, language) for form in sentence.forms for language in LANGUAGES]


async def words_now(session: AsyncSession, site: str) -> Words:
    """The words as the table has them this moment: an administrator sees a change at once."""
    return Words(await read_wordings(session), site)


async def reword(
    session: AsyncSession, by: Actor, at: datetime, site: str, name: str, form: str, language: str, text: str
) -> None:
    """Word a sentence anew. Invalid says what is wrong with the text, Conflict that it is worded so already."""
    await begin(session, by)
    words = await words_now(session, site)
    tidied = checked(words, name, form, language, text)
    if tidied == words.template(name, form, language):
        raise Conflict("Câu này đang được viết như vậy.", "The sentence is worded so already.")
    await _write(session, by, at, name, form, language, tidied)


async def reset(session: AsyncSession, by: Actor, at: datetime, name: str, form: str, language: str) -> None:
    """Back to the shipped words. Conflict when they are in use already."""
    await begin(session, by)
    _known(name, form, language)
    if (name, form, language) not in await read_wordings(session):
        raise Conflict("Câu này đang dùng lời mặc định.", "The sentence has its shipped words already.")
    await _write(session, by, at, name, form, language, None)


def checked(words: Words, name: str, form: str, language: str, text: str) -> str:
    """The text as it would be kept; Invalid names everything that is wrong with it."""
    _known(name, form, language)
    tidied = wording.tidy(text)
    problems = wording.check(SENTENCES[name], form, language, tidied, words)
    if problems:
        raise Invalid(
            " ".join(each.vi for each in problems),
            " ".join(each.en for each in problems),
            errors=[{"where": "text", "detail": each.vi, "detail_en": each.en, "code": each.code} for each in problems],
        )
    return tidied


async def history(session: AsyncSession, name: str, form: str, language: str) -> Sequence[Change]:
    """Who worded it how, the newest first."""
    _known(name, form, language)
    rows = await session.exec(
        select(Wording, Staff.name)
        .outerjoin(Staff, col(Staff.id) == col(Wording.by))
        .where(Wording.name == name, Wording.form == form, Wording.language == language)
        .order_by(col(Wording.id).desc())
        .limit(HISTORY)
    )
    return [Change(row.id, row.at, person, row.text) for row, person in rows.all()]


def _known(name: str, form: str, language: str) -> None:
    if not wording.words_known(name, form, language):
        raise NotFound("Không có câu này.", "There is no such sentence.")


async def _write(
    session: AsyncSession, by: Actor, at: datetime, name: str, form: str, language: str, text: str | None
) -> None:
    person = by.id if by.kind == "staff" else None
    session.add(Wording(id=uuid7(at), name=name, form=form, language=language, text=text, at=at, by=person))
    await note(session, by, "wording.changed", name, at, form=form, language=language, shipped=text is None)

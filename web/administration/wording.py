"""Sentences to citizens (lời gửi người dân): listed, tried out, worded anew, put back as shipped."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from cases import rewording
from cases.rewording import Worded
from cases.sentences import SENTENCES, Sentence
from cases.wording import MOST, sms_length
from web.administration.edge import Admin, Body, CodeInPath, Nothing, RulesChange
from web.deps import Db, Here, Now
from web.docs import PROBLEMS

router = APIRouter(
    prefix="/api/v1/admin/wording", tags=["administration: wording"], responses=PROBLEMS, dependencies=[RulesChange]
)
Form = Annotated[Literal["long", "short"], Path(description="short: for SMS")]
Reads = Annotated[Literal["vi", "en"], Path(description="Language of the citizen")]


class SmsLength(BaseModel):
    """How many SMS the example takes."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


class WordingRow(BaseModel):
    """A sentence in one form and language; `own`: the words are the centre's."""

    form: Literal["long", "short"]
    language: Literal["vi", "en"]
    text: str
    own: bool
    shipped: str
    example: str
    sms: SmsLength | None


class SentenceRow(BaseModel):
    """A sentence: the places it must have (`needs`) and all it may have, and its words."""

    name: str
    title: str
    title_en: str
    needs: list[str]
    places: list[str]
    wordings: list[WordingRow]


class Sentences(BaseModel):
    """All sentences."""

    items: list[SentenceRow]


class NewWords(Body):
    """The words, with places as {code}."""

    text: Annotated[str, Field(max_length=2 * MOST)]


class Tried(BaseModel):
    """How words would read; `text` as it would be kept."""

    text: str
    example: str
    sms: SmsLength | None


class ChangeRow(BaseModel):
    """A change; `text` null: put back as shipped."""

    at: datetime
    by: str | None
    text: str | None


class History(BaseModel):
    """The newest first."""

    items: list[ChangeRow]


@router.get("")
async def listed(session: Db, who: Admin, here: Here) -> Sentences:
    """Every sentence with its words in all forms and languages."""
    words = await rewording.words_now(session, here.site)
    return Sentences(items=[_row(each, rewording.all_of(words, each)) for each in SENTENCES.values()])


@router.get("/{sentence}/{form}/{language}")
async def one(session: Db, who: Admin, here: Here, sentence: CodeInPath, form: Form, language: Reads) -> WordingRow:
    """A sentence in one form and language."""
    return _shown(rewording.worded(await rewording.words_now(session, here.site), sentence, form, language))


@router.put("/{sentence}/{form}/{language}")
async def reword(
    session: Db, who: Admin, at: Now, here: Here, sentence: CodeInPath, form: Form, language: Reads, body: NewWords
) -> WordingRow:
    """Word it anew; 422 names every place that is unknown or missing, 409 when it is worded so already."""
    await rewording.reword(session, who, at, here.site, sentence, form, language, body.text)
    return _shown(rewording.worded(await rewording.words_now(session, here.site), sentence, form, language))


@router.post("/{sentence}/{form}/{language}/reset")
async def reset(
    session: Db,
    who: Admin,
    at: Now,
    here: Here,
    sentence: CodeInPath,
    form: Form,
    language: Reads,
    body: Nothing | None = None,
) -> WordingRow:
    """Back to the shipped words; 409 when they are in use already."""
    await rewording.reset(session, who, at, sentence, form, language)
    return _shown(rewording.worded(await rewording.words_now(session, here.site), sentence, form, language))


@router.post("/{sentence}/{form}/{language}/try")
async def try_out(
    session: Db, who: Admin, here: Here, sentence: CodeInPath, form: Form, language: Reads, body: NewWords
) -> Tried:
    """How words would read, with an example; nothing is kept. 422 says what is wrong with them."""
    words = await rewording.words_now(session, here.site)
    text = rewording.checked(words, sentence, form, language, body.text)
    length = SmsLength.model_validate(sms_length(words, text, language), from_attributes=True)
    return Tried(text=text, example=words.example(text, language), sms=length if form == "short" else None)


@router.get("/{sentence}/{form}/{language}/history")
async def history(session: Db, who: Admin, sentence: CodeInPath, form: Form, language: Reads) -> History:
    """Who worded it how and when."""
    changes = await rewording.history(session, sentence, form, language)
    return History(items=[ChangeRow(at=each.at, by=each.by, text=each.text) for each in changes])


def _row(sentence: Sentence, rows: list[Worded]) -> SentenceRow:
    return SentenceRow(
        name=sentence.name,
        title=sentence.title[0],
        title_en=sentence.title[1],
        needs=list(sentence.needs),
        places=list(sentence.places),
        wordings=[_shown(each) for each in rows],
    )


def _shown(row: Worded) -> WordingRow:
    return WordingRow.model_validate(row, from_attributes=True)

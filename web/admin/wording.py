"""Sentences to citizens on pages: listed, tried out with an example, worded anew, put back as shipped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import rewording
from cases.rewording import Change, Worded
from cases.sentences import LANGUAGES, LONG, SENTENCES, SHORT, Sentence
from cases.wording import PLACES, Words, sms_length, words_known
from channels.segments import Sms
from core.errors import NotFound
from web.admin.ground import Admin, Filled, Word, again, texts, trying
from web.administration.edge import CodeInPath, RulesChange
from web.deps import Db, Here, Now
from web.pages import FromHere, PageForm
from web.rendering import go, language_of, render
from web.state import State

router = APIRouter(include_in_schema=False, dependencies=[FromHere, RulesChange])
PATH = "/admin/wording"


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence in the list: the Vietnamese words, how long the SMS is, in how many variants the centre's own."""

    sentence: Sentence
    title: str
    text: str
    sms: Sms | None
    own: int


@dataclass(frozen=True, slots=True)
class WordingsPage:
    """All sentences in three groups."""

    groups: Sequence[tuple[str, Sequence[Line]]]


@dataclass(frozen=True, slots=True)
class WordingPage:
    """One sentence in one form and language; `example` and `sms` are of what stands in the form."""

    sentence: Sentence
    title: str
    now: Worded
    variants: Sequence[Worded]
    places: Sequence[tuple[str, str, bool]]  # place, what it is, whether it must be there
    form: Filled
    example: str | None
    sms: Sms | None
    history: Sequence[Change]


@router.get(PATH)
async def listed(request: Request, session: Db, who: Admin, here: Here) -> Response:
    """All sentences."""
    words = await rewording.words_now(session, here.site)
    english = language_of(request) == "en"
    groups: dict[str, list[Line]] = {"notices": [], "refusals": [], "titles": []}
    for sentence in SENTENCES.values():
        rows = rewording.all_of(words, sentence)
        short = next((row for row in rows if (row.form, row.language) == (SHORT, "vi")), None)
        group = "titles" if sentence.line else "refusals" if sentence.name.startswith("refused") else "notices"
        groups[group].append(
            Line(
                sentence,
                sentence.title[english],
                words.template(sentence.name),
                short.sms if short else None,
                sum(row.own for row in rows),
            )
        )
    return render(request, "admin/wordings.html", WordingsPage(list(groups.items())), who=who)


@router.get(PATH + "/{sentence}")
async def first(who: Admin, sentence: CodeInPath) -> Response:
    """A sentence: its long Vietnamese form."""
    if sentence not in SENTENCES:
        raise NotFound("Không có câu này.", "There is no such sentence.")
    return go(f"{PATH}/{sentence}/{LONG}/vi")


@router.get(PATH + "/{sentence}/{form}/{language}")
async def one(
    request: Request,
    session: Db,
    who: Admin,
    here: Here,
    sentence: CodeInPath,
    form: CodeInPath,
    language: CodeInPath,
    done: Word = "",
) -> Response:
    """One sentence in one form and language."""
    words, now = await _now(session, here, sentence, form, language)
    return await _show(request, session, who, words, now, Filled({"text": now.text}, done=done))


@router.post(PATH + "/{sentence}/{form}/{language}")
async def reword(
    request: Request,
    session: Db,
    who: Admin,
    here: Here,
    at: Now,
    given: PageForm,
    sentence: CodeInPath,
    form: CodeInPath,
    language: CodeInPath,
) -> Response:
    """Word it anew, or with `try` only show how it would read."""
    words, now = await _now(session, here, sentence, form, language)
    values = texts(given, "text")
    async with trying(session) as trial:
        if given.flag("try"):
            values["text"] = rewording.checked(words, sentence, form, language, values["text"])
        else:
            await rewording.reword(session, who, at, here.site, sentence, form, language, values["text"])
    if trial.refused:
        told = again(request, trial.refused, values)
        if told.wrong:  # everything at once, not one after the other
            told = replace(told, wrong={"text": trial.refused.en if language_of(request) == "en" else trial.refused.vi})
        return await _show(request, session, who, words, now, told)
    if given.flag("try"):
        return await _show(request, session, who, words, now, Filled(values))
    return go(f"{PATH}/{sentence}/{form}/{language}?done=saved")


@router.post(PATH + "/{sentence}/{form}/{language}/reset")
async def reset(
    request: Request,
    session: Db,
    who: Admin,
    here: Here,
    at: Now,
    sentence: CodeInPath,
    form: CodeInPath,
    language: CodeInPath,
) -> Response:
    """Back to the shipped words."""
    words, now = await _now(session, here, sentence, form, language)
    async with trying(session) as trial:
        await rewording.reset(session, who, at, sentence, form, language)
    if trial.refused:
        told = again(request, trial.refused, {})
        return await _show(request, session, who, words, now, Filled({"text": now.text}, alert=told.alert))
    return go(f"{PATH}/{sentence}/{form}/{language}?done=reset")


async def _now(session: AsyncSession, here: State, sentence: str, form: str, language: str) -> tuple[Words, Worded]:
    if not words_known(sentence, form, language):
        raise NotFound("Không có câu này.", "There is no such sentence.")
    words = await rewording.words_now(session, here.site)
    return words, rewording.worded(words, sentence, form, language)


async def _show(
    request: Request, session: AsyncSession, who: Admin, words: Words, now: Worded, form: Filled
) -> Response:
    sentence, english = SENTENCES[now.name], language_of(request) == "en"
    text = str(form.values.get("text", now.text))
    readable = not form.wrong and not form.alert
    page = WordingPage(
        sentence=sentence,
        title=sentence.title[english],
        now=now,
        variants=[
            rewording.worded(words, now.name, each, language) for each in sentence.forms for language in LANGUAGES
        ],
        places=[(place, PLACES[place][english], place in sentence.needs) for place in sentence.places],
        form=form,
        example=words.example(text, now.language) if readable else None,
        sms=sms_length(words, text, now.language) if readable and now.form == SHORT else None,
        history=await rewording.history(session, now.name, now.form, now.language),
    )
    return render(request, "admin/wording.html", page, who=who, status=form.status)

"""What the administration's pages share: who may, lists by page, and forms that are done or shown again."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.desk import invalid_body
from core.errors import Conflict, DomainError, Invalid
from core.staff import MANAGE, Actor
from routing.editing.shared import Finding
from web.administration.edge import page_of
from web.pages import Form, Looking
from web.rendering import language_of

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
ROWS = 60
Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
Pair = tuple[str, str]  # a code and what it is called


async def _admin(who: Looking) -> Actor:
    who.require(MANAGE)
    return who


Admin = Annotated[Actor, Depends(_admin)]


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a list: how many there are in all, what it is narrowed by, where it goes on."""

    rows: Sequence[T]
    total: int
    chosen: Mapping[str, str]
    next: str | None


def listing(request: Request, found: Sequence[T], key: Callable[[T], str]) -> Listing[T]:
    """The page of `found` that the address asks for. Invalid for a cursor of no row."""
    given = {name: value for name, value in request.query_params.items() if value}
    page = page_of(found, key, given.pop("cursor", None), ROWS)
    after = {**given, "cursor": page.next_cursor}
    more = f"{request.url.path}?{urlencode(after)}" if page.next_cursor else None
    return Listing(page.items, len(found), given, more)


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it stands: what is in it, what is wrong with that, and what the act before it led to."""

    values: Mapping[str, Any] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    alert: str = ""
    findings: Sequence[Finding] = ()
    done: str = ""  # a key of the sentences in admin/parts.html

    @property
    def status(self) -> int:
        """Of the page that shows it."""
        return 422 if self.wrong or self.alert else 200


@dataclass(slots=True)
class Trial:
    """What became of an edit."""

    refused: DomainError | None = None


@asynccontextmanager
async def trying(session: AsyncSession) -> AsyncIterator[Trial]:
    """An edit that is taken back as a whole when it is refused, so that its form can be shown again."""
    trial = Trial()
    try:
        async with session.begin_nested():
            yield trial
    except (Invalid, Conflict) as refused:
        trial.refused = refused


def again(request: Request, refused: DomainError, values: Mapping[str, Any], *known: str) -> Filled:
    """The form once more with what was typed; what belongs to none of its members (or `known`) stands above it."""
    english = language_of(request) == "en"
    wrong: dict[str, str] = {}
    other: list[str] = []
    for error in refused.errors:
        where = str(error["where"])
        member = where if where in (*values, *known) else where.partition(".")[0]
        own = error.get("detail_en") or (refused.en if len(refused.errors) == 1 else "")
        told = str((english and own) or error["detail"])
        if member in values or member in known:
            wrong.setdefault(member, told)
        else:
            other.append(told)
    alert = " ".join(other)
    if not wrong and not alert:
        alert = refused.en if english else refused.vi
    return Filled(values, wrong, alert)


def read(model: type[Model], members: Mapping[str, Any]) -> Model:
    """A form's members as the body of the same act over JSON; Invalid names those that do not fit."""
    try:
        return model.model_validate(dict(members))
    except ValidationError as problem:
        raise invalid_body(problem) from None


def texts(form: Form, *names: str) -> dict[str, Any]:
    """These members as they were typed."""
    return {name: form.text(name) for name in names}


def nulled(values: Mapping[str, Any], *kept: str) -> dict[str, Any]:
    """Empty texts as null, but for the members that may not be empty."""
    return {name: None if value == "" and name not in kept else value for name, value in values.items()}


def given(values: Mapping[str, Any], *kept: str) -> dict[str, Any]:
    """Without empty texts, but for the members that may not be empty."""
    return {name: value for name, value in values.items() if value != "" or name in kept}


def by_name(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs in the order of their names."""
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))

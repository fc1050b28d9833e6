"""The centre's mode: the page on which a supervisor switches it, the banner, and the same for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from routing import modes
from routing.modes import LONGEST_REASON, SWITCH, Spell
from routing.queries import read_mode
from web.admin.ground import Filled, again, trying
from web.administration.edge import RulesChange
from web.deps import Db, Here, Now, Rules, Who
from web.docs import PROBLEMS
from web.pages import FromHere, Looking, PageForm
from web.rendering import go, render
from web.state import State

router = APIRouter(prefix="/api/v1/mode", tags=["mode"], responses=PROBLEMS, dependencies=[RulesChange])
pages = APIRouter(prefix="/console/mode", include_in_schema=False, dependencies=[FromHere, RulesChange])


class ModeAnswer(BaseModel):
    """The mode new cases are opened under; `since` and `reason` are null in normal times."""

    mode: Literal["normal", "epidemic", "disaster"]
    since: datetime | None
    reason: str | None


class SwitchIn(BaseModel):
    """Which mode, and why."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["epidemic", "disaster"]
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]


class EndIn(BaseModel):
    """Nothing needs to be said."""

    model_config = ConfigDict(extra="forbid")


@router.get("")
async def present(session: Db, who: Who, here: Here) -> ModeAnswer:
    """The centre's mode now."""
    return _told(await modes.spells(session), here)


@router.post("")
async def switch(session: Db, who: Who, here: Here, at: Now, given: SwitchIn) -> ModeAnswer:
    """Put the centre into a mode, for cases opened from now on; 409 when it is on already."""
    await modes.switch(session, who, given.mode, given.reason, at)
    return _told(await modes.spells(session), here)


@router.post("/end")
async def end(session: Db, who: Who, here: Here, at: Now, given: EndIn | None = None) -> ModeAnswer:
    """Back to normal times; 409 when these are normal times."""
    await modes.end(session, who, at)
    return _told(await modes.spells(session), here)


def _told(spells: Sequence[Spell], here: State) -> ModeAnswer:
    running = next((each for each in spells if each.until is None), None)
    if running is None:
        return ModeAnswer(mode="normal", since=None, reason=None)
    since = running.since.astimezone(here.settings.zone)
    return ModeAnswer.model_validate({"mode": running.mode, "since": since, "reason": running.reason})


@dataclass(frozen=True, slots=True)
class ModePage:
    """What is on, what was, and the form that switches."""

    mode: str
    running: Spell | None
    past: Sequence[Spell]
    form: Filled


@pages.get("")
async def page(request: Request, session: Db, who: Looking) -> Response:
    """The mode and how it came about."""
    who.require(SWITCH)
    return await _page(request, session, who, Filled())


@pages.get("/banner")
async def banner(request: Request, who: Looking, routing: Rules) -> Response:
    """The banner again, for pages that stay open for hours."""
    return render(request, "mode_banner.html", None, who=who)


@pages.post("")
async def switch_here(request: Request, session: Db, who: Looking, at: Now, form: PageForm) -> Response:
    """Switch, or the form again with what is wrong."""
    who.require(SWITCH)
    values = {"mode": form.text("mode"), "reason": form.text("reason")}
    async with trying(session) as trial:
        await modes.switch(session, who, values["mode"], values["reason"], at)
    if trial.refused is not None:
        return await _page(request, session, who, again(request, trial.refused, values))
    return go("/console/mode")


@pages.post("/end")
async def end_here(request: Request, session: Db, who: Looking, at: Now) -> Response:
    """Back to normal times; that somebody else was quicker is no fault."""
    who.require(SWITCH)
    async with trying(session):
        await modes.end(session, who, at)
    return go("/console/mode")


async def _page(request: Request, session: Db, who: Looking, form: Filled) -> Response:
    spells = await modes.spells(session)
    running = next((each for each in spells if each.until is None), None)
    past = [each for each in spells if each.until is not None]
    shown = ModePage(await read_mode(session), running, past, form)
    return render(request, "mode.html", shown, who=who, status=form.status)

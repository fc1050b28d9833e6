"""The staff's side: lists, a case, every action of the table."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from cases import looks
from cases.actions import conversation  # noqa: F401 - registers all actions
from cases.bodies import Forward, Kind, Urgency
from cases.desk import HANDLERS, Office, perform
from cases.explain import story
from cases.intake import Opened, open_case
from cases.lists import list_cases
from cases.models import Case
from cases.queries import case_by_code, case_file, timeline
from cases.replies import REFUSALS
from cases.states import STAFF_ACTIONS, Action
from cases.wording import Words
from core.db import bare
from core.errors import Invalid
from core.files import Upload, take
from core.staff import Actor
from hotline import tasks
from ioc.behind import cases_behind
from web.answers import CasePage, OpenedCase, Reason, StaffCase, Timeline
from web.bodies import is_multipart, read_body, read_form, read_members
from web.deps import SAFE, AtOffice, Db, Here, Now, Rules, Who, desk_of, who_of
from web.docs import PROBLEMS, answers, json_body, multipart_body
from web.filtering import Narrowing
from web.reports import Receipt, ReportIn, to_report, with_files
from web.shapes import case_rows, case_to_staff, when, zone_of
from web.state import State


async def _read_first(request: Request, here: Here, at: Now) -> None:
    """The body is here before a connection is taken for the request; files are read of who is signed in only."""
    if request.method in SAFE:
        return
    if not is_multipart(request):
        await request.body()
        return
    async with here.database.transaction() as session:
        await who_of(request, here, session, at)
    await read_form(request)


# A router's own dependencies come before those of its routes.
router = APIRouter(prefix="/api/v1", tags=["cases"], responses=PROBLEMS, dependencies=[Depends(_read_first)])

StaffChannel = Literal["voice", "counter", "web", "app", "zalo", "facebook", "telegram", "email", "sms", "open311"]


class StaffReportIn(ReportIn):
    """A report entered for a caller or visitor."""

    source: Literal["web", "app"] = "web"
    channel: StaffChannel = "voice"
    urgency: Urgency | None = None
    kind: Kind | None = None
    forward: Forward | None = None


@router.get("/cases", response_model=None, responses=answers(CasePage, description="A page of cases"))
async def cases(session: Db, who: Who, routing: Rules, at: Now, given: Annotated[Narrowing, Query()]) -> dict[str, Any]:
    """Cases this person may see. `status` may be repeated or comma separated.

    `q` is a code, words of the report, its messages or its place with or without marks ("…" for words as they stand),
    or, for the centre, the number a citizen reports from. A `cursor` belongs to its `order`.
    """
    behind = given.behind(who, routing, at)
    page = await list_cases(
        session,
        who,
        given.filters(),
        routing,
        at,
        cursor=given.cursor,
        limit=given.limit,
        order=given.order,
        also=[cases_behind(behind)] if behind else [],
    )
    return {"items": case_rows(page, routing), "next_cursor": page.next_cursor}


@router.post(
    "/cases",
    status_code=201,
    response_model=None,
    responses=answers(OpenedCase | Receipt, 201, "The case just opened; of one on a restricted track the receipt"),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {**json_body(StaffReportIn), **multipart_body(StaffReportIn, "attachments")},
        }
    },
)
async def open_for_somebody(
    request: Request,
    response: Response,
    here: Here,
    session: Db,
    who: Who,
    office: AtOffice,
    at: Now,
    idempotency_key: Annotated[str | None, Header(max_length=200, pattern=r"^[\x21-\x7e]+$")] = None,
) -> dict[str, Any]:
    """Open a case for a caller or visitor, and forward it at once if asked to."""
    who.require("case.open")
    given, uploads = await read_body(request, StaffReportIn)
    opened, case = await open_report(session, here, office, who, given, uploads, idempotency_key, at)
    if case.restricted:  # out of this person's sight already: all they get is what the caller is told
        return opened.answer
    shown = await _shown(response, session, case, who, office, at)
    return {**shown, "tracking_key": opened.answer["tracking_key"]}


async def open_report(
    session: AsyncSession,
    here: State,
    office: Office,
    who: Actor,
    given: StaffReportIn,
    uploads: list[Upload],
    key: str | None,
    at: datetime,
) -> tuple[Opened, Case]:
    """Open the case of a report that was told to this person, and forward it at once if asked to; once per key."""
    report = to_report(given, office.routing, channel=given.channel, urgency=given.urgency, kind=given.kind)
    if uploads:
        report = with_files(report, await take(uploads, here.files, at=at, use_location=given.use_photo_location))
    opened = await open_case(
        await bare(session),
        desk_of(here, office.routing),
        report,
        key=key or str(uuid.uuid4()),
        at=at,
        actor=who,
        account="centre",
    )
    case = (await session.exec(select(Case).where(Case.id == opened.case_id))).one()
    if given.forward is not None and not opened.replayed and not case.restricted:
        await perform(session, office, who, case.id, Action.FORWARD, given.forward.model_dump(), at)
    if case.channel == "voice" and not opened.replayed and (phone := case.contact.get("phone")):
        await tasks.reached(session, who, phone, case, at)
    return opened, case


@router.get("/cases/{code}", response_model=None, responses=answers(StaffCase, description="The case"))
async def case(response: Response, session: Db, who: Who, office: AtOffice, at: Now, code: str) -> dict[str, Any]:
    """One case with everything this person may see; `ETag` is its version."""
    found = await case_by_code(session, who, code)
    await looks.note(session, who, found, "api", at)
    return await _shown(response, session, found, who, office, at)


@router.get("/cases/{code}/timeline", response_model=None, responses=answers(Timeline, description="Its history"))
async def case_timeline(session: Db, who: Who, routing: Rules, at: Now, code: str) -> dict[str, Any]:
    """What happened, oldest first."""
    found = await case_by_code(session, who, code)
    await looks.note(session, who, found, "timeline", at)
    zone = zone_of(routing)
    items = await timeline(session, found, internal=True)
    return {"items": [{**item, "at": when(item["at"], zone)} for item in items]}


@router.get("/cases/{code}/explain")
async def explain(session: Db, who: Who, routing: Rules, at: Now, code: str) -> dict[str, Any]:
    """Which rules matched and which did not and why, the deadlines hour by hour, and every later change in order."""
    found = await case_by_code(session, who, code)
    await looks.note(session, who, found, "explain", at)
    return await story(session, found, routing)


@router.get("/refusal-reasons", response_model=list[Reason])
async def refusal_reasons(who: Who, routing: Rules) -> list[dict[str, str]]:
    """Reasons a report may be refused for, with the text the citizen gets."""
    words = Words(routing.wordings)
    return [{"code": code, "name": name, "text": words.refusal(code)} for code, name in REFUSALS.items()]


async def _shown(
    response: Response, session: Db, case: Case, who: Actor, office: Office, at: datetime
) -> dict[str, Any]:
    response.headers["ETag"] = f'"{case.version}"'
    return case_to_staff(await case_file(session, case, at), who, office.routing)


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    plain = if_match.strip().removeprefix("W/").strip('"')
    if not (plain.isascii() and plain.isdigit()) or len(plain) > 9:
        raise Invalid.at("If-Match", 'If-Match phải có dạng "7".', 'If-Match must look like "7".')
    return int(plain)


def _route(action: Action) -> None:
    shape, handler = HANDLERS[action]

    async def act(
        request: Request,
        response: Response,
        here: Here,
        session: Db,
        who: Who,
        office: AtOffice,
        at: Now,
        code: str,
        if_match: Annotated[str | None, Header(max_length=40)] = None,
    ) -> dict[str, Any]:
        version = _version(if_match)
        members, uploads = await read_members(request)
        if uploads:
            await case_by_code(session, who, code)  # nothing of a stranger's is stored
        files = tuple(await take(uploads, here.files, at=at)) if uploads else ()

        async def present(case: Case) -> dict[str, Any]:
            if case.restricted:  # the refusal undoes its transaction, and with it the line that says who looked
                return {"code": case.code, "version": case.version}
            return case_to_staff(await case_file(session, case, at), who, office.routing)

        done = await perform(
            session, office, who, code, action, members, at, files=files, if_version=version, present=present
        )
        await looks.note(session, who, done, "act", at)
        return await _shown(response, session, done, who, office, at)

    content = {**json_body(shape), **multipart_body(shape, "attachments")}
    router.add_api_route(
        f"/cases/{{code}}/{action.value}",
        act,
        methods=["POST"],
        name=action.value,
        response_model=None,
        responses=answers(StaffCase, description="The case as it is now"),
        summary=(handler.__doc__ or action.value).strip().splitlines()[0],
        description=(handler.__doc__ or "").strip(),
        openapi_extra={"requestBody": {"required": False, "content": content}},
    )


for _action in STAFF_ACTIONS:
    _route(_action)

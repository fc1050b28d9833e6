"""Rule sets: read, kept as drafts, copied to a later day, checked, put in force, withdrawn."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from cases.bodies import no_controls
from core.errors import Invalid, UnknownType
from core.files import take
from routing.editing import rule_desk, rule_sets
from routing.editing.rule_desk import FileLine
from routing.editing.rule_sets import LONGEST_TEXT, RuleSetChange, RuleSetHead, RuleSetView
from routing.editing.shared import Finding
from web.administration.edge import Admin, Body, Nothing, RulesChange
from web.attachments import send
from web.bodies import is_multipart, read_form
from web.deps import Db, Here, Now
from web.docs import PROBLEMS, multipart_body

router = APIRouter(
    prefix="/api/v1/admin/rule-sets",
    tags=["administration: rule sets"],
    responses=PROBLEMS,
    dependencies=[RulesChange],
)

YAML = "application/yaml"


class RuleSetText(Body):
    """A rule set as YAML text."""

    yaml: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(no_controls)]


class NextVersion(Body):
    """From which day a copy of a set is to hold, and the document that says so."""

    valid_from: date
    source: Annotated[str, Field(max_length=500), AfterValidator(no_controls)] = ""


class RuleSets(BaseModel):
    """Every rule set."""

    items: list[RuleSetHead]


class Files(BaseModel):
    """Files of the document a set comes from."""

    items: list[FileLine]


class Findings(BaseModel):
    """What the checker finds, errors first; with an error among them the set cannot be put in force."""

    items: list[Finding]


@router.get("")
async def listed(session: Db, who: Admin, at: Now) -> RuleSets:
    """Every rule set, the latest first."""
    return RuleSets(items=await rule_sets.listed(session, at))


@router.post("", status_code=201)
async def store(session: Db, who: Admin, at: Now, body: RuleSetText) -> RuleSetChange:
    """Keep a draft, whatever the checker finds; 422 with a line for each place when it cannot be read."""
    return await rule_sets.store(session, who, at, body.yaml)


@router.get("/{rule_set}")
async def one(session: Db, who: Admin, at: Now, rule_set: UUID) -> RuleSetView:
    """A rule set as tables."""
    return await rule_sets.one(session, rule_set, at)


@router.put("/{rule_set}")
async def rewrite(session: Db, who: Admin, at: Now, rule_set: UUID, body: RuleSetText) -> RuleSetChange:
    """Another text for a draft; 409 when it is no draft any more."""
    return await rule_sets.rewrite(session, who, at, rule_set, body.yaml)


@router.delete("/{rule_set}", status_code=204)
async def delete(session: Db, who: Admin, at: Now, rule_set: UUID) -> Response:
    """Forget a draft; 409 for a set that holds or held."""
    await rule_sets.delete(session, who, at, rule_set)
    return Response(status_code=204)


@router.get(
    "/{rule_set}/yaml",
    response_class=Response,
    responses={200: {"content": {YAML: {"schema": {"type": "string"}}}, "description": "The rule set as YAML"}},
)
async def yaml(session: Db, who: Admin, rule_set: UUID) -> Response:
    """The rule set as YAML that may be stored again."""
    return Response(await rule_sets.yaml_of(session, rule_set), media_type=YAML)


@router.get("/{rule_set}/files")
async def files(session: Db, who: Admin, at: Now, rule_set: UUID) -> Files:
    """The files of the document the set comes from."""
    return Files(items=await rule_desk.files_of(session, rule_set))


@router.post(
    "/{rule_set}/files",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": multipart_body(Nothing, "attachments")}},
)
async def attach(request: Request, session: Db, here: Here, who: Admin, at: Now, rule_set: UUID) -> Files:
    """Keep files of the document (PDF, DOCX, pictures), also with a set that holds; 409 when it has too many."""
    if not is_multipart(request):
        raise UnknownType("Tệp gửi bằng multipart/form-data.", "Files come as multipart/form-data.")
    members, uploads = await read_form(request)
    if members or not uploads:
        raise Invalid.at("attachments", "Cần ít nhất một tệp, ngoài ra không gì khác.", "Files, and nothing else.")
    await rule_sets.found(session, rule_set)
    for stored in await take(uploads, here.files, at=at):
        await rule_desk.attach(session, who, at, rule_set, stored)
    return Files(items=await rule_desk.files_of(session, rule_set))


@router.get(
    "/{rule_set}/files/{file}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The bytes, by their own type"}},
)
async def download(session: Db, here: Here, who: Admin, rule_set: UUID, file: UUID) -> Response:
    """The bytes of a file."""
    return await send(here, await rule_desk.file_of(session, rule_set, file), None)


@router.delete("/{rule_set}/files/{file}", status_code=204)
async def detach(session: Db, who: Admin, at: Now, rule_set: UUID, file: UUID) -> Response:
    """Take a file from a draft; 409 for a set that holds or held."""
    await rule_desk.detach(session, who, at, rule_set, file)
    return Response(status_code=204)


@router.get("/{rule_set}/check")
async def check(session: Db, who: Admin, at: Now, rule_set: UUID) -> Findings:
    """What the checker finds with departments, fields and areas as they are now; lines are those of the YAML."""
    return Findings(items=list(await rule_sets.check(session, rule_set, at)))


@router.post("/{rule_set}/check")
async def mark_checked(session: Db, who: Admin, at: Now, rule_set: UUID, body: Nothing | None = None) -> RuleSetChange:
    """Ask the checker; without an error the draft is `checked` until its next edit."""
    return await rule_desk.mark_checked(session, who, at, rule_set)


@router.post("/{rule_set}/next", status_code=201)
async def next_version(session: Db, who: Admin, at: Now, rule_set: UUID, body: NextVersion) -> RuleSetHead:
    """A copy of the set as a draft of the next version, to hold from `valid_from` on."""
    return await rule_desk.next_version(session, who, at, rule_set, body.valid_from, body.source)


@router.post("/{rule_set}/withdraw")
async def withdraw(session: Db, who: Admin, at: Now, rule_set: UUID, body: Nothing | None = None) -> RuleSetHead:
    """Make a set that waits for its first day a draft again; 409 once it holds."""
    return await rule_desk.withdraw(session, who, at, rule_set)


@router.post("/{rule_set}/activate")
async def activate(session: Db, who: Admin, at: Now, rule_set: UUID, body: Nothing | None = None) -> RuleSetChange:
    """Put a draft in force from its day on; 409 says why it cannot be."""
    return await rule_sets.activate(session, who, at, rule_set)

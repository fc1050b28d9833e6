"""The OpenAPI document is true: whatever is sent, the answer is one that is documented, in the documented shape.

Requests are made by Schemathesis from the document, for every operation, fitting and not fitting, signed in and not,
with codes that exist and that do not.
"""

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from httpx import AsyncClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from cases.codes import tracking_key
from core import auth
from core.db import Database
from core.ids import uuid7
from core.settings import Settings
from core.staff import Role, RoleGrant, Staff, StaffDepartment
from tests.factories import LEAD, NEVER_ENDS, As, Drive, a_photo, a_report, case_of, done, settle, state
from web.app import build

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
with tempfile.TemporaryDirectory(prefix="1022-document-") as _folder:  # the document says nothing of it
    DOCUMENT = build(
        Settings(data_dir=Path(_folder), database_url="postgresql://none/none", secret_key="k" * 40),
        Database("postgresql://none/none"),
        {},
    ).openapi()
STATUSES = ("received", "forwarded", "in_progress", "answered", "replied", "closed", "refused")
LABELS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]


@dataclass(frozen=True)
class World:
    """A running server with cases in many states."""

    url: str
    token: str
    codes: dict[str, str]  # status → code
    keys: dict[str, str]  # code → tracking key
    attachment: str
    others: dict[str, str]  # what the administration's paths may name
    schema: Any

    def operation(self, label: str) -> Any:
        """One operation of the document, bound to the server."""
        path, method = label.split(" ")[::-1]
        return self.schema[path][method.lower()]


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The application on a port of its own, in a thread with an event loop of its own; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
async def world(app: FastAPI, client: AsyncClient, as_: As, drive: Drive) -> AsyncIterator[World]:
    """Cases in many states, an account that may do everything, and a server over the same database and files."""
    here = state(app)
    codes, keys = {}, {}
    for status in STATUSES:
        code, keys[code] = await a_report(client, contact={"name": "Trần Thị Lan", "phone": "0912345678"})
        await drive(code, status)
        codes[status] = code
    await done(as_("agent"), codes["replied"], "publish", {"public_text": "Đã vá ổ gà trước chợ."})
    photo = {"attachments": ("a.jpg", a_photo(), "image/jpeg")}
    attached = await as_("officer").post(f"/api/v1/cases/{codes['in_progress']}/attach", files=photo)
    await settle(app)
    async with here.database.transaction() as session:
        at = here.clock()
        person = Staff(id=uuid7(at), email="everything@demo", name="Tất cả", password_hash="-", created_at=at)
        session.add(person)
        await session.flush()
        session.add_all(RoleGrant(staff_id=person.id, role=role, granted_at=at) for role in Role)
        session.add(StaffDepartment(staff_id=person.id, department=LEAD))
        token = await auth.sign_in(session, person.id, "bearer", NEVER_ENDS)
        for code in codes.values():
            case = await case_of(session, code)
            assert keys[code] == tracking_key(here.key, case.id, 1)
    others = await to_administrate(as_("admin"))
    database = Database(here.database.dsn, pool=6)
    with serving(build(here.settings, database, here.adapters, demo=True)) as url:
        schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
        yield World(url, token, codes, keys, attached.json()["attachments"][0]["id"], others, schema)


async def to_administrate(admin: AsyncClient) -> dict[str, str]:
    """Something of everything that administrators change, and that nothing else in this file needs."""
    made = {}
    for path, body, name in (
        ("departments", {"code": "so-thu", "name": "Sở Thử", "kind": "so_xd"}, "department"),
        ("fields", {"code": "trial", "name": "Thử"}, "field"),
        ("areas", {"code": "thu", "name": "Thử", "type": "xã", "parent": "dn"}, "area"),
        ("calendars", {"department": "so-thu"}, "calendar"),
        ("staff", {"email": "trial@demo", "name": "Thử"}, "person"),
    ):
        answer = await admin.post(f"/api/v1/admin/{path}", json=body)
        assert answer.status_code == 201, answer.text
        made[name] = body.get("code") or body.get("department") or answer.json()["person"]["id"]
    text_ = "ruleset: {code: trial, valid_from: 2199-01-01}"
    stored = await admin.post("/api/v1/admin/rule-sets", json={"yaml": text_})
    return {**made, "rule_set": stored.json()["rule_set"]["id"]}


def made_real(case: Any, world: World, status: str) -> None:
    """Names a case, key and file that exist where the operation asks for one."""
    code = world.codes[status]
    if "code" in case.path_parameters:
        case.path_parameters["code"] = code
        case.headers["Tracking-Key"] = world.keys[code]
    if "attachment_id" in case.path_parameters:
        case.path_parameters["attachment_id"] = world.attachment
    for name, value in world.others.items():
        if name in case.path_parameters:
            case.path_parameters[name] = value


@pytest.mark.parametrize("signed_in", [True, False], ids=["staff", "anonymous"])
@pytest.mark.parametrize("label", LABELS)
def test_every_answer_is_documented(world: World, label: str, signed_in: bool) -> None:
    operation = world.operation(label)
    headers = {"Authorization": f"Bearer {world.token}"} if signed_in else {}
    # Signing out is tried without the one token all others need.
    if label == "DELETE /api/v1/auth/session":
        headers = {}
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @seed(1022)
    @settings(
        max_examples=16 if signed_in or "reports" in label else 4,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, real=st.sampled_from([None, *STATUSES]))
    def answers_as_documented(case: Any, real: str | None) -> None:
        if real is not None:
            made_real(case, world, real)
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=20)

    answers_as_documented()


# Every read of a case in every state, whose answers are long: members must all be there and of their kind.
READS = (
    "GET /api/v1/cases/{code}",
    "GET /api/v1/cases/{code}/timeline",
    "GET /api/v1/cases/{code}/explain",
    "GET /api/v1/reports/{code}",
    "GET /api/v1/attachments/{attachment_id}",
    "GET /api/v1/cases",
    "GET /api/v1/public/cases",
    "GET /api/v1/public/cases.geojson",
)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("label", READS)
def test_what_is_read_has_the_documented_shape(world: World, label: str, status: str) -> None:
    operation = world.operation(label)
    case = operation.Case(path_parameters={"code": "x", "attachment_id": "x"}, headers={}, query={})
    made_real(case, world, status)
    case.path_parameters = {name: value for name, value in case.path_parameters.items() if f"{{{name}}}" in label}
    answer = case.call_and_validate(headers={"Authorization": f"Bearer {world.token}"}, checks=CHECKS, timeout=20)
    assert answer.status_code == 200


def test_no_member_of_an_answer_is_missing_from_the_document(world: World) -> None:
    shapes = DOCUMENT["components"]["schemas"]
    headers = {"Authorization": f"Bearer {world.token}", "Tracking-Key": world.keys[world.codes["replied"]]}
    code = world.codes["replied"]
    for path, shape in (
        (f"/api/v1/cases/{code}", "StaffCase"),
        (f"/api/v1/reports/{code}", "CitizenCase"),
        ("/api/v1/cases", "CasePage"),
        ("/api/v1/public/cases", "PublishedPage"),
        ("/api/v1/me", "Me"),
    ):
        answer = asyncio.run(_get(world.url + path, headers))
        assert not list(undocumented(answer, shapes[shape], shapes)), path


async def _get(url: str, headers: dict[str, str]) -> Any:
    async with AsyncClient() as client:
        answer = await client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def undocumented(value: Any, schema: dict[str, Any], shapes: dict[str, Any], path: str = "") -> Iterator[str]:
    """Members of an answer that its schema does not name."""
    if "$ref" in schema:
        yield from undocumented(value, shapes[schema["$ref"].rpartition("/")[2]], shapes, path)
    elif "anyOf" in schema:
        kinds = [each for each in schema["anyOf"] if each.get("type") != "null"]
        if value is not None and len(kinds) == 1:
            yield from undocumented(value, kinds[0], shapes, path)
    elif isinstance(value, list):
        for item in value:
            yield from undocumented(item, schema.get("items", {}), shapes, f"{path}[]")
    elif isinstance(value, dict) and "properties" in schema:
        yield from (f"{path}.{name}" for name in value if name not in schema["properties"])
        for name in value.keys() & schema["properties"].keys():
            yield from undocumented(value[name], schema["properties"][name], shapes, f"{path}.{name}")

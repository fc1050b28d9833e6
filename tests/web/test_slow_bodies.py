"""Whoever sends slowly keeps no database connection from others: bodies are read before one is taken."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.pool import AsyncAdaptedQueuePool

from tests.factories import As, a_photo, a_report, state

BOUNDARY = "slow-and-steady"
# who sends what to where, as JSON or as a form; {code} is a case, {person} an account that is not there
SLOW = [
    ("agent", "POST", "/api/v1/cases", {"text": "Cây đổ chắn đường"}, 201),
    ("agent", "POST", "/api/v1/cases/{code}/note", {"text": "Đã gọi lại"}, 200),
    ("agent", "POST", "/api/v1/reports", {"text": "Cây đổ chắn đường"}, 201),
    ("agent", "POST", "/api/v1/reports/{code}/messages", {"text": "Ở trước chợ"}, 201),
    ("agent", "POST", "/api/v1/me/password", {"old": "not-the-one", "new": "quite-another-1"}, 422),
    ("admin", "PATCH", "/api/v1/admin/staff/{person}", {"name": "Nguyễn Văn A"}, 404),
]
FORMS = ("/api/v1/cases", "/api/v1/cases/{code}/note", "/api/v1/reports", "/api/v1/reports/{code}/messages")
WAYS = [(*each, form) for each in SLOW for form in (False, True) if not form or each[2] in FORMS]


@pytest.mark.parametrize(("who", "method", "path", "members", "status", "form"), WAYS)
async def test_no_connection_is_held_while_a_body_comes(
    app: FastAPI,
    client: AsyncClient,
    as_: As,
    who: str,
    method: str,
    path: str,
    members: dict[str, str],
    status: int,
    form: bool,
) -> None:
    code, key = await a_report(client)
    pool, held = state(app).database.engine.pool, list[int]()
    assert isinstance(pool, AsyncAdaptedQueuePool)
    sent = multipart(members) if form else json.dumps(members).encode()

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 20):
            held.append(pool.checkedout())
            yield sent[start : start + 20]

    kind = f"multipart/form-data; boundary={BOUNDARY}" if form else "application/json"
    answer = await as_(who).request(
        method,
        path.format(code=code, person=uuid4()),
        content=slowly(),
        headers={"Content-Type": kind, "Tracking-Key": key},
    )
    assert answer.status_code == status, answer.text
    assert len(held) > 1
    assert set(held) == {0}


async def test_nothing_is_read_of_files_of_who_is_not_signed_in(client: AsyncClient) -> None:
    code, _ = await a_report(client)
    read = 0

    async def slowly() -> AsyncIterator[bytes]:
        nonlocal read
        for part in (multipart({"text": "Ảnh"}), b"never asked for"):
            read += 1
            yield part

    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await client.post(f"/api/v1/cases/{code}/note", content=slowly(), headers=kind)
    assert (answer.status_code, read) == (401, 0)


def multipart(members: dict[str, str]) -> bytes:
    """A form with these members and a picture."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in members.items()]
    picture = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="attachments"; filename="a.png"\r\n\r\n'
    return "".join(parts).encode() + picture.encode() + a_photo() + f"\r\n--{BOUNDARY}--\r\n".encode()

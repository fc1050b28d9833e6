"""What tests of the citizen's pages read from them and send with them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import event, text

from tests.factories import state
from web.portal import keys

TABLES = ("cases", "received", "entries", "attachments", "outgoing", "citizens", "journal")


def phone(app: FastAPI, *, cookies: bool = True, lang: str = "vi") -> AsyncClient:
    """A citizen's browser without a script; without `cookies` it shows none when it sends the form."""
    made = AsyncClient(transport=ASGITransport(app), base_url="http://1022.test", cookies={"lang": lang})
    if cookies:
        made.cookies.set(keys.KEEPS, "1", domain="1022.test", path="/")
    return made


def value(page: str, name: str) -> str:
    """What an input of a page holds."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*?value="([^"]*)"', page)
    assert found is not None, name
    return unescape(found[1])


def wrong_at(page: str, field: str) -> str:
    """What a page says is wrong with a field; empty when nothing is."""
    found = re.search(rf'id="f-{field}-wrong">([^<]*)<', page)
    assert found is not None, field
    return unescape(found[1]).strip()


def words(page: str) -> str:
    """What a page's main part says, in one line."""
    main = page.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())


async def filled(citizen: AsyncClient, **members: Any) -> dict[str, Any]:
    """The form of a new page, filled in."""
    page = await citizen.get("/")
    assert page.status_code == 200
    return {"key": value(page.text, "key"), "text": "Rác đổ bừa bãi trước chợ", **members}


async def sent(citizen: AsyncClient, **members: Any) -> str:
    """The code of a report sent by the form."""
    answer = await citizen.post("/", data=await filled(citizen, **members))
    assert answer.status_code == 303, words(answer.text)
    found = re.fullmatch(r"/track/(BP-\d\d-\d+)\?new=1", answer.headers["location"])
    assert found is not None, answer.headers["location"]
    return found[1]


def key_of(citizen: AsyncClient, code: str) -> str:
    """The tracking key that a browser holds."""
    return str(citizen.cookies.get(keys.PREFIX + code, domain="1022.test", path=keys.PATH))


async def rows(app: FastAPI) -> dict[str, int]:
    """How much is stored, files too."""
    here = state(app)
    async with here.database.transaction() as session:
        counts = {name: int(await session.scalar(text(f"SELECT count(*) FROM {name}")) or 0) for name in TABLES}
    return counts | {"files": sum(path.is_file() for path in here.settings.files_dir.rglob("*"))}


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    engine = state(app).database.engine.sync_engine
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def refused(answer: Response, status: int) -> str:
    """The page of a refusal."""
    assert answer.status_code == status, words(answer.text)
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text

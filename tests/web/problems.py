"""Reading problem documents, and counting what is stored, so that "refused" can be shown to mean "nothing kept"."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx import Response
from sqlalchemy import text

from tests.factories import state

TABLES = ("received", "cases", "entries", "attachments", "citizens", "identities", "limits", "outgoing", "journal")
VIETNAMESE_LETTERS = frozenset("ăâđêôơưáàảãạấầẩẫậắằẳẵặéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ")


def problem(answer: Response, status: int) -> dict[str, Any]:
    """The problem document of an answer, after checking that it is a whole one, in the language it says."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "errors"} <= set(told)
    assert told["status"] == status
    assert told["type"].startswith("urn:1022:problem:")
    for error in told["errors"]:
        assert {"where", "detail", "code"} <= set(error), error
        assert error["where"]
    vietnamese = answer.headers["content-language"] == "vi"
    for said in [told["title"], told["detail"], *(error["detail"] for error in told["errors"])]:
        assert said, told
        if not vietnamese:
            assert not VIETNAMESE_LETTERS & set(said.lower()), said
        elif said[-1:] == ".":
            assert VIETNAMESE_LETTERS & set(said.lower()), said
    return told


def where(told: dict[str, Any]) -> list[str]:
    """Which members a problem document names."""
    return [error["where"] for error in told["errors"]]


async def stored(app: FastAPI) -> dict[str, int]:
    """How many rows and files there are."""
    here = state(app)
    async with here.database.transaction() as session:
        counts = {name: int(await session.scalar(text(f"SELECT count(*) FROM {name}")) or 0) for name in TABLES}
    return {**counts, "files": _files(here.settings.files_dir)}


def _files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())

"""A reader of the feed as its own process: each page one line of a file; it goes on from the last whole one."""

import asyncio
import json
import os
import sys
from pathlib import Path

from core.db import Database
from ioc.feed import events


def pages(kept: Path) -> list[dict]:
    """The whole pages of the file; a line torn by a kill is none."""
    if not kept.exists():
        return []
    return [json.loads(line) for line in kept.read_text().splitlines(keepends=True) if line.endswith("\n")]


def clean(kept: Path) -> int:
    """Drop a torn last line; where to go on."""
    whole = pages(kept)
    kept.write_text("".join(json.dumps(page) + "\n" for page in whole))
    return int(whole[-1]["next_after"]) if whole else 0


async def read(url: str, kept: Path) -> None:
    """Read for ever."""
    after = clean(kept)
    database = Database(url, pool=2)
    with kept.open("a") as file:
        while True:
            async with database.transaction() as session:
                page = await events(session, after, 25)
            if page.next_after == after:
                await asyncio.sleep(0.01)
                continue
            after = page.next_after
            items = [[item.position, item.id, item.data["writer"], item.data["n"]] for item in page.items]
            print(json.dumps({"items": items, "next_after": after}), file=file, flush=True)


if __name__ == "__main__":
    asyncio.run(read(os.environ["FEED_DATABASE"], Path(sys.argv[1])))

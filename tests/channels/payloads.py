"""Recorded payloads of vendors, what they mean, and what may happen to them on the way."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.adapter import Hook
from channels.message import InboundMessage
from channels.reading import kept

Parse = Callable[[Hook], list[InboundMessage]]
KINDS = frozenset(
    {
        "message", "comment", "call", "postback", "delivery", "read", "rating", "reaction", "referral", "follow",
        "unfollow", "contact_shared", "echo", "edited", "deleted", "bounce", "unknown",
    }
)  # fmt: skip
_ODD: tuple[Any, ...] = (None, True, -1, 0.5, 10**400, "", "\ud800", "\x00", [], {}, [None], {"id": {}}, "chữ", [[]])


def a_hook(body: bytes | str | dict[str, Any], **headers: str) -> Hook:
    """A post as it came in."""
    if isinstance(body, dict):
        body = json.dumps(body)
    return Hook(body.encode() if isinstance(body, str) else body, headers, {})


def recorded(channel: str) -> list[Any]:
    """Each fixture with what it should be read as."""
    folder = Path(__file__).parent / "fixtures" / channel
    files = sorted(file for file in folder.glob("*.json") if not file.name.endswith(".expected.json"))
    return [
        pytest.param(file.read_bytes(), json.loads(file.with_suffix(".expected.json").read_text()), id=file.stem)
        for file in files
    ]


def mutated(body: bytes, seed: int) -> bytes:
    """The payload with one or two members dropped, replaced by something odd or doubled."""
    chance = random.Random(seed)
    payload = json.loads(body)
    for _ in range(chance.choice((1, 2))):
        places = list(_places(payload))
        if not places:
            break
        holder, key = chance.choice(places)
        if chance.random() < 0.3:
            del holder[key]
        elif chance.random() < 0.2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(chance.choice(_ODD))
    return json.dumps(payload).encode()


def check_sound(made: list[InboundMessage], parse: Parse) -> None:
    """What holds for every answer of a parser, whatever it was given."""
    assert made
    assert len({each.external_id for each in made}) == len(made)
    for each in made:
        assert each.kind in KINDS
        assert each.external_id
        assert each.kind != "unknown" or each.ignore_reason
        assert "\x00" not in each.raw
        json.dumps(each.form(), ensure_ascii=False).encode()
        assert [again.form() for again in parse(Hook(kept(each.raw), {}, {}))] == [each.form()]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield value, key
        yield from _places(member)

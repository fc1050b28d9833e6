"""The contract every channel keeps, and what the two built-in ones add to it."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.adapter import Adapter, Failure, SendFailed
from channels.console import ConsoleChannel
from channels.message import Address, FileRef, OutboundMessage
from channels.portal import Portal
from core.ids import uuid7

NAMES = ["portal", "console", "console without a file"]


@pytest.fixture(params=NAMES)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    made: dict[str, Adapter] = {
        "portal": Portal("web"),
        "console": ConsoleChannel("zalo", tmp_path / "would-send.jsonl"),
        "console without a file": ConsoleChannel("zalo"),
    }
    return made[request.param]


def a_message(text: str = "Phản ánh của chị đã được tiếp nhận.") -> OutboundMessage:
    return OutboundMessage(
        id=uuid7(datetime.now(UTC)),
        channel="zalo",
        to=Address("phone", "+84901234567", "Lê Thị Hồng"),
        text=text,
        purpose="receipt",
        attachments=(FileRef("ảnh.jpg", "image/jpeg", 10, sha256="00"),),
        reference="BP-26-0482134",
    )


async def test_a_send_gives_the_id_the_other_side_knows_it_by(adapter: Adapter) -> None:
    first, second = await adapter.send(a_message()), await adapter.send(a_message())
    assert first
    assert second
    assert first != second


async def test_an_idempotent_channel_answers_a_repeated_send_alike(adapter: Adapter) -> None:
    message = a_message()
    again = [await adapter.send(message) for _ in range(2)]
    assert len(set(again)) == 1 or not adapter.capabilities.idempotent


async def test_nothing_personal_is_printed(adapter: Adapter, capsys: pytest.CaptureFixture[str]) -> None:
    await adapter.send(a_message())
    printed = "".join(capsys.readouterr())
    assert [word for word in ("84901234567", "Hồng", "tiếp nhận") if word in printed] == []


def test_a_channel_says_its_name_and_what_it_can_do(adapter: Adapter) -> None:
    assert adapter.name in ("web", "zalo")
    assert adapter.capabilities.max_text is None


async def test_the_console_channel_keeps_what_it_would_send_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "would-send.jsonl"
    message = a_message("Dòng một\nDòng hai")
    for _ in range(2):  # it does not recognise a repetition, which is what the tests of the outbox need
        await ConsoleChannel("zalo", file).send(message)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["id"], line["text"], line["to"]["handle"]) for line in lines] == [
        (str(message.id), message.text, message.to.handle)
    ] * 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_the_console_channel_says_what_it_would_send(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleChannel("zalo").send(a_message("Chào chị"))
    assert capsys.readouterr().out == "zalo: would send receipt for BP-26-0482134, 8 characters\n"


async def test_a_file_that_cannot_be_opened_is_worth_another_try(tmp_path: Path) -> None:
    with pytest.raises(SendFailed) as failed:
        await ConsoleChannel("zalo", tmp_path / "missing" / "would-send.jsonl").send(a_message())
    assert failed.value.failure is Failure.RETRYABLE


async def test_a_disk_that_fills_up_in_mid_line_leaves_doubt() -> None:
    with pytest.raises(OSError, match="No space left"):  # no SendFailed: part of the line may be there
        await ConsoleChannel("zalo", Path("/dev/full")).send(a_message())

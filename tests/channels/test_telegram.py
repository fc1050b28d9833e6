"""Telegram: updates of several years as they are read, what is sent, what every error means, files."""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.adapter import BadSignature, Failure, HookAdapter, SendDoubtful, SendFailed
from channels.message import Address, FileRef, InboundMessage, OutboundMessage
from channels.telegram import events
from channels.telegram.sending import MOST_PHOTO, Telegram
from channels.wire import MOST
from core.settings import Settings
from tests.channels.payloads import a_hook, check_sound, mutated, recorded

TOKEN, SECRET = "700:AAbot-token", "a-secret_of-ours"
HOA = {"id": 1187654321, "is_bot": False, "first_name": "Hoa"}
FIXTURES = recorded("telegram")


def parse(hook: Any) -> list[InboundMessage]:
    return events.parse(hook, "700")


# --- what comes in


@pytest.mark.parametrize(("body", "expected"), FIXTURES)
def test_an_update_is_read_as_recorded(body: bytes, expected: list[dict[str, Any]]) -> None:
    assert [each.form() for each in parse(a_hook(body))] == expected


@pytest.mark.parametrize(("body", "expected"), FIXTURES)
def test_every_event_can_be_read_again_by_itself(body: bytes, expected: list[dict[str, Any]]) -> None:
    check_sound(parse(a_hook(body)), parse)


@trying(deadline=None)  # other work on the machine is no fault
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    check_sound(parse(a_hook(body)), parse)


@trying(deadline=None)
@given(st.sampled_from([each.values[0] for each in FIXTURES]), st.integers(0, 2**32))
def test_no_member_missing_or_odd_makes_it_fail(body: bytes, seed: int) -> None:
    check_sound(parse(a_hook(mutated(body, seed))), parse)


def test_a_fault_of_ours_still_takes_the_update_from_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(update: Any, account: str) -> InboundMessage:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(events, "_read", fail)
    (made,) = parse(a_hook({"update_id": 1, "message": {}}))
    assert (made.kind, made.ignore_reason, made.account) == ("unknown", "unreadable: RuntimeError", "700")
    assert json.loads(made.raw) == {"update_id": 1, "message": {}}


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ({"contact": {"phone_number": "84912345678", "user_id": 1187654321}}, "contact_shared"),
        ({"contact": {"phone_number": "84912345678", "user_id": "1187654321"}}, "contact_shared"),
        ({"contact": {"phone_number": "84912345678", "user_id": 1187654322}}, "message"),
        ({"contact": {"phone_number": "84912345678"}}, "message"),
    ],
)
def test_a_number_is_the_senders_only_if_telegram_says_so(member: dict[str, Any], kind: str) -> None:
    (made,) = parse(a_hook({"update_id": 1, "message": {"message_id": 1, "from": HOA, "chat": HOA, **member}}))
    assert made.kind == kind
    assert (made.contact or {})["phone"] == "+84912345678"
    assert made.text == (None if kind == "contact_shared" else "+84912345678")


def test_a_card_without_sender_is_nobodys_own() -> None:
    (made,) = parse(a_hook({"update_id": 1, "message": {"contact": {"phone_number": "1"}, "chat": {"id": 5}}}))
    assert made.kind == "message"


# --- the secret


def test_the_secret_we_gave_is_repeated() -> None:
    events.verify(a_hook("{}", **{"x-telegram-bot-api-secret-token": SECRET}), SECRET)


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, SECRET),
        ({"X-Telegram-Bot-Api-Secret-Token": "another"}, SECRET),
        ({"X-Telegram-Bot-Api-Secret-Token": "ổ"}, SECRET),
        ({"X-Telegram-Bot-Api-Secret-Token": ""}, ""),
    ],
)
def test_a_request_without_our_secret_is_refused(headers: dict[str, str], secret: str) -> None:
    with pytest.raises(BadSignature):
        events.verify(a_hook("{}", **headers), secret)


# --- what goes out


class BotApi:
    """Remembers what it was asked and answers as told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return (
            answer if isinstance(answer, httpx.Response) else httpx.Response(200, json={"ok": True, "result": answer})
        )

    def form(self, number: int = 0) -> dict[str, Any]:
        return {name: values[0] for name, values in parse_qs(self.asked[number].content.decode()).items()}


async def read(sha256: str) -> bytes:
    return b"\x89PNG" + sha256.encode()


def bot(api: BotApi, read: Callable[[str], Awaitable[bytes]] = read) -> Telegram:
    return Telegram(TOKEN, SECRET, read=read, api_url="https://bots.test/tg", transport=httpx.MockTransport(api))


def a_message(**members: Any) -> OutboundMessage:
    return OutboundMessage(
        **{
            "id": UUID("019ac601-e3e0-7000-a096-e60c39a27069"),
            "channel": "telegram",
            "to": Address("telegram", "1187654321"),
            "text": "Phản ánh của chị đã được tiếp nhận.",
            "purpose": "receipt",
            **members,
        }
    )


def sent(chat: int = 1187654321) -> dict[str, Any]:
    return {"message_id": 45, "date": 1767230000, "chat": {"id": chat, "type": "private"}, "text": "x"}


def refused(status: int, description: str = "Nguyễn Thị Hoa", **parameters: Any) -> httpx.Response:
    body = {"ok": False, "error_code": status, "description": description}
    return httpx.Response(status, json=body | ({"parameters": parameters} if parameters else {}))


def test_it_keeps_the_contract_of_a_hooked_channel() -> None:
    made = bot(BotApi())
    assert isinstance(made, HookAdapter)
    assert (made.account, made.greet(a_hook("{}"))) == ("700", None)


async def test_a_text_goes_to_the_persons_chat() -> None:
    api = BotApi(sent())
    assert await bot(api).send(a_message()) == "1187654321:45"
    assert str(api.asked[0].url) == f"https://bots.test/tg/bot{TOKEN}/sendMessage"
    assert api.form() == {"chat_id": "1187654321", "text": "Phản ánh của chị đã được tiếp nhận."}


@pytest.mark.parametrize(
    ("thread", "part", "quoted"),
    [
        ({"reply_to": "1187654321:41"}, 0, 41),
        ({"reply_to": "1187654321:41"}, 1, None),  # the first part quotes, the others follow it
        ({"reply_to": "-1001234567890:900"}, 0, None),  # they wrote in a group, we answer them alone
        ({"reply_to": "1187654321:x"}, 0, None),
        ({}, 0, None),
    ],
)
async def test_an_answer_quotes_what_the_person_last_wrote(
    thread: dict[str, str], part: int, quoted: int | None
) -> None:
    api = BotApi(sent())
    await bot(api).send(a_message(thread=thread, part=part))
    assert api.form()["chat_id"] == "1187654321"
    parameters = json.loads(api.form().get("reply_parameters", "null"))
    assert parameters == (quoted and {"message_id": quoted, "allow_sending_without_reply": True})


@pytest.mark.parametrize(
    ("media_type", "size", "method"),
    [
        ("image/png", 10, "sendPhoto"),
        ("image/png", MOST_PHOTO + 1, "sendDocument"),
        ("application/pdf", 10, "sendDocument"),
        ("image/gif", 10, "sendDocument"),
    ],
)
async def test_a_file_goes_as_what_it_is(media_type: str, size: int, method: str) -> None:
    async def bytes_of(sha256: str) -> bytes:
        return b"%PDF" + b"x" * size

    api = BotApi(sent())
    file = FileRef("Công văn.pdf", media_type, size, sha256="ab12")
    assert await bot(api, bytes_of).send(a_message(text="", attachments=(file,))) == "1187654321:45"
    assert api.asked[0].url.path.endswith(f"/{method}")
    assert b"%PDFxxxxxxxxxx" in api.asked[0].content


async def test_a_file_that_cannot_be_read_is_no_reason_to_doubt() -> None:
    async def gone(sha256: str) -> bytes:
        raise FileNotFoundError(sha256)

    api = BotApi()
    with pytest.raises(SendFailed) as failed:
        await bot(api, gone).send(a_message(attachments=(FileRef("a.png", "image/png", sha256="00"),)))
    assert (failed.value.failure, api.asked) == (Failure.RETRYABLE, [])


@pytest.mark.parametrize("members", [{"text": " "}, {"to": Address("anonymous", "-1001234567890")}])
async def test_what_cannot_be_sent_is_not_tried(members: dict[str, Any]) -> None:
    api = BotApi()
    with pytest.raises(SendFailed) as failed:
        await bot(api).send(a_message(**members))
    assert (failed.value.failure, api.asked) == (Failure.FINAL, [])


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (refused(429, retry_after=35), Failure.RATE_LIMITED),
        (refused(403, "Forbidden: bot was blocked by the user"), Failure.FINAL),
        (refused(400, "Bad Request: chat not found"), Failure.FINAL),
        (refused(401, "Unauthorized"), Failure.REAUTHORISE),
        (refused(404, "Not Found"), Failure.REAUTHORISE),
        (refused(409, "Conflict"), Failure.RETRYABLE),
        (httpx.ConnectError("refused"), Failure.RETRYABLE),
        (httpx.ConnectTimeout("slow"), Failure.RETRYABLE),
        (httpx.PoolTimeout("busy"), Failure.RETRYABLE),
        (httpx.ReadTimeout("slow"), None),
        (httpx.WriteTimeout("slow"), None),
        (httpx.ReadError("reset"), None),
        (httpx.RemoteProtocolError("closed"), None),
        (refused(500), None),
        (httpx.Response(502, content=b"<html>"), None),
        (httpx.Response(200, content=b"<html>"), None),
        (httpx.Response(200, json={"ok": True}), None),
        ({"chat": {}}, None),
    ],
)
async def test_what_an_answer_means_for_the_message(answer: Any, failure: Failure | None) -> None:
    api = BotApi(answer)
    with pytest.raises((SendFailed, SendDoubtful)) as raised:
        await bot(api).send(a_message())
    assert getattr(raised.value, "failure", None) is failure
    assert len(api.asked) == 1
    assert "Hoa" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


async def test_the_wait_telegram_asks_for_is_said() -> None:
    with pytest.raises(SendFailed) as raised:
        await bot(BotApi(refused(429, retry_after=35))).send(a_message())
    assert raised.value.retry_after == timedelta(seconds=35)


async def test_a_chat_that_moved_is_followed_once() -> None:
    moved = refused(400, migrate_to_chat_id=-1009)
    api = BotApi(moved, sent(-1009))
    assert await bot(api).send(a_message()) == "-1009:45"
    assert [api.form(number)["chat_id"] for number in (0, 1)] == ["1187654321", "-1009"]
    with pytest.raises(SendFailed) as failed:
        await bot(BotApi(moved, moved)).send(a_message())
    assert failed.value.failure is Failure.FINAL


async def test_the_check_asks_who_we_are() -> None:
    await bot(BotApi({"id": 700, "is_bot": True, "first_name": "1022"})).check()
    for answer, failure in (
        (refused(401), Failure.REAUTHORISE),
        (httpx.ReadTimeout("slow"), Failure.RETRYABLE),
        (httpx.ConnectError("refused"), Failure.RETRYABLE),
    ):
        with pytest.raises(SendFailed) as failed:
            await bot(BotApi(answer)).check()
        assert failed.value.failure is failure


async def test_the_token_stands_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await bot(BotApi(sent())).send(a_message())
        await fetched(BotApi({"file_id": "F", "file_unique_id": "f", "file_path": "a.jpg"}, httpx.Response(200)))
        said = ""
        for answer in (refused(404), httpx.ReadTimeout(TOKEN), httpx.Response(200, content=TOKEN.encode())):
            with pytest.raises((SendFailed, SendDoubtful)) as raised:
                await bot(BotApi(answer)).send(a_message())
            said += repr(raised.value)
    assert "AAbot-token" not in caplog.text + said


# --- files


async def fetched(api: BotApi, vendor_id: str | None = "F") -> bytes:
    stream = bot(api).fetch(FileRef("a.jpg", "image/jpeg", vendor_id=vendor_id))
    return b"".join([piece async for piece in stream])


def found(**members: Any) -> dict[str, Any]:
    return {"file_id": "F", "file_unique_id": "f", "file_size": 5, "file_path": "photos/file_1.jpg", **members}


async def test_a_file_is_found_and_fetched() -> None:
    api = BotApi(found(), httpx.Response(200, content=b"bytes"))
    assert await fetched(api) == b"bytes"
    assert str(api.asked[1].url) == f"https://bots.test/tg/file/bot{TOKEN}/photos/file_1.jpg"


@pytest.mark.parametrize(
    ("answers", "failure", "calls"),
    [
        ([refused(400, "Bad Request: file is too big")], Failure.FINAL, 1),
        ([httpx.ReadTimeout("slow")], Failure.RETRYABLE, 1),
        ([found(file_size=MOST + 1)], Failure.FINAL, 1),
        ([found(file_path="")], Failure.FINAL, 1),
        ([found(), httpx.Response(404)], Failure.FINAL, 2),
        ([found(), httpx.Response(502)], Failure.RETRYABLE, 2),
        ([found(), httpx.Response(302, headers={"location": "https://evil.example/"})], Failure.FINAL, 2),
        ([found(), httpx.Response(200, content=b"x" * (MOST + 1))], Failure.FINAL, 2),
    ],
)
async def test_why_a_file_is_not_to_be_had(answers: list[Any], failure: Failure, calls: int) -> None:
    api = BotApi(*answers)
    with pytest.raises(SendFailed) as failed:
        await fetched(api)
    assert (failed.value.failure, len(api.asked)) == (failure, calls)


async def test_a_file_without_an_id_is_not_asked_for() -> None:
    api = BotApi()
    with pytest.raises(SendFailed) as failed:
        await fetched(api, None)
    assert (failed.value.failure, api.asked) == (Failure.FINAL, [])


# --- settings


def settings(**members: str) -> Settings:
    return Settings(_env_file=None, **members)  # type: ignore[call-arg, arg-type]


def test_the_channel_is_made_from_the_settings() -> None:
    made = Telegram.from_settings(settings(telegram_token=TOKEN, telegram_secret_token=SECRET), read)
    assert made.account == "700"
    made.verify(a_hook("{}", **{"X-Telegram-Bot-Api-Secret-Token": SECRET}))
    assert made.parse(a_hook({"update_id": 7}))[0].external_id == "7"
    assert settings(telegram_token="", telegram_api_url=" ").telegram_token is None


@pytest.mark.parametrize(
    "members",
    [
        {"telegram_token": TOKEN},
        {"telegram_secret_token": SECRET},
        {"telegram_token": "no-number", "telegram_secret_token": SECRET},
        {"telegram_token": TOKEN, "telegram_secret_token": "có dấu"},
        {"telegram_api_url": "http://api.telegram.org"},
        {"telegram_api_url": "api.telegram.org"},
    ],
)
def test_half_a_channel_is_refused(members: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**members)
    assert "AAbot-token" not in str(refused.value)

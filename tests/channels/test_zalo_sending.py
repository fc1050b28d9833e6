"""What we ask of Zalo for each message, and what its answers mean. The vendor is a function; its tokens are given."""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from channels import wire
from channels.adapter import Adapter, Failure, FileFetcher, HookAdapter, SendDoubtful, SendFailed
from channels.message import Address, FileRef, OutboundMessage
from channels.zalo import sending
from channels.zalo.line import WHOLE, Line
from channels.zalo.sending import Zalo, ZaloTemplate, zalo_channels
from channels.zalo.tokens import Tokens
from core.db import Database
from core.ids import uuid7
from core.settings import Settings

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ID: UUID = uuid7(AT)
TEXT = "Trung tâm 1022 đã chuyển phản ánh tới Sở Xây dựng."
Answer = Callable[[httpx.Request], httpx.Response]


class FixedTokens:
    """Tokens in the order given; the last one for ever."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.rejected: list[str | None] = []

    async def access_token(self, *, rejected: str | None = None) -> str:
        self.rejected.append(rejected)
        if rejected is not None and len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


class Vendor:
    """Keeps what it is asked and answers in turn, the last answer for ever."""

    def __init__(self, *answers: Answer | httpx.Response | Exception | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            return httpx.Response(200, json=answer)
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def body(self, number: int = -1) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.asked[number].content))


SENT = {"error": 0, "message": "Success", "data": {"message_id": "z-77", "user_id": "u1"}}
FILES = {"00": b"%PDF-1.7 a file"}


async def read(sha256: str) -> bytes:
    if sha256 not in FILES:
        raise FileNotFoundError(sha256)
    return FILES[sha256]


def a_channel(vendor: Vendor, tokens: FixedTokens | None = None) -> Zalo:
    line = Line("https://api.test", "https://business.test/x", "app-secret", transport=httpx.MockTransport(vendor))
    return Zalo("app", "oa", "oa-secret", line, cast(Tokens, tokens or FixedTokens("t1")), read)


def a_message(**members: Any) -> OutboundMessage:
    made = OutboundMessage(
        ID, "zalo", Address("zalo", "u1"), TEXT, "case.reply", reference="BP-26-0482134"
    )  # fmt: skip
    return replace(made, **members)


async def test_a_text_goes_out_as_a_consult_message_and_quotes_what_the_person_wrote() -> None:
    vendor = Vendor(SENT)
    assert await a_channel(vendor).send(a_message(thread={"message_id": "m9"})) == "z-77"
    [asked] = vendor.asked
    assert (asked.method, str(asked.url)) == ("POST", "https://api.test/v3.0/oa/message/cs")
    assert asked.headers["access_token"] == "t1"
    assert len(asked.headers["appsecret_proof"]) == 64
    assert vendor.body() == {"recipient": {"user_id": "u1"}, "message": {"text": TEXT, "quote_message_id": "m9"}}


async def test_only_the_first_part_quotes() -> None:
    vendor = Vendor(SENT)
    await a_channel(vendor).send(a_message(thread={"message_id": "m9"}, part=1))
    await a_channel(vendor).send(a_message())
    assert [vendor.body(0)["message"], vendor.body(1)["message"]] == [{"text": TEXT}, {"text": TEXT}]


async def test_an_answer_whose_quote_is_refused_goes_out_without_it() -> None:
    vendor = Vendor({"error": -201, "message": "quote_message_id is invalid!"}, SENT)
    assert await a_channel(vendor).send(a_message(thread={"message_id": "m9"})) == "z-77"
    assert vendor.body()["message"] == {"text": TEXT}
    refusing = Vendor({"error": -201, "message": "text is invalid!"})
    with pytest.raises(SendFailed) as failed:
        await a_channel(refusing).send(a_message(thread={"message_id": "m9"}))
    assert (failed.value.failure, len(refusing.asked)) == (Failure.FINAL, 2)


async def test_an_anonymous_person_is_answered_in_the_conversation() -> None:
    vendor = Vendor(SENT)
    to = Address("anonymous", "a1")
    await a_channel(vendor).send(a_message(to=to, thread={"conversation_id": "c1", "message_id": "m9"}))
    assert vendor.asked[0].url.path == "/v2.0/oa/message"
    assert vendor.body() == {
        "recipient": {"anonymous_id": "a1", "conversation_id": "c1"},
        "message": {"text": TEXT},
    }
    with pytest.raises(SendFailed) as failed:
        await a_channel(vendor).send(a_message(to=to))
    assert (failed.value.failure, len(vendor.asked)) == (Failure.FINAL, 1)


def a_picture(form: str, side: int, *, noise: bool = False) -> bytes:
    made = io.BytesIO()
    image = Image.effect_noise((side, side), 120).convert("RGB") if noise else Image.new("RGB", (side, side // 2))
    image.save(made, form)
    return made.getvalue()


@pytest.mark.parametrize(
    ("file", "data", "path", "answer", "sent"),
    [
        (
            FileRef("ảnh.jpg", "image/jpeg", sha256="f"),
            a_picture("JPEG", 40),
            "/v2.0/oa/upload/image",
            {"attachment_id": "at1"},
            {"media_type": "image", "attachment_id": "at1"},
        ),
        (
            FileRef("a.gif", "image/gif", sha256="f"),
            a_picture("GIF", 40),
            "/v2.0/oa/upload/gif",
            {"attachment_id": "at2"},
            {"media_type": "gif", "attachment_id": "at2", "width": 40, "height": 20},
        ),
        (
            FileRef("Trả lời.pdf", "application/pdf", sha256="f"),
            b"%PDF-1.7",
            "/v2.0/oa/upload/file",
            {"token": "tk"},
            {"token": "tk"},
        ),
    ],
    ids=["image", "gif", "document"],
)
async def test_a_file_is_uploaded_and_then_sent(
    file: FileRef, data: bytes, path: str, answer: dict[str, Any], sent: dict[str, Any]
) -> None:
    FILES["f"] = data
    vendor = Vendor({"error": 0, "data": answer}, SENT)
    assert await a_channel(vendor).send(a_message(text="", attachments=(file,))) == "z-77"
    upload, _ = vendor.asked
    assert upload.url.path == path
    assert data in upload.content
    said = vendor.body()["message"]["attachment"]
    assert said["payload"] == sent if said["type"] == "file" else said["payload"]["elements"] == [sent]


async def test_a_picture_too_large_for_zalo_is_made_smaller() -> None:
    FILES["f"] = a_picture("PNG", 1100, noise=True)
    assert len(FILES["f"]) > sending.MOST_IMAGE
    vendor = Vendor({"error": 0, "data": {"attachment_id": "at1"}}, SENT)
    await a_channel(vendor).send(a_message(text="", attachments=(FileRef("a.png", "image/png", sha256="f"),)))
    assert len(vendor.asked[0].content) < sending.MOST_IMAGE + 1000
    assert b'filename="a.jpg"' in vendor.asked[0].content


@pytest.mark.parametrize(
    "attachments",
    [
        (FileRef("a.pdf", "application/pdf", sha256="missing"),),
        (FileRef("a.pdf", "application/pdf"),),
        (FileRef("a.exe", "application/x-msdownload", sha256="00"),),
        (FileRef("a.gif", "image/gif", sha256="00"),),  # which it is not
        (FileRef("a.pdf", "application/pdf", sha256="large"),),
        (FileRef("a.pdf", "application/pdf", sha256="00"),) * 2,
        (),
    ],
)
async def test_a_file_that_cannot_be_sent_is_not_tried(attachments: tuple[FileRef, ...]) -> None:
    FILES["large"] = b"x" * (sending.MOST_FILE + 1)
    vendor = Vendor(SENT)
    with pytest.raises(SendFailed) as failed:
        await a_channel(vendor).send(a_message(text="", attachments=attachments))
    assert (failed.value.failure, vendor.asked) == (Failure.FINAL, [])


REQUEST = httpx.Request("POST", "https://api.test")
HTML = httpx.Response(200, text="<html>")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"error": -230, "message": "…"}, Failure.WINDOW_CLOSED),
        ({"error": "-230"}, Failure.WINDOW_CLOSED),
        ({"error": -32}, Failure.RATE_LIMITED),
        ({"error": -221}, Failure.REAUTHORISE),
        ({"error": -213}, Failure.FINAL),
        ({"error": -31337}, Failure.FINAL),
        (httpx.Response(429), Failure.RATE_LIMITED),
        (httpx.Response(503), Failure.RETRYABLE),
        (httpx.Response(404, text="no such page"), Failure.FINAL),
        (httpx.ConnectError("refused"), Failure.RETRYABLE),
        (httpx.ConnectTimeout("slow"), Failure.RETRYABLE),
        (httpx.ReadTimeout("slow"), None),
        (httpx.ReadError("reset"), None),
        (httpx.WriteError("reset"), None),
        (httpx.RemoteProtocolError("gone"), None),
        (httpx.Response(500), None),
        (httpx.Response(502, text="<html>"), None),
        (HTML, None),
        (httpx.Response(200, json=[]), None),
        ({}, None),
    ],
)
async def test_what_an_answer_means(answer: Any, expected: Failure | None) -> None:
    vendor = Vendor(answer)
    with pytest.raises(SendFailed if expected else SendDoubtful) as raised:
        await a_channel(vendor).send(a_message())
    assert getattr(raised.value, "failure", None) == expected
    assert len(vendor.asked) == 1
    assert TEXT not in str(raised.value)
    assert "u1" not in str(raised.value)


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.Response(500), HTML, httpx.ConnectError("no")])
async def test_a_failed_upload_is_never_doubtful(answer: Any) -> None:
    file = FileRef("a.pdf", "application/pdf", sha256="00")
    with pytest.raises(SendFailed) as failed:
        await a_channel(Vendor(answer)).send(a_message(text="", attachments=(file,)))
    assert failed.value.failure == Failure.RETRYABLE


@pytest.mark.parametrize("refusal", [{"error": -216}, {"error": -220}, {"error": -124}, httpx.Response(401)])
async def test_a_refused_token_is_replaced_once(refusal: Any) -> None:
    vendor, tokens = Vendor(refusal, SENT), FixedTokens("t1", "t2")
    assert await a_channel(vendor, tokens).send(a_message()) == "z-77"
    assert [asked.headers["access_token"] for asked in vendor.asked] == ["t1", "t2"]
    assert tokens.rejected == [None, "t1"]
    hopeless = Vendor(refusal)
    with pytest.raises(SendFailed) as failed:
        await a_channel(hopeless, FixedTokens("t1", "t2")).send(a_message())
    assert (failed.value.failure, len(hopeless.asked)) == (Failure.REAUTHORISE, 2)


async def test_a_message_is_not_begun_when_no_time_is_left_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FixedTokens):
        async def access_token(self, *, rejected: str | None = None) -> str:
            await asyncio.sleep(5)
            return "late"

    monkeypatch.setattr(sending, "_PATIENCE", WHOLE + 0.05)
    vendor = Vendor(SENT)
    with pytest.raises(SendFailed) as failed:
        await a_channel(vendor, Slow("t")).send(a_message())
    assert (failed.value.failure, vendor.asked) == (Failure.RETRYABLE, [])


async def test_addresses_of_other_channels_are_refused() -> None:
    vendor = Vendor(SENT)
    with pytest.raises(SendFailed) as failed:
        await a_channel(vendor).send(a_message(to=Address("phone", "+84912345678")))
    assert (failed.value.failure, vendor.asked) == (Failure.FINAL, [])


# Templates


async def test_a_template_goes_to_a_zalo_id() -> None:
    vendor = Vendor(SENT)
    await a_channel(vendor).template("zalo_template", "7").send(a_message(text=f"{TEXT}\n\n" + "dài " * 100))
    body = vendor.body()
    assert str(vendor.asked[0].url) == "https://api.test/v3.0/oa/message/template"
    assert (body["user_id"], body["template_id"]) == ("u1", "7")
    assert body["template_data"]["ma_phan_anh"] == "BP-26-0482134"
    assert body["template_data"]["noi_dung"].startswith(TEXT + " dài")
    assert len(body["template_data"]["noi_dung"]) <= 200


async def test_a_template_goes_to_a_number() -> None:
    vendor = Vendor({"error": 0, "data": {"msg_id": "p-1"}})
    channel = a_channel(vendor).template("zalo_phone", "7")
    assert await channel.send(a_message(to=Address("phone", "+84912345678"))) == "p-1"
    body = vendor.body()
    assert str(vendor.asked[0].url) == "https://business.test/x/message/template"
    assert (body["phone"], body["tracking_id"]) == ("84912345678", str(ID))


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("zalo_phone", Address("phone", "+15550100")),
        ("zalo_phone", Address("zalo", "84912345678")),
        ("zalo_template", Address("phone", "+84912345678")),
        ("zalo_template", Address("anonymous", "a1")),
    ],
)
async def test_a_template_goes_nowhere_else(name: Any, to: Address) -> None:
    vendor = Vendor(SENT)
    with pytest.raises(SendFailed) as failed:
        await a_channel(vendor).template(name, "7").send(a_message(to=to))
    assert (failed.value.failure, vendor.asked) == (Failure.FINAL, [])


# Files of people


async def pieces_of(channel: Zalo, url: str | None) -> bytes:
    return b"".join([piece async for piece in channel.fetch(FileRef("a", "image/jpeg", url=url))])


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses(host: str) -> list[str]:
        return ["118.102.1.1"]

    monkeypatch.setattr(wire, "addresses", addresses)


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    "url",
    [
        "https://f20-zpg-r.zdn.vn/1/a.jpg",
        "http://f20-zpg-r.zdn.vn/1/a.jpg",  # asked for over TLS all the same
        "https://api.test/files/1",
    ],
)
async def test_files_come_from_zalo_and_our_tokens_stay_here(url: str) -> None:
    vendor = Vendor(
        httpx.Response(302, headers={"location": "https://te-1.flchat.vn/a"}), httpx.Response(200, content=b"x")
    )
    assert await pieces_of(a_channel(vendor), url) == b"x"
    assert [asked.url.scheme for asked in vendor.asked] == ["https", "https"]
    assert not any("access_token" in asked.headers for asked in vendor.asked)


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    "url", [None, "https://evil.example/a", "https://zdn.vn.evil.example/a", "https://u@f.zdn.vn/a", "https://f.zdn.vn:8443/a"]
)  # fmt: skip
async def test_files_come_from_nowhere_else(url: str | None) -> None:
    vendor = Vendor(httpx.Response(200, content=b"x"))
    with pytest.raises(SendFailed) as failed:
        await pieces_of(a_channel(vendor), url)
    assert (failed.value.failure, vendor.asked) == (Failure.FINAL, [])


# Settings and the whole


def configured(**members: Any) -> Settings:
    whole = {
        "zalo_app_id": "app",
        "zalo_app_secret": "s",
        "zalo_oa_id": "oa",
        "zalo_oa_secret_key": "k",
        "zalo_refresh_token": "r",
    }
    return Settings(_env_file=None, secret_key="x" * 32, **{**whole, **members})  # type: ignore[call-arg]


def test_half_a_configuration_is_refused() -> None:
    assert configured().zalo_api_url == "https://openapi.zalo.me"
    for name in ("zalo_app_id", "zalo_app_secret", "zalo_oa_id", "zalo_oa_secret_key", "zalo_refresh_token"):
        with pytest.raises(ValidationError, match=name.upper()):
            configured(**{name: ""})
    with pytest.raises(ValidationError, match="scheme, host"):
        configured(zalo_api_url="openapi.zalo.me/v3.0?x=1")
    with pytest.raises(ValidationError, match="ZALO_APP_ID"):
        Settings(_env_file=None, zalo_template_id="7")  # type: ignore[call-arg]


async def test_the_settings_make_the_channels() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    none = Settings(_env_file=None)  # type: ignore[call-arg]
    assert zalo_channels(none, database, read) == {}
    assert list(zalo_channels(configured(), database, read)) == ["zalo"]
    made = zalo_channels(configured(zalo_template_id="7"), database, read)
    assert {name: channel.name for name, channel in made.items()} == {
        "zalo": "zalo", "zalo_template": "zalo_template", "zalo_phone": "zalo_phone"
    }  # fmt: skip
    assert isinstance(made["zalo"], HookAdapter)
    assert isinstance(made["zalo"], FileFetcher)
    assert not isinstance(cast(object, made["zalo_phone"]), HookAdapter)
    contract: Adapter = made["zalo_phone"]
    assert isinstance(contract, ZaloTemplate)
    with pytest.raises(SendFailed) as failed:  # the database is away: surely nothing was sent
        await made["zalo"].send(a_message())
    assert failed.value.failure == Failure.RETRYABLE
    await database.close()


async def test_check_says_what_is_wrong_with_the_live_settings() -> None:
    await a_channel(Vendor({"error": 0, "data": {"oa_id": "oa", "name": "1022"}})).check()
    for answer, failure in (
        ({"error": 0, "data": {"oa_id": "another"}}, Failure.REAUTHORISE),
        ({"error": -216}, Failure.REAUTHORISE),
        (httpx.ConnectError("no"), Failure.RETRYABLE),
    ):
        with pytest.raises(SendFailed) as failed:
            await a_channel(Vendor(cast(Any, answer))).check()
        assert failed.value.failure == failure

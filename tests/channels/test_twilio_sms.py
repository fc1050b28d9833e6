"""SMS by Twilio: what comes in, whose it is, and what becomes of what goes out."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels import wire
from channels.adapter import BadSignature, Failure, Hook, SendDoubtful, SendFailed
from channels.message import Address, FileRef, OutboundMessage
from channels.reading import kept
from channels.twilio import client, errors, events, voice
from channels.twilio.form import number
from channels.twilio.signature import verify
from channels.twilio.sms import Sms
from core.ids import uuid7
from core.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"
PARSERS = {"sms": events.parse, "voice": voice.parse}
FORMS = sorted((*FIXTURES.glob("sms/*.form"), *FIXTURES.glob("voice/*.form")))


def a_hook(body: bytes, **query: str) -> Hook:
    return Hook(body, {}, query)


# ---- reading


@pytest.mark.parametrize("file", FORMS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_form_reads_as_it_should_and_its_raw_part_reads_alike(file: Path) -> None:
    parse = PARSERS[file.parent.name]
    read = parse(a_hook(file.read_bytes()))
    assert [message.form() for message in read] == json.loads(file.with_suffix(".expected.json").read_text())
    assert [parse(a_hook(kept(message.raw))) for message in read] == [[message] for message in read]


def test_there_is_a_fixture_for_every_status() -> None:
    seen = {
        message.external_id.rpartition(":")[2] for file in FORMS for message in events.parse(a_hook(file.read_bytes()))
    }
    assert set(events.STATUSES) - seen == {"accepted", "scheduled", "sending", "partially_delivered", "canceled"}


def test_what_our_own_address_says_is_read_too_and_kept_in_the_raw_part() -> None:
    body = b"MessageSid=SM1&MessageStatus=delivered&To=%2B84912345678&From=%2B842713891022"
    [message] = events.parse(a_hook(body, message="018f-77", MessageStatus="read"))
    assert (message.thread, message.status) == ({"message": "018f-77"}, "delivered")  # the body wins
    assert events.parse(a_hook(kept(message.raw))) == [message]


def test_a_webhook_set_to_get_is_read_from_its_address() -> None:
    [message] = events.parse(a_hook(b"", MessageSid="SM1", From="+84912345678", To="+842713891022", Body="Đèn hỏng"))
    assert (message.external_id, message.text) == ("SM1", "Đèn hỏng")


def test_the_account_is_named_where_the_form_does_not_name_it() -> None:
    assert events.parse(a_hook(b"MessageSid=SM1&MessageStatus=sent"), "+842713891022")[0].account == "+842713891022"
    assert events.parse(a_hook(b"MessageSid=SM1&From=191&To=1022&Body=x"), "+842713891022")[0].account == "1022"


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@given(body=st.binary(max_size=300), query=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_no_bytes_whatever_make_it_raise(parse: Callable[[Hook], list], body: bytes, query: dict[str, str]) -> None:
    read = parse(Hook(body, {}, query))
    assert len(read) == 1
    assert parse(Hook(kept(read[0].raw), {}, {})) == read
    json.dumps(read[0].form()).encode()


NAMES = st.sampled_from(
    sorted({pair.partition(b"=")[0] for file in FORMS for pair in file.read_bytes().split(b"&")} - {b""})
)
VALUES = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"", b"-1", b"1e999", b"%00", b"%F0%9F", b"sip:", b":@", b"+", b"9" * 400])
)


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@given(file=st.sampled_from(FORMS), changed=st.dictionaries(NAMES, VALUES, max_size=5), cut=st.integers(0, 400))
def test_nor_do_genuine_forms_with_anything_changed(
    parse: Callable[[Hook], list], file: Path, changed: dict[bytes, bytes], cut: int
) -> None:
    body = b"&".join((*(name + b"=" + value for name, value in changed.items()), file.read_bytes()))
    for shorter in (body, body[:-cut] if cut else body):
        read = parse(a_hook(shorter))
        assert len(read) == 1
        assert parse(Hook(kept(read[0].raw), {}, {})) == read


@pytest.mark.parametrize(
    ("given", "e164"),
    [
        ("+84912345678", "+84912345678"),
        ("+1 (415) 867-5309", "+14158675309"),
        ("0912 345 678", "+84912345678"),
        ("84912345678", "+84912345678"),
        ("02713891022", "+842713891022"),
        ("1022", "1022"),  # short codes and words stay what they are
        ("191", "191"),
        ("VIETTEL", "VIETTEL"),
        ("0000000000", "0000000000"),  # ten digits that are nobody's
    ],
)
def test_a_number_is_brought_to_one_form_where_it_is_one(given: str, e164: str) -> None:
    assert number(given) == e164


# ---- signatures

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"
SIGNED = "RSOYDt4T1cUTdK1PDd93/VVr8B8="  # the vendor's published example
JSON_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_SIGNED = "a9nBmqA0ju/hNViExpshrM61xv4="  # as in its clients' tests


def signed(url: str = URL, body: bytes = FORM, signature: str = SIGNED, header: str = "X-Twilio-Signature") -> Hook:
    return Hook(body, {"Content-Type": "application/x-www-form-urlencoded", header: signature}, {}, url)


GENUINE = {
    "the published example": signed(),
    "fields in another order": signed(body=b"&".join(reversed(FORM.split(b"&")))),
    "the same value twice": signed(body=FORM + b"&Digits=1234"),
    "an address with its port": signed(URL.replace("mycompany.com", "mycompany.com:443")),
    "header names in small letters": signed(header="x-twilio-signature"),
    "a JSON body by its hash": signed(JSON_URL, JSON_BODY, JSON_SIGNED),
}
FORGED = {
    "no signature": Hook(FORM, {}, {}, URL),
    "an empty signature": signed(signature=""),
    "another signature": signed(signature="RSOYDt4T1cUTdK1PDd93/VVr8B9="),
    "a signature that is no ASCII": signed(signature="ký tên"),
    "another value": signed(body=FORM.replace(b"1234&From", b"1235&From")),
    "a field more": signed(body=FORM + b"&Odd=1"),
    "a second value": signed(body=FORM + b"&Digits=1"),
    "a field less": signed(body=FORM.partition(b"&")[2]),
    "another path": signed(URL.replace("myapp", "other")),
    "another query": signed(URL.replace("bar=2", "bar=3")),
    "another host": signed(URL.replace("mycompany.com", "evil.example")),
    "a host that only begins alike": signed(URL.replace("mycompany.com", "mycompany.com.evil.example")),
    "plain http": signed(URL.replace("https", "http")),
    "no fields at all": signed(body=b""),
    "another JSON body": signed(JSON_URL, JSON_BODY + b" ", JSON_SIGNED),
    "an empty form for a signed JSON body": signed(JSON_URL, b"", JSON_SIGNED),
    "a JSON body without a hash": signed(URL, JSON_BODY, JSON_SIGNED),
}


@pytest.mark.parametrize("hook", GENUINE.values(), ids=GENUINE)
def test_what_twilio_signed_is_taken(hook: Hook) -> None:
    verify(hook, TOKEN)


@pytest.mark.parametrize("hook", FORGED.values(), ids=FORGED)
def test_anything_else_is_refused(hook: Hook) -> None:
    with pytest.raises(BadSignature):
        verify(hook, TOKEN)


def test_another_token_is_another_signature() -> None:
    with pytest.raises(BadSignature):
        verify(signed(), "54321")


def test_different_values_of_one_field_all_count_in_their_sorted_order() -> None:
    """Twilio's own computation over a multidict; written out here by hand."""
    import base64
    import hmac

    text = URL + "Body" + "MediaUrl" + "a" + "MediaUrl" + "b"
    right = base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), "sha1")).decode()
    verify(signed(body=b"MediaUrl=b&Body=&MediaUrl=a&MediaUrl=b", signature=right), TOKEN)


def test_a_port_that_is_not_the_usual_one_may_be_left_out_by_twilio() -> None:
    verify(signed(URL.replace("mycompany.com", "mycompany.com:443")), TOKEN)
    with_port = Hook(b"", {}, {}, "http://127.0.0.1:8022/webhooks/twilio/sms")
    import base64
    import hmac

    right = base64.b64encode(hmac.digest(TOKEN.encode(), b"http://127.0.0.1/webhooks/twilio/sms", "sha1")).decode()
    verify(Hook(b"", {"X-Twilio-Signature": right}, {}, with_port.url), TOKEN)


# ---- sending

SID = "SM" + "0" * 31 + "1"
ACCOUNT = "AC" + "0" * 32
Answer = Callable[[httpx.Request], httpx.Response]


def an_sms(answer: Answer | None = None, *, api_url: str = "https://api.twilio.com", key=None) -> Sms:
    return Sms(
        ACCOUNT,
        "tok",
        "+842713891022",
        public_url="https://1022.example.vn/",
        api_url=api_url,
        key=key,
        transport=httpx.MockTransport(answer) if answer else None,
    )


def a_message(text: str = "Phản ánh của chị đã được tiếp nhận.", to: str = "+84912345678", scheme: str = "phone"):
    return OutboundMessage(
        id=uuid7(datetime(2026, 3, 3, tzinfo=UTC)), channel="sms", to=Address(scheme, to), text=text, purpose="receipt"
    )


def refusing(status: int, code: int | None = None, text: str = "The 'To' number +84912345678 is not valid") -> Answer:
    body = {"code": code, "message": text, "more_info": "https://www.twilio.com/docs/errors/1", "status": status}
    return lambda request: httpx.Response(status, json={k: v for k, v in body.items() if v is not None})


async def test_a_message_is_posted_once_with_the_address_for_its_reports() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"sid": SID, "status": "queued", "account_sid": ACCOUNT})

    message = a_message()
    assert await an_sms(answer).send(message) == SID
    [request] = seen
    assert (request.method, str(request.url)) == (
        "POST",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
    )
    assert request.headers["authorization"] == httpx.BasicAuth(ACCOUNT, "tok")._auth_header
    assert parse_qs(request.content.decode()) == {
        "To": ["+84912345678"],
        "From": ["+842713891022"],
        "Body": [message.text],
        "StatusCallback": [f"https://1022.example.vn/webhooks/twilio/sms-status?message={message.id}"],
    }


async def test_a_key_signs_in_and_another_base_address_stands_in_for_twilio() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"sid": SID})

    await an_sms(answer, api_url="http://127.0.0.1:9/twilio/", key=("SK1", "secret")).send(a_message())
    assert str(seen[0].url) == f"http://127.0.0.1:9/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert seen[0].headers["authorization"] == httpx.BasicAuth("SK1", "secret")._auth_header


REFUSALS = {  # HTTP status, Twilio's code → what the outbox is told
    (401, 20003): Failure.REAUTHORISE,
    (401, None): Failure.REAUTHORISE,
    (403, 20005): Failure.REAUTHORISE,
    (404, 20404): Failure.REAUTHORISE,
    (400, 21212): Failure.REAUTHORISE,
    (400, 21606): Failure.REAUTHORISE,
    (400, 21660): Failure.REAUTHORISE,
    (429, 20429): Failure.RATE_LIMITED,
    (429, None): Failure.RATE_LIMITED,
    (429, 21211): Failure.RATE_LIMITED,
    (429, 14107): Failure.RATE_LIMITED,
    (400, 21211): Failure.FINAL,
    (400, 21214): Failure.FINAL,
    (400, 21408): Failure.FINAL,
    (400, 21610): Failure.FINAL,
    (400, 21614): Failure.FINAL,
    (400, 99999): Failure.FINAL,
    (400, None): Failure.FINAL,
    (302, None): Failure.RETRYABLE,
}


@pytest.mark.parametrize(("status", "code"), REFUSALS, ids=lambda value: str(value))
async def test_a_refusal_is_named_for_what_can_be_done_about_it(status: int, code: int | None) -> None:
    with pytest.raises(SendFailed) as refused:
        await an_sms(refusing(status, code)).send(a_message())
    assert refused.value.failure == REFUSALS[status, code]
    assert "84912345678" not in refused.value.reason
    assert str(code or status) in refused.value.reason


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_twilio_failing_leaves_open_what_it_did(status: int) -> None:
    with pytest.raises(SendDoubtful) as doubtful:
        await an_sms(refusing(status, 20500)).send(a_message())
    assert "84912345678" not in doubtful.value.reason


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"{}", b'{"sid": null}'])
async def test_a_success_that_cannot_be_read_leaves_it_open_too(body: bytes) -> None:
    with pytest.raises(SendDoubtful):
        await an_sms(lambda request: httpx.Response(201, content=body)).send(a_message())


ERRORS: dict[type[httpx.RequestError], type[Exception]] = {
    httpx.ConnectError: SendFailed,
    httpx.ConnectTimeout: SendFailed,
    httpx.PoolTimeout: SendFailed,
    httpx.WriteTimeout: SendDoubtful,
    httpx.ReadTimeout: SendDoubtful,
    httpx.ReadError: SendDoubtful,
    httpx.RemoteProtocolError: SendDoubtful,
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
async def test_only_what_surely_never_left_is_tried_again(error: type[httpx.RequestError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("to +84912345678", request=request)

    with pytest.raises(ERRORS[error]) as told:
        await an_sms(answer).send(a_message())
    assert getattr(told.value, "failure", None) in (None, Failure.RETRYABLE)
    assert "84912345678" not in str(told.value)


@asynccontextmanager
async def a_server(answer: bytes | None) -> AsyncIterator[str]:
    """A real socket that reads one request, then says this, or hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"StatusCallback")
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_over_a_real_connection() -> None:
    body = json.dumps({"sid": SID}).encode()
    async with a_server(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url:
        assert await an_sms(api_url=url).send(a_message()) == SID
    async with a_server(None) as url:
        with pytest.raises(SendDoubtful):
            await an_sms(api_url=url).send(a_message())
    with pytest.raises(SendFailed) as refused:
        await an_sms(api_url=url).send(a_message())  # nobody listens there any more
    assert refused.value.failure == Failure.RETRYABLE


async def test_an_answer_that_takes_too_long_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WHOLE", 0.05)

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(201, json={"sid": SID})

    sms = an_sms()
    sms.line._transport = httpx.MockTransport(answer)
    with pytest.raises(SendDoubtful):
        await sms.send(a_message())


@pytest.mark.parametrize("message", [a_message(scheme="zalo"), a_message(text="  ")], ids=["no phone", "no text"])
async def test_what_is_no_sms_is_not_posted(message: OutboundMessage) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("posted")

    with pytest.raises(SendFailed) as refused:
        await an_sms(answer).send(message)
    assert refused.value.failure == Failure.FINAL


def test_every_code_has_a_sentence_without_full_stop_or_number_of_anybody() -> None:
    for failure, sentence in errors.MEANINGS.values():
        assert failure in set(Failure) - {Failure.RETRYABLE}
        assert sentence
        assert not sentence.endswith(".")


# ---- files

MEDIA = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1"
STORE = "https://s3-external-1.amazonaws.com/media.twiliocdn.com/AC0/abc?X-Amz-Signature=s3cr3t"


@pytest.fixture(autouse=True)
def public_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name stands for a public address: nothing outside is asked."""

    async def looked_up(host: str) -> list[str]:
        return ["198.51.101.7"]

    monkeypatch.setattr(wire, "addresses", looked_up)


async def taken(sms: Sms, url: str = MEDIA) -> bytes:
    pieces = sms.fetch(FileRef("ME1.jpg", "image/jpeg", url=url))
    return b"".join([piece async for piece in pieces])


async def test_a_picture_comes_from_the_store_it_is_sent_on_to_which_never_sees_our_account() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "api.twilio.com":
            return httpx.Response(307, headers={"location": STORE})
        return httpx.Response(200, content=b"jpeg")

    assert await taken(an_sms(answer)) == b"jpeg"
    assert ["authorization" in request.headers for request in seen] == [True, False]


@pytest.mark.parametrize("host", ["mms.twiliocdn.com", "media.twiliocdn.com", "media.us1.twilio.com"])
async def test_its_other_hosts_are_known(host: str) -> None:
    seen: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append("authorization" in request.headers)
        return httpx.Response(200, content=b"x")

    assert await taken(an_sms(answer), f"https://{host}/AC0/file") == b"x"
    assert seen == [False]


async def test_with_a_stand_in_files_come_from_there() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, content=b"x")

    sms = an_sms(answer, api_url="http://127.0.0.1:9/p")
    await taken(sms, "http://127.0.0.1:9/media/1")
    await taken(sms)
    assert seen == ["http://127.0.0.1:9/media/1", MEDIA.replace("https://api.twilio.com", "http://127.0.0.1:9/p")]


ELSEWHERE = [
    "http://media.twiliocdn.com/x",
    "https://twilio.com.evil.example/x",
    "https://eviltwilio.com/x",
    "https://evil.example/media.twiliocdn.com/x",
    "https://s3-external-2.amazonaws.com/media.twiliocdn.com/x",
    "https://user@media.twiliocdn.com/x",
    "https://127.0.0.1/x",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "https://[",
    "//evil.example/x",
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize("redirected", [False, True])
async def test_nothing_is_fetched_from_anywhere_else(url: str, redirected: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if redirected and str(request.url) == MEDIA:
            return httpx.Response(302, headers={"location": url})
        raise AssertionError(f"asked {request.url}")

    with pytest.raises(SendFailed) as refused:
        await taken(an_sms(answer), MEDIA if redirected and url else url)
    assert refused.value.failure == Failure.FINAL or (redirected and not url)


async def test_a_name_that_leads_into_a_private_network_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked_up(host: str) -> list[str]:
        return ["198.51.101.7", "10.0.0.7"]

    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    monkeypatch.setattr(wire, "addresses", looked_up)
    with pytest.raises(SendFailed, match="private") as refused:
        await taken(an_sms(answer), "https://media.twiliocdn.com/x")
    assert refused.value.failure == Failure.FINAL


FILE_ANSWERS = {
    404: Failure.FINAL,
    410: Failure.FINAL,
    401: Failure.REAUTHORISE,
    403: Failure.FINAL,  # the time of its address is over
    429: Failure.RATE_LIMITED,
    500: Failure.RETRYABLE,
    206: Failure.RETRYABLE,
}


@pytest.mark.parametrize("status", FILE_ANSWERS)
async def test_why_a_file_does_not_come(status: int) -> None:
    with pytest.raises(SendFailed) as refused:
        await taken(an_sms(lambda request: httpx.Response(status, content=b"x")))
    assert refused.value.failure == FILE_ANSWERS[status]


async def test_a_file_too_large_or_sent_round_in_circles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST", 10)
    with pytest.raises(SendFailed, match="larger") as refused:
        await taken(an_sms(lambda request: httpx.Response(200, content=b"x" * 11)))
    assert refused.value.failure == Failure.FINAL
    assert await taken(an_sms(lambda request: httpx.Response(200, content=b"x" * 10))) == b"x" * 10
    with pytest.raises(SendFailed, match="from place to place"):
        await taken(an_sms(lambda request: httpx.Response(302, headers={"location": MEDIA})))


async def test_a_file_that_breaks_off_is_fetched_again_later() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("x", request=request)

    with pytest.raises(SendFailed) as refused:
        await taken(an_sms(answer))
    assert refused.value.failure == Failure.RETRYABLE


RECORDING = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1"
REMOVALS = {204: None, 404: None, 401: Failure.REAUTHORISE, 429: Failure.RETRYABLE, 500: Failure.RETRYABLE}


@pytest.mark.parametrize("status", REMOVALS)
async def test_a_recording_is_deleted_at_twilio(status: int) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status)

    removing = an_sms(answer, api_url="http://127.0.0.1:9/p").line.remove(RECORDING)
    if REMOVALS[status] is None:
        await removing
    else:
        with pytest.raises(SendFailed) as refused:
            await removing
        assert refused.value.failure == REMOVALS[status]
    [request] = seen
    assert (request.method, str(request.url)) == (
        "DELETE",
        RECORDING.replace("https://api.twilio.com", "http://127.0.0.1:9/p"),
    )
    assert "authorization" in request.headers


@pytest.mark.parametrize("address", [MEDIA, "https://evil.example/Recordings/RE1", ""])
async def test_nothing_else_is_deleted(address: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    with pytest.raises(SendFailed) as refused:
        await an_sms(answer).line.remove(address)
    assert refused.value.failure == Failure.FINAL


# ---- settings

NUMBERS = {"incoming_phone_numbers": [{"sid": "PN1", "phone_number": "+842713891022"}], "next_page_uri": None}


async def test_the_check_finds_our_number() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=NUMBERS)

    await an_sms(answer).check()
    assert seen[0].url.params["PhoneNumber"] == "+842713891022"


CHECKS: dict[str, tuple[Answer, Failure]] = {
    "a wrong token": (refusing(401, 20003), Failure.REAUTHORISE),
    "another's number": (
        lambda request: httpx.Response(200, json={**NUMBERS, "incoming_phone_numbers": []}),
        Failure.REAUTHORISE,
    ),
    "Twilio down": (refusing(503), Failure.RETRYABLE),
    "something else there": (lambda request: httpx.Response(200, content=b"<html>"), Failure.RETRYABLE),
}


@pytest.mark.parametrize("case", CHECKS)
async def test_the_check_says_what_is_wrong(case: str) -> None:
    answer, failure = CHECKS[case]
    with pytest.raises(SendFailed) as refused:
        await an_sms(answer).check()
    assert refused.value.failure == failure


WHOLE = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": "t", "twilio_number": "+84 271 389 1022"}


def settings(**members: object) -> Settings:
    return Settings(_env_file=None, **members)  # type: ignore[call-arg,arg-type]


def test_the_channel_is_made_from_its_settings() -> None:
    sms = Sms.from_settings(
        settings(**WHOLE, public_url="https://1022.example.vn", twilio_api_url="http://127.0.0.1:9/")
    )
    assert (sms.name, sms.account, sms.line.api_url) == ("sms", "+842713891022", "http://127.0.0.1:9")
    assert sms.greet(a_hook(b"")) is None
    assert settings().twilio_account_sid is None
    assert settings(twilio_account_sid="", twilio_auth_token=" ", twilio_number="").twilio_number is None


HALVES = {
    "no token": ({**WHOLE, "twilio_auth_token": None}, "TWILIO_AUTH_TOKEN"),
    "no account": ({**WHOLE, "twilio_account_sid": ""}, "TWILIO_ACCOUNT_SID"),
    "no number": ({**WHOLE, "twilio_number": None}, "TWILIO_NUMBER"),
    "a key alone": ({"twilio_api_key": "SK1", "twilio_api_secret": "s"}, "TWILIO_ACCOUNT_SID"),
    "a key without its secret": ({**WHOLE, "twilio_api_key": "SK1"}, "TWILIO_API_SECRET"),
    "no number at all": ({**WHOLE, "twilio_number": "84912345678"}, "number"),
    "a name too long": ({**WHOLE, "twilio_number": "TONGDAI1022BP"}, "name"),
    "a base that is no address": ({"twilio_api_url": "api.twilio.com"}, "scheme"),
    "a base with a query": ({"twilio_api_url": "https://x/?a=1"}, "scheme"),
    "the token in the open": ({"twilio_api_url": "http://gateway.example.vn"}, "https"),
}


@pytest.mark.parametrize(("members", "named"), HALVES.values(), ids=HALVES)
def test_half_a_channel_is_a_clear_error(members: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        settings(**members)

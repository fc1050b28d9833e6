"""Facebook: what the page hears, as it is read; what is sent, by which right; what every error means."""

import hashlib
import hmac
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

from channels import wire
from channels.adapter import BadSignature, Failure, Hook, HookAdapter, SendDoubtful, SendFailed
from channels.facebook import events, problems
from channels.facebook.sending import VERSION, Facebook
from channels.message import Address, FileRef, OutboundMessage
from core.settings import Settings
from tests.channels.payloads import a_hook, check_sound, mutated, recorded

PAGE, TOKEN, SECRET = "102345678901234", "EAAtoken", "0f3c-app-secret"
FIXTURES = recorded("facebook")
Answer = Callable[[httpx.Request], httpx.Response]


# --- what comes in


@pytest.mark.parametrize(("body", "expected"), FIXTURES)
def test_a_post_is_read_as_recorded(body: bytes, expected: list[dict[str, Any]]) -> None:
    assert [each.form() for each in events.parse(a_hook(body))] == expected


@pytest.mark.parametrize(("body", "expected"), FIXTURES)
def test_every_event_can_be_read_again_by_itself(body: bytes, expected: list[dict[str, Any]]) -> None:
    check_sound(events.parse(a_hook(body)), events.parse)


@trying(deadline=None)  # other work on the machine is no fault
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    check_sound(events.parse(a_hook(body)), events.parse)


@trying(deadline=None)
@given(st.sampled_from([each.values[0] for each in FIXTURES]), st.integers(0, 2**32))
def test_no_member_missing_or_odd_makes_it_fail(body: bytes, seed: int) -> None:
    check_sound(events.parse(a_hook(mutated(body, seed))), events.parse)


def test_one_event_that_cannot_be_read_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"message": {"mid": "m_good", "text": "Còn đây"}}
    body = {"object": "page", "entry": [{"id": PAGE, "messaging": [{"postback": {"title": "x"}}, good]}]}

    def fail(talk: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setitem(events._READERS, "postback", fail)
    bad, fine = events.parse(a_hook(body))
    assert (bad.kind, bad.ignore_reason) == ("unknown", "unreadable: RuntimeError")
    assert json.loads(bad.raw)["entry"][0]["messaging"] == [{"postback": {"title": "x"}}]
    assert (fine.external_id, fine.text) == ("m_good", "Còn đây")


def test_events_of_another_page_are_ignored() -> None:
    body = FIXTURES[[each.id for each in FIXTURES].index("batch")].values[0]
    reasons = {each.external_id: each.ignore_reason for each in events.parse(a_hook(body), PAGE)}
    assert reasons.pop("m_other_page") == "another page"
    assert set(reasons.values()) == {None}


def test_a_redelivered_post_gives_the_same_ids() -> None:
    for each in FIXTURES:
        ids = [[event.external_id for event in events.parse(a_hook(each.values[0]))] for _ in range(2)]
        assert ids[0] == ids[1]


def test_two_edits_of_a_message_are_two_events() -> None:
    def edit(turn: int) -> dict[str, Any]:
        return {"sender": {"id": "5"}, "message_edit": {"mid": "m_1", "text": "chữ", "num_edit": turn}}

    body = {"object": "page", "entry": [{"id": PAGE, "messaging": [edit(1), edit(2)]}]}
    assert [each.external_id for each in events.parse(a_hook(body))] == ["m_1:edited:1", "m_1:edited:2"]


def test_text_is_composed_and_without_characters_that_steer() -> None:
    decomposed = "Đươ\u0300ng ngâ\u0323p\u202e\r\nsâu"
    body = {"object": "page", "entry": [{"id": PAGE, "messaging": [{"message": {"mid": "m", "text": decomposed}}]}]}
    assert events.parse(a_hook(body))[0].text == "Đường ngập\nsâu"


# --- signature and handshake

# Meta escapes letters beyond ASCII before it signs; the signature is of these bytes, made with `openssl dgst -hmac`.
ESCAPED = (
    rb'{"object":"page","entry":[{"id":"102345678901234","time":1767230000000,"messaging":[{"message":'
    rb'{"mid":"m_1","text":"\u1ed5 g\u00e0 \u1edf t\u1ed5 5 <\/p>"}}]}]}'
)
SIGNATURE = "sha256=d79586a9e23ebf7f1dec9c0757a9490f6b98e56a61c49d01454f3e7cfb874d7b"


def test_the_signature_is_of_the_bytes_as_they_came() -> None:
    events.verify(a_hook(ESCAPED, **{"x-hub-signature-256": SIGNATURE}), SECRET)
    assert events.parse(a_hook(ESCAPED))[0].text == "ổ gà ở tổ 5 </p>"
    rewritten = json.dumps(json.loads(ESCAPED), ensure_ascii=False, separators=(",", ":")).encode()
    with pytest.raises(BadSignature):
        events.verify(a_hook(rewritten, **{"X-Hub-Signature-256": SIGNATURE}), SECRET)


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, SECRET),
        ({"X-Hub-Signature-256": ""}, SECRET),
        ({"X-Hub-Signature-256": SIGNATURE.removeprefix("sha256=")}, SECRET),
        ({"X-Hub-Signature-256": SIGNATURE[:-1] + "0"}, SECRET),
        ({"X-Hub-Signature-256": "sha256=ổ"}, SECRET),
        ({"X-Hub-Signature": "sha1=" + hmac.new(SECRET.encode(), ESCAPED, hashlib.sha1).hexdigest()}, SECRET),
        ({"X-Hub-Signature-256": SIGNATURE}, "another"),
        ({"X-Hub-Signature-256": "sha256=" + hmac.new(b"", ESCAPED, hashlib.sha256).hexdigest()}, ""),
    ],
)
def test_a_request_that_meta_did_not_sign_is_refused(headers: dict[str, str], secret: str) -> None:
    with pytest.raises(BadSignature):
        events.verify(a_hook(ESCAPED, **headers), secret)


def greeting(token: str, mode: str = "subscribe") -> Hook:
    return Hook(b"", {}, {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": "1158201444"})


def test_the_subscription_gets_its_challenge_back_for_our_token_only() -> None:
    assert events.greet(greeting("từ-của-ta"), "từ-của-ta") == "1158201444"
    assert events.greet(Hook(ESCAPED, {}, {}), "từ-của-ta") is None
    for token, ours in (("khác", "từ-của-ta"), ("", "từ-của-ta"), ("", "")):
        with pytest.raises(BadSignature):
            events.greet(greeting(token), ours)


# --- what goes out


class Graph:
    """Remembers what it was asked and answers as told."""

    def __init__(self, *answers: httpx.Response | Exception | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def body(self, number: int = 0) -> dict[str, Any]:
        return dict(json.loads(self.asked[number].content))


async def read(sha256: str) -> bytes:
    return b"%PDF-1.4 " + sha256.encode()


def page(
    answer: Answer, read: Callable[[str], Awaitable[bytes]] = read, url: str = "https://graph.test/fb"
) -> Facebook:
    return Facebook(
        PAGE, TOKEN, SECRET, "words", read=read, graph_url=url, transport=httpx.MockTransport(answer)
    )  # fmt: skip


def a_message(**members: Any) -> OutboundMessage:
    return OutboundMessage(
        **{
            "id": UUID("019ac601-e3e0-7000-a096-e60c39a27069"),
            "channel": "facebook",
            "to": Address("facebook", "5211480665594000"),
            "text": "Phản ánh của chị đã được tiếp nhận.",
            "purpose": "receipt",
            "unheard": timedelta(minutes=1),
            **members,
        }
    )


SENT = {"recipient_id": "5211480665594000", "message_id": "m_sent"}
DAY = timedelta(days=1)


def test_it_keeps_the_contract_of_a_hooked_channel() -> None:
    assert isinstance(page(Graph()), HookAdapter)


async def test_a_text_goes_to_the_person_with_token_and_proof() -> None:
    graph = Graph(SENT)
    assert await page(graph).send(a_message(part=2)) == "m_sent"
    (request,) = graph.asked
    assert (request.method, request.url.host, request.url.path) == ("POST", "graph.test", f"/fb/{VERSION}/me/messages")
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert dict(request.url.params) == {"access_token": TOKEN, "appsecret_proof": proof}
    assert graph.body() == {
        "messaging_type": "RESPONSE",
        "recipient": {"id": "5211480665594000"},
        "message": {
            "text": "Phản ánh của chị đã được tiếp nhận.",
            "metadata": "hotline:019ac601-e3e0-7000-a096-e60c39a27069:2",
        },
    }


@pytest.mark.parametrize(
    ("unheard", "automatic", "right"),
    [
        (timedelta(0), True, {"messaging_type": "RESPONSE"}),
        (DAY, True, {"messaging_type": "RESPONSE"}),
        (DAY, False, {"messaging_type": "RESPONSE"}),
        (DAY + timedelta(seconds=1), False, {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}),
        (7 * DAY, False, {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}),
    ],
)
async def test_the_right_to_write_follows_from_when_the_person_wrote(
    unheard: timedelta, automatic: bool, right: dict[str, str]
) -> None:
    graph = Graph(SENT)
    await page(graph).send(a_message(unheard=unheard, automatic=automatic))
    body = graph.body()
    assert {name: body[name] for name in body if name in ("messaging_type", "tag")} == right


@pytest.mark.parametrize(
    "members",
    [
        {"unheard": DAY + timedelta(seconds=1), "automatic": True},
        {"unheard": 7 * DAY + timedelta(seconds=1)},
        {"unheard": None},
        {"thread": {"comment_id": "9001_77"}, "unheard": 7 * DAY + timedelta(seconds=1)},
        {"thread": {"comment_id": "9001_77"}, "part": 1},
        {"thread": {"comment_id": "771_5", "mention": True}},
    ],
)
async def test_nothing_is_called_when_the_window_has_closed(members: dict[str, Any]) -> None:
    graph = Graph()
    with pytest.raises(SendFailed) as failed:
        await page(graph).send(a_message(**members))
    assert (failed.value.failure, graph.asked) == (Failure.WINDOW_CLOSED, [])


async def test_no_machine_speaks_where_another_app_leads_but_a_person_may() -> None:
    graph = Graph(SENT)
    with pytest.raises(SendFailed) as failed:
        await page(graph).send(a_message(thread={"standby": True}, automatic=True))
    assert (failed.value.failure, graph.asked) == (Failure.FINAL, [])
    assert await page(graph).send(a_message(thread={"standby": True})) == "m_sent"


@pytest.mark.parametrize(
    ("thread", "recipient"),
    [
        ({"comment_id": "9001_77", "post_id": f"{PAGE}_9001"}, {"comment_id": "9001_77"}),
        ({"post_id": f"{PAGE}_9100"}, {"post_id": f"{PAGE}_9100"}),
    ],
)
async def test_a_comment_is_answered_privately(thread: dict[str, str], recipient: dict[str, str]) -> None:
    graph = Graph(SENT)
    await page(graph).send(a_message(thread=thread, automatic=True))
    assert graph.body()["recipient"] == recipient


async def test_a_public_answer_is_a_call_of_its_own() -> None:
    graph = Graph({"id": "9001_90"})
    assert await page(graph).reply_publicly("9001_77", "Trung tâm đã nhắn riêng cho chị.") == "9001_90"
    assert graph.asked[0].url.path == f"/fb/{VERSION}/9001_77/comments"
    assert parse_qs(graph.asked[0].content.decode()) == {"message": ["Trung tâm đã nhắn riêng cho chị."]}
    with pytest.raises(SendFailed):
        await page(graph).reply_publicly("9001_77/../me", "x")
    assert len(graph.asked) == 1


PDF = FileRef("Công văn.pdf", "application/pdf", 12, sha256="ab12")


async def test_a_file_is_uploaded_and_then_sent() -> None:
    graph = Graph({"attachment_id": "1857777774821032"}, SENT)
    assert await page(graph).send(a_message(text="", attachments=(PDF,))) == "m_sent"
    upload, send = graph.asked
    assert upload.url.path == f"/fb/{VERSION}/me/message_attachments"
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert b"%PDF-1.4 ab12" in upload.content
    assert b'"type": "file"' in upload.content
    assert send.url.path == f"/fb/{VERSION}/me/messages"
    assert graph.body(1)["message"]["attachment"] == {
        "type": "file",
        "payload": {"attachment_id": "1857777774821032"},
    }


async def test_an_upload_without_an_answer_may_be_repeated_because_nobody_saw_it() -> None:
    graph = Graph(httpx.ReadTimeout("slow"))
    with pytest.raises(SendFailed) as failed:
        await page(graph).send(a_message(text="", attachments=(PDF,)))
    assert failed.value.failure is Failure.RETRYABLE


async def test_a_file_that_cannot_be_read_is_no_reason_to_doubt() -> None:
    async def gone(sha256: str) -> bytes:
        raise FileNotFoundError(sha256)

    with pytest.raises(SendFailed) as failed:
        await page(Graph(), gone).send(a_message(text="", attachments=(PDF,)))
    assert failed.value.failure is Failure.RETRYABLE


def error(code: int, subcode: int | None = None, **more: Any) -> dict[str, Any]:
    about = {"message": "Nguyễn Thị Hoa is away", "type": "OAuthException", "code": code, **more}
    return {"error": about | ({"error_subcode": subcode} if subcode else {})}


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, error(190, 463), Failure.REAUTHORISE),
        (403, error(10), Failure.REAUTHORISE),
        (403, error(10, 2018278), Failure.WINDOW_CLOSED),
        (403, error(10, 2534022), Failure.WINDOW_CLOSED),
        (403, error(10, 1893063), Failure.REAUTHORISE),
        (403, error(200), Failure.REAUTHORISE),
        (403, error(230), Failure.REAUTHORISE),
        (400, error(551), Failure.FINAL),
        (400, error(551, 1545041), Failure.FINAL),
        (400, error(100, 1545041), Failure.FINAL),
        (400, error(100), Failure.FINAL),
        (400, error(368), Failure.FINAL),
        (400, error(10900), Failure.WINDOW_CLOSED),
        (400, error(613), Failure.RATE_LIMITED),
        (400, error(4), Failure.RATE_LIMITED),
        (400, error(32), Failure.RATE_LIMITED),
        (400, error(80004), Failure.RATE_LIMITED),
        (500, error(2), Failure.RETRYABLE),
        (500, error(1200), Failure.RETRYABLE),
        (400, error(99999), Failure.FINAL),
        (500, error(99999, is_transient=True), Failure.RETRYABLE),
        (500, error(1), None),
        (500, error(1, 1357046), None),
        (400, {"error": "words"}, Failure.FINAL),
        (401, "no", Failure.REAUTHORISE),
        (429, "no", Failure.RATE_LIMITED),
        (404, "no", Failure.FINAL),
        (302, "moved", Failure.FINAL),
        (502, "<html>bad gateway", None),
        (200, "<html>welcome", None),
        (200, {}, None),
    ],
)
async def test_what_an_answer_means_for_the_message(status: int, body: Any, failure: Failure | None) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    graph = Graph(httpx.Response(status, content=content))
    with pytest.raises((SendFailed, SendDoubtful)) as raised:
        await page(graph).send(a_message())
    assert getattr(raised.value, "failure", None) is failure
    assert "Hoa" not in str(raised.value)


@pytest.mark.parametrize(
    ("broken", "doubt"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.WriteError("broke off"), True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.ReadError("reset"), True),
        (httpx.RemoteProtocolError("closed"), True),
    ],
)
async def test_only_what_was_never_written_may_be_sent_again(broken: Exception, doubt: bool) -> None:
    with pytest.raises(SendDoubtful if doubt else SendFailed) as raised:
        await page(Graph(broken)).send(a_message())
    assert doubt or getattr(raised.value, "failure", None) is Failure.RETRYABLE


def test_every_error_has_a_sentence_of_its_own_words() -> None:
    for failure, reason in [*problems.BY_CODE.values(), *problems.BY_SUBCODE.values()]:
        assert failure in Failure
        assert reason


async def test_the_token_stands_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await page(Graph(SENT)).send(a_message())
        with pytest.raises(SendDoubtful) as doubtful:
            await page(Graph(httpx.ReadTimeout(TOKEN))).send(a_message())
    assert TOKEN not in caplog.text + str(doubtful.value)


async def test_the_check_wants_our_page() -> None:
    await page(Graph({"id": PAGE, "name": "Trung tâm 1022"})).check()
    for answer in ({"id": "1", "name": "Khác"}, httpx.Response(400, json=error(190)), httpx.ReadTimeout("slow")):
        with pytest.raises(SendFailed):
            await page(Graph(answer)).check()


# --- files


async def fetched(facebook: Facebook, url: str | None, media_type: str = "image/jpeg") -> bytes:
    stream = facebook.fetch(FileRef("a.jpg", media_type, url=url))
    return b"".join([piece async for piece in stream])


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses(host: str) -> list[str]:
        return ["10.0.0.8"] if host.startswith("inside.") else ["157.240.1.35"]

    monkeypatch.setattr(wire, "addresses", addresses)


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    "url",
    [
        "https://scontent.xx.fbcdn.net/v/a.jpg?oh=1",
        "https://cdn.fbsbx.com/v/a.pdf",
        "https://lookaside.facebook.com/a",
        "https://graph.test/anything",
    ],
)
async def test_a_file_is_fetched_from_metas_hosts(url: str) -> None:
    graph = Graph(httpx.Response(200, content=b"bytes"))
    assert await fetched(page(graph), url) == b"bytes"
    assert TOKEN not in str(graph.asked[0].url) + str(graph.asked[0].headers)


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    "url",
    [
        "http://scontent.xx.fbcdn.net/v/a.jpg",
        "http://graph.test/anything",
        "https://fbcdn.net.evil.example/a",
        "https://evilfbcdn.net/a",
        "https://user@scontent.xx.fbcdn.net/a",
        "https://scontent.xx.fbcdn.net:8443/a",
        "https://127.0.0.1/a",
        "https://inside.fbcdn.net/a",
        "https://www.facebook.com/login",
        "file:///etc/passwd",
        "https://[::1/a",
        None,
    ],
)
async def test_nothing_is_fetched_from_anywhere_else(url: str | None) -> None:
    graph = Graph()
    with pytest.raises(SendFailed) as failed:
        await fetched(page(graph), url)
    assert (failed.value.failure, graph.asked) == (Failure.FINAL, [])


@pytest.mark.usefixtures("public")
async def test_a_redirect_leads_to_another_of_metas_hosts_or_nowhere() -> None:
    def to(url: str) -> httpx.Response:
        return httpx.Response(302, headers={"location": url})

    start = "https://lookaside.facebook.com/a"
    graph = Graph(to("https://scontent.xx.fbcdn.net/b"), to("/c"), httpx.Response(200, content=b"bytes"))
    assert await fetched(page(graph), start) == b"bytes"
    assert str(graph.asked[-1].url) == "https://scontent.xx.fbcdn.net/c"
    for away in ("https://evil.example/", "http://scontent.xx.fbcdn.net/", "https://inside.fbcdn.net/", ""):
        with pytest.raises(SendFailed) as failed:
            await fetched(page(Graph(*[to(away)] * 4)), start)
        assert failed.value.failure is Failure.FINAL


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (httpx.Response(403), Failure.FINAL),
        (httpx.Response(404), Failure.FINAL),
        (httpx.Response(429), Failure.RATE_LIMITED),
        (httpx.Response(503), Failure.RETRYABLE),
        (httpx.ReadTimeout("slow"), Failure.RETRYABLE),
        (httpx.ConnectError("refused"), Failure.RETRYABLE),
        (httpx.Response(200, content=b"x" * (wire.MOST + 1)), Failure.FINAL),
    ],
)
async def test_why_a_file_is_not_to_be_had(answer: httpx.Response | Exception, failure: Failure) -> None:
    with pytest.raises(SendFailed) as failed:
        await fetched(page(Graph(answer)), "https://scontent.xx.fbcdn.net/a")
    assert failed.value.failure is failure


async def test_a_shared_link_is_nothing_to_fetch() -> None:
    with pytest.raises(SendFailed) as failed:
        await fetched(page(Graph()), "https://scontent.xx.fbcdn.net/a", "text/uri-list")
    assert failed.value.failure is Failure.FINAL


# --- settings

WHOLE = {
    "facebook_page_id": PAGE,
    "facebook_page_token": TOKEN,
    "facebook_app_secret": SECRET,
    "facebook_verify_token": "words",
}


def settings(**members: str) -> Settings:
    return Settings(_env_file=None, **members)  # type: ignore[call-arg, arg-type]


async def test_the_channel_is_made_from_the_settings() -> None:
    made = Facebook.from_settings(settings(**WHOLE), read)
    assert made.account == PAGE
    assert made.greet(greeting("words")) == "1158201444"
    made.verify(a_hook(ESCAPED, **{"X-Hub-Signature-256": SIGNATURE}))
    assert made.parse(a_hook(ESCAPED))[0].text == "ổ gà ở tổ 5 </p>"
    assert settings(facebook_page_id=" ", facebook_graph_url="").facebook_graph_url == "https://graph.facebook.com"
    assert settings(facebook_graph_url="http://127.0.0.1:9000/fb/").facebook_graph_url == "http://127.0.0.1:9000/fb"


@pytest.mark.parametrize(
    "members",
    [
        *({name: value for name, value in WHOLE.items() if name != left_out} for left_out in WHOLE),
        {**WHOLE, "facebook_page_id": "trang-1022"},
        {**WHOLE, "facebook_graph_url": "graph.facebook.com"},
        {**WHOLE, "facebook_graph_url": "http://graph.facebook.com"},
        {**WHOLE, "facebook_graph_url": "https://graph.facebook.com/?a=b"},
    ],
)
def test_half_a_channel_is_refused(members: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**members)

"""The stand-ins keep to what the vendors publish, seen with plain httpx. Signatures are reckoned here once more."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.fakes.starting import Fake, started
from tests.fakes.zalo_oa import mac

DAY = 86400
# No connection is kept, as one would outlive the closing of a port that a test asks for.
WEB = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=20, trust_env=False)


class Hooks:
    """The application's side: keeps webhooks, answers 200 or what `answers` says next."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.echo_challenge = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.answer(outer.answers.pop(0) if outer.answers else 200, b"")

            def do_GET(self) -> None:
                query = httpx.URL(self.path).params
                right = outer.echo_challenge and query["hub.verify_token"] == "verify-me"
                self.answer(200 if right else 403, query["hub.challenge"].encode() if right else b"")

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Fake]]:
    with started("zalo") as zalo, started("graph") as graph, started("telegram") as telegram:
        yield {"zalo": zalo, "graph": graph, "telegram": telegram}


@pytest.fixture
def zalo(fakes: dict[str, Fake], hooks: Hooks) -> Fake:
    return fresh(fakes["zalo"], webhook_url=hooks.url, echo=False, receipts=[])


@pytest.fixture
def graph(fakes: dict[str, Fake], hooks: Hooks) -> Fake:
    return fresh(fakes["graph"], webhook_url=hooks.url, echo=False, receipts=[])


@pytest.fixture
def telegram(fakes: dict[str, Fake], hooks: Hooks) -> Fake:
    return fresh(fakes["telegram"], webhook_url=hooks.url, secret_token="s3cret")


def fresh(fake: Fake, **settings: Any) -> Fake:
    fake.control("reset")
    fake.control("settings", **settings)
    return fake


# ---- what all have in common


def test_a_fake_can_be_slow_down_talk_nonsense_break_off_and_be_gone(telegram: Fake) -> None:
    me = f"{telegram.url}/bot1022:bot-token/getMe"
    telegram.control("say", user=7, text="chào")
    telegram.control("fault", kind="status", status=503, times=1)
    telegram.control("fault", kind="garbage", times=1)
    assert [WEB.get(me).status_code, "<html>" in WEB.get(me).text] == [503, True]
    telegram.control("fault", kind="slow", seconds=5, path="getMe")
    with pytest.raises(httpx.ReadTimeout):
        WEB.get(me, timeout=0.1)
    telegram.control("heal")
    telegram.control("fault", kind="broken", times=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        WEB.get(me)
    telegram.control("fault", kind="lost", times=1)
    send = f"{telegram.url}/bot1022:bot-token/sendMessage"
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        WEB.post(send, json={"chat_id": 7, "text": "đã nhận"})
    assert [each["text"] for each in telegram.control("sent", to=7)] == ["đã nhận"]  # the work was done all the same
    telegram.away(0.2)
    with pytest.raises(httpx.ConnectError):
        WEB.get(me)
    telegram.back()
    assert len(telegram.control("sent")) == 1  # it remembers
    assert telegram.control("requests", path="sendMessage")[0]["body"] == '{"chat_id":7,"text":"đã nhận"}'


def test_webhooks_can_be_repeated_held_shuffled_dropped_and_delayed(zalo: Fake, hooks: Hooks) -> None:
    zalo.control("settings", repeat=2)
    zalo.control("say", user="u1", text="hai lần")
    zalo.control("settle")
    assert len(hooks.got) == 2
    assert hooks.got[0] == hooks.got[1]
    hooks.got.clear()
    zalo.control("settings", repeat=1, hold=True)
    for word in "abcdef":
        zalo.control("say", user="u1", text=word)
    assert hooks.got == []
    zalo.control("flush", order="shuffled", seed=3)
    zalo.control("settle")
    words = [each["message"]["text"] for each in hooks.bodies()]
    assert sorted(words) == list("abcdef") != words
    hooks.got.clear()
    zalo.control("settings", hold=False, drop=["user_send_text"])
    assert zalo.control("say", user="u1", text="mất")["state"] == "dropped"
    zalo.control("settings", drop=[], delay=3600)
    assert zalo.control("say", user="u1", text="muộn")["state"] == "waiting"
    zalo.control("clock", advance=3600)
    zalo.control("settle")
    assert [each["message"]["text"] for each in hooks.bodies()] == ["muộn"]


def test_control_refuses_what_it_does_not_know(zalo: Fake) -> None:
    for path, body in (("nothing", {}), ("settings", {"nothing": 1}), ("say", {"user": "u", "kind": "song"})):
        with pytest.raises(httpx.HTTPStatusError):
            zalo.control(path, **body)


# ---- Zalo


def granted(zalo: Fake) -> dict[str, str]:
    return {"access_token": zalo.control("grant")["access_token"]}


def token_call(zalo: Fake, secret: str = "app-secret", **form: str) -> dict[str, Any]:
    answer = WEB.post(
        f"{zalo.url}/v4/oa/access_token", data={"app_id": "1234567890123456789", **form}, headers={"secret_key": secret}
    )
    assert answer.status_code == 200  # failures too
    found: dict[str, Any] = answer.json()
    return found


def consult(zalo: Fake, headers: dict[str, str], user: str = "u1", **message: Any) -> httpx.Response:
    body = {"recipient": {"user_id": user}, "message": message}
    return WEB.post(f"{zalo.url}/v3.0/oa/message/cs", json=body, headers=headers)


def test_zalo_signs_as_the_published_vector() -> None:
    vector = "2f1ef5aabe67e8396a459ca89562e108ad541f82ba5022c85f645bd6b7220cb9"
    assert mac("X", b"BODY", "1234567890", "Y") == vector
    assert hashlib.sha256(b"XBODY1234567890Y").hexdigest() == vector


@pytest.mark.parametrize("kind", ["right", "spaced", "bare", "upper", "wrong", "hmac", "none"])
def test_zalo_webhooks_carry_a_hash_of_what_was_sent(zalo: Fake, hooks: Hooks, kind: str) -> None:
    zalo.control("settings", signature=kind)
    zalo.control("say", user="u1", text="Đường hỏng ở Bù Đăng")
    [(headers, body)] = hooks.got
    event = json.loads(body)
    assert event["message"]["text"] == "Đường hỏng ở Bù Đăng"
    assert event["timestamp"].isdecimal()
    right = hashlib.sha256(
        b"1234567890123456789" + body + event["timestamp"].encode() + b"oa-secret"
    ).hexdigest()  # fmt: skip
    given = headers.get("x-zevent-signature", "")
    expected = {"right": f"mac={right}", "spaced": f"mac = {right}", "bare": right, "upper": f"mac={right.upper()}"}
    assert (given == expected.get(kind)) == (kind in expected)
    assert bool(given) == (kind != "none")


def test_zalo_users_say_things_with_bytes_that_can_be_fetched_until_they_expire(zalo: Fake, hooks: Hooks) -> None:
    photo = base64.b64encode(b"jpeg bytes").decode()
    zalo.control("say", user="u1", kind="image", base64=photo)
    zalo.control("say", user="u1", kind="file", base64=photo, name="đơn.pdf", type="application/pdf")
    zalo.control("say", user="u1", kind="location", latitude=11.53, longitude=106.9)
    zalo.control("say", user="u1", kind="business_card", phone="84912345678")
    zalo.control("say", user="u1", kind="sticker")
    zalo.control("say", user="a1", text="ẩn danh", anonymous=True)
    names = [each["event_name"].removeprefix("user_send_") for each in hooks.bodies()]
    assert names == ["image", "file", "location", "business_card", "sticker", "anonymous_send_text"]
    image, file, place, card = (each["message"]["attachments"][0] for each in hooks.bodies()[:4])
    assert WEB.get(image["payload"]["url"]).content == b"jpeg bytes"
    assert file["payload"]["checksum"] == hashlib.md5(b"jpeg bytes", usedforsecurity=False).hexdigest()
    assert place["payload"]["coordinates"] == {"latitude": "11.53", "longitude": "106.9"}
    assert json.loads(card["payload"]["description"])["phone"] == "84912345678"
    zalo.control("clock", advance=8 * DAY)
    assert WEB.get(image["payload"]["url"]).status_code == 403


def test_zalo_repeats_up_its_ladder_and_then_unsubscribes(zalo: Fake, hooks: Hooks) -> None:
    hooks.answers = [500] * 9
    zalo.control("say", user="u1", text="a")
    for rung in (30, 300, 900, 1800, 3600):
        zalo.control("clock", advance=rung)
        zalo.control("settle")
    assert [headers.get("num_retry") for headers, _ in hooks.got] == [None, "1", "2", "3", "4", "5"]
    assert len({body for _, body in hooks.got}) == 1
    assert zalo.control("settings")["subscribed"] is False
    assert zalo.control("say", user="u1", text="b")["state"] == "unsent"
    hooks.answers = []
    assert zalo.control("register", url=hooks.url)["registered"]  # the probe is `{}` without a signature
    assert hooks.got[-1][1] == b"{}"
    assert "x-zevent-signature" not in hooks.got[-1][0]


def test_zalo_refresh_tokens_are_used_once(zalo: Fake) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
    zalo.control("settings", code_challenge=challenge)
    back = WEB.get(
        f"{zalo.url}/v4/oa/permission",
        params={"app_id": "1234567890123456789", "redirect_uri": "https://bp.example/zalo?a=1", "state": "s"},
    ).headers["location"]
    code = httpx.URL(back).params["code"]
    grant = {"grant_type": "authorization_code", "code": code}
    assert "access_token" not in token_call(zalo, **grant, code_verifier="another")
    grant["code"] = zalo.control("consent")
    first = token_call(zalo, **grant, code_verifier="verifier")
    assert first["expires_in"] == "90000"
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = token_call(zalo, **again)
    assert second["refresh_token"] != first["refresh_token"]
    refused = token_call(zalo, **again)
    assert refused["error_name"] == "Invalid refresh token"
    assert "error" not in refused
    zalo.control("settings", oauth_codes=True)
    assert token_call(zalo, **again)["error"] == -14014
    zalo.control("fault", kind="lost", path="access_token", times=1)  # burnt without anybody having the new pair
    burnt = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    with pytest.raises(httpx.RemoteProtocolError):
        token_call(zalo, **burnt)
    assert token_call(zalo, **burnt)["error"] == -14014
    assert zalo.control("counters")["refreshes"] == 2


def test_zalo_sends_within_seven_days_and_bills_after_two(zalo: Fake, hooks: Hooks) -> None:
    zalo.control("settings", echo=True, receipts=["received", "seen"])
    zalo.control("say", user="u1", text="a")
    headers = granted(zalo)
    sent = consult(zalo, headers, text="Đã tiếp nhận")
    assert (sent.status_code, sent.json()["error"], "quota" in sent.json()["data"]) == (200, 0, False)
    zalo.control("settle")
    events = {each["event_name"]: each["message"] for each in hooks.bodies()[1:]}
    assert {*events} == {"oa_send_text", "user_received_message", "user_seen_message"}
    assert events["user_seen_message"]["msg_ids"] == [sent.json()["data"]["message_id"]]
    zalo.control("clock", advance=3 * DAY)
    headers = granted(zalo)
    assert "quota" in consult(zalo, headers, text="b").json()["data"]
    zalo.control("clock", advance=4 * DAY)
    assert consult(zalo, headers, text="c").json()["error"] == -220  # 25 hours are over as well
    assert consult(zalo, granted(zalo), text="c").json()["error"] == -230
    assert [each["text"] for each in zalo.control("sent", to="u1")] == ["Đã tiếp nhận", "b"]


def test_zalo_refuses_in_its_envelope_with_200(zalo: Fake) -> None:
    headers = granted(zalo)
    zalo.control("say", user="u1", text="a")
    assert consult(zalo, {}, text="a").json()["error"] == -216
    assert consult(zalo, headers, text="a" * 2001).json()["error"] == -210
    assert consult(zalo, headers, user="u2", text="a").json()["error"] == -201
    media = {"media_type": "image", "url": "https://a", "attachment_id": "b"}
    attachment = {"type": "template", "payload": {"template_type": "media", "elements": [media]}}
    assert consult(zalo, headers, attachment=attachment).json()["error"] == -201
    zalo.control("settings", refuse=[-200])
    assert [consult(zalo, headers, text="a").json()["error"] for _ in range(2)] == [-200, 0]
    zalo.control("settings", proof_needed=True)
    assert consult(zalo, headers, text="a").json()["error"] == -242
    proof = hmac.new(b"app-secret", headers["access_token"].encode(), hashlib.sha256).hexdigest()
    assert consult(zalo, headers | {"appsecret_proof": proof}, text="a").json()["error"] == 0
    zalo.control("settings", proof_needed=False, calls_per_minute=1)
    full = consult(zalo, headers, text="a")
    assert (full.json()["error"], full.headers["X-RateLimit-Remain"]) == (-32, "0")


def test_zalo_uploads_have_limits_and_expire(zalo: Fake) -> None:
    headers = granted(zalo)
    zalo.control("say", user="u1", text="a")

    def upload(kind: str, name: str, size: int = 10) -> dict[str, Any]:
        url = f"{zalo.url}/v2.0/oa/upload/{kind}"
        found: dict[str, Any] = WEB.post(url, files={"file": (name, bytes(size))}, headers=headers).json()
        return found

    assert upload("image", "a.jpg", (1 << 20) + 1)["error"] == -210
    assert upload("image", "a.gif")["error"] == -201
    token = upload("file", "a.pdf")["data"]["token"]
    handle = upload("image", "a.png")["data"]["attachment_id"]
    media = {"media_type": "image", "attachment_id": handle}
    picture = {"type": "template", "payload": {"template_type": "media", "elements": [media]}}
    assert consult(zalo, headers, attachment={"type": "file", "payload": {"token": token}}).json()["error"] == 0
    assert consult(zalo, headers, text="ảnh", attachment=picture).json()["error"] == 0
    zalo.control("clock", advance=7 * DAY + 1)
    zalo.control("say", user="u1", text="b")
    assert consult(zalo, granted(zalo), attachment=picture).json()["error"] == -100


def test_zalo_answers_the_nameless_and_sends_templates(zalo: Fake, hooks: Hooks) -> None:
    headers = granted(zalo)
    zalo.control("settings", receipts=["received"])
    zalo.control("user", user="u1", phone="84912345678")

    def post(path: str, **body: Any) -> int:
        return int(WEB.post(zalo.url + path, json=body, headers=headers).json()["error"])

    zalo.control("say", user="a1", text="ẩn danh", anonymous=True, conversation="c9")
    old = "/v2.0/oa/message"
    assert post(old, recipient={"anonymous_id": "a1", "conversation_id": "c9"}, message={"text": "x"}) == 0
    assert post(old, recipient={"anonymous_id": "a1", "conversation_id": "c8"}, message={"text": "x"}) == -201
    assert post(old, recipient={"user_id": "u1"}, message={"text": "x"}) == -240
    data = {"code": "BP-26-0482134", "status": "Đã xử lý"}
    known = {"template_id": "7895417a7d3f9461cd2e", "template_data": data}
    assert post("/v3.0/oa/message/template", user_id="u1", **known) == 0  # without a window
    assert post("/message/template", phone="84912345678", tracking_id="t1", **known) == 0
    assert post("/message/template", phone="84999999999", **known) == -118
    assert post("/message/template", phone="84912345678", tracking_id="t" * 49, **known) == -1121
    zalo.control("settings", phone_only=[known["template_id"]], balance=0)
    assert post("/v3.0/oa/message/template", user_id="u1", **known) == -249
    assert post("/message/template", phone="84912345678", **known) == -115
    zalo.control("settle")
    [receipt] = [headers for headers, _ in hooks.got if headers.get("x-zevent-server") == "ZNS"]
    assert receipt["x-zevent-signature"].startswith("mac=")


def test_zalo_tells_about_itself_its_users_and_their_history(zalo: Fake) -> None:
    headers = granted(zalo)
    zalo.control("say", user="u1", text="a")
    zalo.control("act", user="u1", what="follow")

    def get(path: str, **data: Any) -> Any:
        return WEB.get(zalo.url + path, params={"data": json.dumps(data)}, headers=headers).json()["data"]

    consult(zalo, headers, text="b")
    assert get("/v2.0/oa/getoa")["num_follower"] == 1
    assert get("/v3.0/oa/user/detail", user_id="u1")["user_is_follower"] is True
    rows = get("/v2.0/oa/conversation", user_id="u1", offset=0, count=10)
    assert [(row["src"], row["message"]) for row in rows] == [(0, "b"), (1, "a")]
    assert [row["message"] for row in get("/v2.0/oa/listrecentchat", offset=0, count=10)] == ["b"]


# ---- Graph


def proof_of(token: str = "page-token", secret: str = "app-secret") -> dict[str, str]:
    proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    return {"access_token": token, "appsecret_proof": proof}


def write(graph: Fake, to: Any = "p1", *, text: str = "trả lời", **more: Any) -> Any:
    body = {"recipient": to if isinstance(to, dict) else {"id": to}, "message": {"text": text}, **more}
    return WEB.post(f"{graph.url}/v25.0/me/messages", params=proof_of(), json=body).json()


def code_of(answer: Any) -> tuple[int, int]:
    return answer["error"]["code"], answer["error"].get("error_subcode", 0)


def test_graph_signs_the_escaped_bytes_it_sends(graph: Fake, hooks: Hooks) -> None:
    graph.control("say", user="p1", text="khổ/sở")
    [(headers, body)] = hooks.got
    assert b'"text":"kh\\u1ed5\\/s\\u1edf"' in body
    signature = hmac.new(b"app-secret", body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={signature}"
    assert len(headers["x-hub-signature-256"]) == 71
    message = json.loads(body)["entry"][0]["messaging"][0]
    assert (message["sender"], message["message"]["text"]) == ({"id": "p1"}, "khổ/sở")
    graph.control("settings", signature="wrong")
    graph.control("say", user="p1", text="a")
    headers, body = hooks.got[-1]
    assert headers["x-hub-signature-256"] != "sha256=" + hmac.new(b"app-secret", body, hashlib.sha256).hexdigest()


def test_graph_registers_a_webhook_that_gives_the_challenge_back(graph: Fake, hooks: Hooks) -> None:
    assert graph.control("register", url=hooks.url)["registered"]
    assert graph.control("register", url=hooks.url, verify_token="another") == {"status": 403, "registered": False}


def test_graph_sends_batches_and_disables_a_webhook_that_fails(graph: Fake, hooks: Hooks) -> None:
    graph.control("settings", hold=True)
    graph.control("say", user="p1", text="a")
    graph.control("say", user="p2", kind="image", count=2)
    graph.control("comment", user="p3", text="Đèn hỏng")
    graph.control("say", user="p1", kind="sticker")
    graph.control("flush", batch=True)
    [body] = hooks.bodies()
    assert [len(entry.get("messaging", entry.get("changes"))) for entry in body["entry"]] == [2, 1, 1]
    image = body["entry"][0]["messaging"][1]["message"]["attachments"][1]["payload"]["url"]
    assert WEB.get(image).content.startswith(b"\xff\xd8")
    assert body["entry"][1]["changes"][0]["value"]["verb"] == "add"
    assert body["entry"][2]["messaging"][0]["message"]["attachments"][0]["type"] == "sticker"
    hooks.answers = [500] * 7
    graph.control("settings", hold=False)
    graph.control("say", user="p1", text="b")
    for rung in (0, 60, 300, 900, 1800, 3600):
        graph.control("clock", advance=rung)
        graph.control("settle")
    assert graph.control("settings")["subscribed"] is False


def test_graph_checks_token_and_proof(graph: Fake) -> None:
    me = f"{graph.url}/v25.0/me"
    assert WEB.get(me, params=proof_of()).json()["name"] == "Tổng đài 1022"
    assert WEB.get(me).json()["error"]["code"] == 2500
    assert WEB.get(me, params=proof_of("another")).json()["error"]["code"] == 190
    assert WEB.get(me, params=proof_of(secret="another")).json()["error"]["code"] == 100
    assert WEB.get(me, params={"access_token": "page-token"}).json()["error"]["code"] == 100


def test_graph_windows_are_a_day_and_seven_with_a_human(graph: Fake, hooks: Hooks) -> None:
    graph.control("settings", echo=True, receipts=["delivery", "read"])
    human = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert code_of(write(graph)) == (100, 2018001)
    graph.control("say", user="p1", text="a")
    sent = write(graph, messaging_type="RESPONSE")
    assert sent["recipient_id"] == "p1"
    graph.control("settle")
    after = [each["entry"][0]["messaging"][0] for each in hooks.bodies()[1:]]
    assert {key for each in after for key in each} >= {"message", "delivery", "read"}
    assert [each["message"]["is_echo"] for each in after if "message" in each] == [True]
    assert [each["delivery"]["mids"] for each in after if "delivery" in each] == [[sent["message_id"]]]
    assert code_of(write(graph, text="a" * 2001)) == (100, 0)
    graph.control("clock", advance=DAY + 60)
    assert code_of(write(graph, messaging_type="RESPONSE")) == (10, 2018278)
    assert code_of(write(graph, messaging_type="MESSAGE_TAG", tag="ACCOUNT_UPDATE")) == (100, 0)
    assert "message_id" in write(graph, **human)
    graph.control("clock", advance=6 * DAY)
    assert code_of(write(graph, **human)) == (10, 2018278)
    graph.control("user", user="p1", blocked=True)
    assert code_of(write(graph)) == (551, 1545041)
    graph.control("settings", refuse=[[613, 0]])
    assert code_of(write(graph)) == (613, 0)


def test_graph_takes_one_private_reply_a_comment_and_public_ones(graph: Fake, hooks: Hooks) -> None:
    comment = graph.control("comment", user="p1", text="Rác")["comment"]
    assert write(graph, {"comment_id": comment})["recipient_id"] == "p1"
    assert code_of(write(graph, {"comment_id": comment}))[0] == 10900
    assert code_of(write(graph))[0] == 10  # it opened no window
    late = graph.control("comment", user="p1", text="Cũ")["comment"]
    graph.control("clock", advance=8 * DAY)
    assert "error" in write(graph, {"comment_id": late})
    base = f"{graph.url}/v25.0/{comment}"
    assert "id" in WEB.post(f"{base}/comments", params=proof_of() | {"message": "Đã ghi nhận"}).json()
    graph.control("settle")
    assert hooks.bodies()[-1]["entry"][0]["changes"][0]["value"]["from"]["id"] == "104857600001022"
    assert WEB.post(base, params=proof_of() | {"is_hidden": "true"}).json() == {"success": True}


def test_graph_uploads_profiles_and_subscriptions(graph: Fake) -> None:
    graph.control("say", user="p1", text="a")
    message = {"attachment": {"type": "image", "payload": {"is_reusable": True}}}
    handle = WEB.post(
        f"{graph.url}/v25.0/me/message_attachments",
        params=proof_of(),
        data={"message": json.dumps(message)},
        files={"filedata": ("a.jpg", b"x", "image/jpeg")},
    ).json()["attachment_id"]
    sent = {"attachment": {"type": "image", "payload": {"attachment_id": handle}}}
    assert "message_id" in write(graph, message=sent)
    profile = WEB.get(f"{graph.url}/v25.0/p1", params=proof_of() | {"fields": "first_name,last_name"})
    assert profile.json()["last_name"] == "p1"
    graph.control("settings", private=True)
    assert code_of(WEB.get(f"{graph.url}/v25.0/p1", params=proof_of()).json()) == (100, 2018218)
    page = f"{graph.url}/v25.0/104857600001022/subscribed_apps"
    assert WEB.post(page, params=proof_of() | {"subscribed_fields": "feed"}).json() == {"success": True}
    assert WEB.get(page, params=proof_of()).json()["data"][0]["subscribed_fields"] == ["feed"]
    assert graph.control("say", user="p1", text="a")["state"] == "unsent"


# ---- Telegram


def call(telegram: Fake, method: str, **given: Any) -> Any:
    return WEB.post(f"{telegram.url}/bot1022:bot-token/{method}", json=given).json()


def test_telegram_repeats_the_secret_and_holds_the_queue_behind_a_failure(telegram: Fake, hooks: Hooks) -> None:
    assert call(telegram, "setWebhook", url=hooks.url, secret_token="bad secret")["error_code"] == 400
    assert call(telegram, "setWebhook", url=hooks.url, secret_token="abc_-1")["result"] is True
    hooks.answers = [500, 500]
    telegram.control("say", user=7, text="một")
    telegram.control("say", user=7, text="hai")
    info = call(telegram, "getWebhookInfo")["result"]
    assert (info["pending_update_count"], "500" in info["last_error_message"]) == (2, True)
    for rung in (1, 2):
        telegram.control("clock", advance=rung)
        telegram.control("settle")
    assert [each["message"]["text"] for each in hooks.bodies()] == ["một", "một", "một", "hai"]
    assert {headers["x-telegram-bot-api-secret-token"] for headers, _ in hooks.got} == {"abc_-1"}
    assert call(telegram, "getUpdates")["error_code"] == 409
    call(telegram, "deleteWebhook")
    telegram.control("say", user=7, text="ba")
    [waiting] = call(telegram, "getUpdates")["result"]
    call(telegram, "setWebhook", url=hooks.url)
    telegram.control("settle")
    assert hooks.bodies()[-1] == waiting


def test_telegram_files_can_be_fetched_for_an_hour(telegram: Fake, hooks: Hooks) -> None:
    telegram.control("say", user=7, kind="photo", text="Ổ gà", base64=base64.b64encode(b"jpeg").decode(), album="1")
    message = hooks.bodies()[0]["message"]
    assert (message["caption"], message["media_group_id"]) == ("Ổ gà", "1")
    path = call(telegram, "getFile", file_id=message["photo"][-1]["file_id"])["result"]["file_path"]
    link = f"{telegram.url}/file/bot1022:bot-token/{path}"
    assert WEB.get(link).content == b"jpeg"
    assert WEB.get(link.replace("bot-token", "another")).status_code == 401
    telegram.control("clock", advance=3601)
    assert WEB.get(link).status_code == 404
    telegram.control("say", user=7, kind="document", size=(20 << 20) + 1, name="phim.mp4", type="video/mp4")
    assert (
        "too big"
        in call(telegram, "getFile", file_id=hooks.bodies()[1]["message"]["document"]["file_id"])["description"]
    )


def test_telegram_users_share_places_numbers_edit_press_and_block(telegram: Fake, hooks: Hooks) -> None:
    telegram.control("say", user=7, kind="location", latitude=11.5, longitude=106.9)
    telegram.control("say", user=7, kind="contact", phone="+84912345678")
    telegram.control("say", user=7, kind="contact", phone="+84987654321", owner=None)
    telegram.control("say", user=7, kind="sticker")
    said = telegram.control("say", user=7, text="a")["message_id"]
    telegram.control("say", user=7, text="b", edit=said)
    telegram.control("press", user=7, message_id=said, data="rate:5")
    telegram.control("block", user=7)
    place, own, others, sticker, _, edited, pressed, blocked = hooks.bodies()
    assert place["message"]["location"] == {"latitude": 11.5, "longitude": 106.9}
    assert own["message"]["contact"]["user_id"] == own["message"]["from"]["id"] == 7
    assert "user_id" not in others["message"]["contact"]
    assert "sticker" in sticker["message"]
    assert (edited["edited_message"]["message_id"], edited["edited_message"]["text"]) == (said, "b")
    assert pressed["callback_query"]["data"] == "rate:5"
    assert blocked["my_chat_member"]["new_chat_member"]["status"] == "kicked"
    ids = [each["update_id"] for each in hooks.bodies()]
    assert ids == list(range(ids[0], ids[0] + 8))
    assert call(telegram, "sendMessage", chat_id=7, text="x")["description"] == "Forbidden: bot was blocked by the user"


def test_telegram_sends_with_an_answer_and_refuses_as_published(telegram: Fake) -> None:
    assert call(telegram, "sendMessage", chat_id=7, text="x")["error_code"] == 400
    said = telegram.control("say", user=7, text="a")["message_id"]
    answer = call(telegram, "sendMessage", chat_id=7, text="x", reply_parameters={"message_id": said})
    assert answer["result"]["reply_to_message"]["message_id"] == said
    assert telegram.control("sent")[0]["reply_to"] == said
    assert "not found" in call(
        telegram, "sendMessage", chat_id=7, text="x", reply_parameters={"message_id": 1}
    )["description"]  # fmt: skip
    assert "too long" in call(telegram, "sendMessage", chat_id=7, text="x" * 4097)["description"]
    sent = WEB.post(
        f"{telegram.url}/bot1022:bot-token/sendDocument",
        data={"chat_id": "7", "caption": "Kết quả"},
        files={"document": ("kq.pdf", b"%PDF")},
    ).json()["result"]
    assert sent["document"]["file_name"] == "kq.pdf"
    assert call(telegram, "sendPhoto", chat_id=7, photo=sent["document"]["file_id"])["ok"]
    telegram.control("settings", per_second=1, retry_after=3)
    busy = call(telegram, "sendMessage", chat_id=7, text="x")
    assert (busy["error_code"], busy["parameters"]) == (429, {"retry_after": 3})
    telegram.control("clock", advance=1.1)
    assert call(telegram, "sendMessage", chat_id=7, text="x")["ok"]
    telegram.control("chat", chat=7, moved=-1007)
    assert call(telegram, "sendMessage", chat_id=7, text="x")["parameters"] == {"migrate_to_chat_id": -1007}
    assert WEB.get(f"{telegram.url}/botanother/getMe").json()["error_code"] == 401

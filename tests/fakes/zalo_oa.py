"""The part of the stand-in for Zalo that has state: the OA's grant, its people, their windows, signed webhooks."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.fakes.vendor import Delivery, Json, Settings, Vendor, content_of, digits

HOUR, DAY = 3600.0, 86400.0
FREE = 48 * HOUR  # an answer costs nothing so long after the person's last sign of life
WINDOW = 7 * DAY  # and is allowed so long
ACCESS, REFRESH = 90_000, 90 * DAY  # seconds a token lives
MEDIA = 7 * DAY  # seconds a link to a person's file, or an upload of ours, is good
KINDS = ("text", "image", "gif", "link", "audio", "video", "sticker", "location", "business_card", "file")
ENDINGS = {"gif": "gif", "audio": "aac", "video": "mp4"}


class Refused(Exception):
    """An error in Zalo's envelope, with HTTP 200 as Zalo does it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class ZaloSettings(Settings):
    """`signature` is right (`mac=<hex>`), spaced (`mac = <hex>`), bare, upper, wrong, hmac or none."""

    ladder: list[float] = field(default_factory=lambda: [30.0, 300.0, 900.0, 1800.0, HOUR])
    budget: float = 2
    app_id: str = "1234567890123456789"
    app_secret: str = "app-secret"
    oa_id: str = "4318657068771012646"
    oa_secret: str = "oa-secret"  # of the Webhook page; not the application's secret
    redirect_uri: str = ""  # the callback of the console; "" lets any pass
    code_challenge: str = ""  # of the console; "" asks no verifier
    oauth_codes: bool = False  # failures of the token endpoint also carry a numeric `error`
    proof_needed: bool = False  # calls need the header appsecret_proof
    calls_per_minute: int = 4000
    uploads_left: int = 5000
    balance: int = 1_000_000  # đồng, for templates to telephones
    night_guard: bool = False  # templates to telephones are refused from 22:00 to 6:00
    refuse: list[int] = field(default_factory=list)  # error codes of the next sends, in order
    templates: dict[str, list[str]] = field(default_factory=lambda: {"7895417a7d3f9461cd2e": ["code", "status"]})
    phone_only: list[str] = field(default_factory=list)  # templates that cannot be sent by user id
    receipts: list[str] = field(default_factory=lambda: ["received", "seen"])  # events after a message has arrived
    echo: bool = True  # oa_send_… events of what we send ourselves
    switched_off: list[str] = field(default_factory=list)  # event names whose switch in the console is off
    subscribed: bool = True  # False once the ladder of repeats was in vain
    mac_term: str = "app_id"  # or oa_id: what the hash begins with
    timestamp: str = "text"  # in the body as text or as number; or header: only in X-ZEvent-Timestamp


def mac(first: str, body: bytes, timestamp: str, secret: str) -> str:
    """A plain hash of a concatenation, not HMAC."""
    return hashlib.sha256(first.encode() + body + timestamp.encode() + secret.encode()).hexdigest()


class Zalo(Vendor):
    """Everything it knows."""

    told: ZaloSettings

    def __init__(self) -> None:
        super().__init__(ZaloSettings())
        self.codes: dict[str, float] = {}  # one-use codes of consent → good until
        self.access: dict[str, float] = {}  # access token → good until
        self.refresh: dict[str, float] = {}  # refresh token → good until; a used one is 0
        self.users: dict[str, Json] = {}
        self.uploads: dict[str, tuple[str, float]] = {}  # attachment id or token → image, gif or file; good until
        self.history: list[Json] = []  # newest first
        self.messages: dict[str, Json] = {}  # id → what was said or sent
        self.calls: list[float] = []
        self.statuses: dict[str, Json] = {}  # of templates to telephones

    # ---- webhooks

    def stamped(self, event: Json) -> Json:
        stamp: Any = str(int(self.now() * 1000))
        if self.told.timestamp == "header":
            return event
        return event | {"timestamp": int(stamp) if self.told.timestamp == "number" else stamp}

    def sign(self, delivery: Delivery, attempt: int) -> dict[str, str]:
        told, [event] = self.told, delivery.events
        stamp = str(event.get("timestamp") or int(delivery.due * 1000))
        first = told.oa_id if told.mac_term == "oa_id" else told.app_id
        right = mac(first, delivery.body, stamp, told.oa_secret)
        shapes = {
            "right": f"mac={right}",
            "spaced": f"mac = {right}",
            "bare": right,
            "upper": f"mac={right.upper()}",
            "wrong": f"mac={mac(first, delivery.body, stamp, 'another')}",
            "hmac": f"mac={hmac.new(told.oa_secret.encode(), delivery.body, hashlib.sha256).hexdigest()}",
        }
        headers = {"X-ZEvent-Signature": shapes[told.signature]} if told.signature != "none" else {}
        headers |= {"X-ZEvent-Timestamp": stamp} if told.timestamp == "header" else {}
        return headers | ({"num_retry": str(attempt)} if attempt else {})

    def gave_up(self) -> None:
        self.told.subscribed = False

    def tell(self, name: str, event: Json, **headers: str) -> Delivery:
        """An event with what all have in common."""
        whole = self.stamped({"app_id": self.told.app_id, "event_name": name} | event)
        if name in self.told.switched_off or not self.told.subscribed:
            return self.launch(Delivery([name], [whole], self.render([whole]), "unsent"))
        return self.push(name, whole, **headers)

    # ---- people

    def user(self, uid: str) -> Json:
        """A person, who is there as soon as somebody speaks of them."""
        return self.users.setdefault(
            uid,
            {
                "id": uid, "name": f"Người {uid[-4:]}", "follower": False, "phone": "", "last": None,
                "banned": False, "restricted": False, "shared": {},
            },
        )  # fmt: skip

    def seen(self, uid: str) -> Json:
        """They showed a sign of life, which opens the windows."""
        user = self.user(uid)
        user["last"] = self.now()
        return user

    def remember(self, mid: str, uid: str, kind: str, text: str, *, ours: bool, url: str = "") -> None:
        oa, name = self.told.oa_id, self.user(uid)["name"]
        row = {
            "src": 0 if ours else 1, "time": int(self.now() * 1000), "type": kind, "message": text,
            "message_id": mid, "from_id": oa if ours else uid, "to_id": uid if ours else oa,
            "from_display_name": "OA" if ours else name, "to_display_name": name if ours else "OA",
        }  # fmt: skip
        self.history.insert(0, row | ({"url": url} if url else {}))
        self.messages[mid] = {"user": uid, "kind": kind}

    def attached(self, kind: str, asked: Json) -> list[Json]:
        """Attachments of a message, as Zalo writes them; their files can be fetched for a while."""
        if kind == "location":
            where = {"latitude": str(asked["latitude"]), "longitude": str(asked["longitude"])}
            return [{"type": kind, "payload": {"coordinates": where}}]
        if kind == "link":
            link = {"thumbnail": "", "title": asked.get("title", ""), "description": "", "url": asked["url"]}
            return [{"type": kind, "payload": link}]
        if kind == "business_card":
            card = json.dumps({"phone": asked["phone"], "gUid": digits(19)}, separators=(",", ":"))
            return [{"type": "link", "payload": {"thumbnail": "", "description": card, "url": ""}}]
        content = content_of(asked)
        name = asked.get("name") or f"{kind}.{ENDINGS.get(kind, 'jpg')}"
        media_type = asked.get("type", "image/jpeg")
        url = self.put(f"photo/{uuid4().hex}/{name}", media_type, content, asked.get("life", MEDIA))
        payload: Json = {"url": url}
        if kind in ("image", "gif", "video"):
            payload = {"thumbnail": url, "url": url}
        if kind == "sticker":
            payload = {"id": "a5c1ee2f0a6ae334ba7b", "url": url}
        if kind == "file":
            sums = {"size": str(len(content)), "checksum": hashlib.md5(content, usedforsecurity=False).hexdigest()}
            payload |= {"name": name, "type": name.rpartition(".")[2], **sums}
        return [{"type": kind, "payload": payload}]

    async def control_user(self, asked: Json) -> Json:
        """Make or change a person: `user`, and any of name, follower, phone, banned, restricted, shared, last."""
        user = self.user(asked.pop("user"))
        user |= asked
        return user

    async def control_say(self, asked: Json) -> Json:
        """`user` says something of a `kind` (text by default); `text`, `base64`, `name`, `type`, `latitude`,
        `longitude`, `phone`, `url`, `quote` as the kind needs; `anonymous` with a `conversation`."""
        kind, uid = asked.get("kind", "text"), asked["user"]
        if kind not in KINDS:
            raise ValueError(kind)
        mid = asked.get("msg_id") or uuid4().hex[:20]
        message: Json = {"msg_id": mid}
        if "text" in asked:
            message["text"] = asked["text"]
        if "quote" in asked:
            message["quote_msg_id"] = asked["quote"]
        if kind != "text":
            message["attachments"] = self.attached(kind, asked)
        sides = {"sender": {"id": uid}, "recipient": {"id": self.told.oa_id}}
        if asked.get("anonymous"):
            message["conversation_id"] = asked.get("conversation", "c-" + uid)
            self.users[uid] = self.user(uid) | {"conversation": message["conversation_id"]}
            delivery = self.tell(f"anonymous_send_{kind}", sides | {"message": message})
        else:
            known = self.seen(uid)
            known.setdefault("by_app", digits(19))
            url = message.get("attachments", [{"payload": {}}])[0]["payload"].get("url", "")
            self.remember(mid, uid, kind, message.get("text", ""), ours=False, url=url)
            event = sides | {"user_id_by_app": known["by_app"], "message": message}
            delivery = self.tell(f"user_send_{kind}", event)
        return await self.first_try(delivery, asked) | {"msg_id": mid}

    async def control_act(self, asked: Json) -> Json:
        """`user` does `what`: follow, unfollow, submit_info, react, click, call, withdraw, or rate."""
        what, uid, oa = asked["what"], asked.get("user", ""), self.told.oa_id
        sides = {"sender": {"id": uid}, "recipient": {"id": oa}}
        if what in ("follow", "unfollow"):
            self.user(uid)["follower"] = what == "follow"
            event: Json = {"oa_id": oa, "follower": {"id": uid}, "source": asked.get("source", "oa_profile")}
        elif what == "submit_info":
            info = {"name": self.user(uid)["name"], **asked["info"]}
            self.user(uid)["shared"] = info
            event = sides | {"info": info}
        elif what == "react":
            event = sides | {"message": {"msg_id": asked["msg_id"], "react_icon": asked.get("icon", "/-strong")}}
        elif what == "click":
            event = {"oa_id": oa, "user_id": uid}
        elif what == "rate":
            rating = {"note": "", "feedbacks": [], "submit_time": str(int(self.now() * 1000))}
            given = {name: asked[name] for name in ("msg_id", "tracking_id", "rate", "note") if name in asked}
            event = {"oa_id": oa, "message": rating | given}
        elif what in ("call", "withdraw"):
            event = sides
        else:
            raise ValueError(what)
        if what not in ("unfollow", "rate", "withdraw"):
            self.seen(uid)
        names = {
            "follow": "follow", "unfollow": "unfollow", "submit_info": "user_submit_info",
            "react": "user_reacted_message", "click": "user_click_chatnow", "rate": "user_feedback",
            "call": "user_call_oa", "withdraw": "user_withdraw",
        }  # fmt: skip
        return await self.first_try(self.tell(names[what], event), asked)

    async def control_oa_says(self, asked: Json) -> Json:
        """Somebody answers `user` with `text` in Zalo's own inbox; we hear the echo."""
        mid = uuid4().hex[:20]
        self.remember(mid, asked["user"], "text", asked["text"], ours=True)
        event = {
            "sender": {"id": self.told.oa_id, "admin_id": asked.get("admin", "77001122")},
            "recipient": {"id": asked["user"]},
            "message": {"msg_id": mid, "text": asked["text"]},
        }
        return await self.first_try(self.tell("oa_send_text", event), asked) | {"msg_id": mid}

    # ---- grant

    def pair(self) -> Json:
        """A new pair of tokens."""
        access, refresh = "at-" + uuid4().hex, "rt-" + uuid4().hex
        self.access[access], self.refresh[refresh] = self.now() + ACCESS, self.now() + REFRESH
        self.counters["grants"] += 1
        return {"access_token": access, "refresh_token": refresh, "expires_in": str(ACCESS)}

    async def control_grant(self, asked: Json) -> Json:
        """A pair as an administrator's consent gives it, without the way through the browser."""
        return self.pair()

    async def control_consent(self, asked: Json) -> str:
        """A code as it comes back with the browser."""
        code = uuid4().hex
        self.codes[code] = self.now() + 600
        return code

    async def control_revoke(self, asked: Json) -> None:
        """The OA takes its grant back: no token is good any more."""
        self.access.clear()
        self.refresh.clear()

    async def control_register(self, asked: Json) -> Json:
        """Enter a webhook address in the console: an unsigned `{}` must be answered with 200."""
        answer = await self.client.post(asked["url"], content=b"{}", headers={"Content-Type": "application/json"})
        if answer.status_code == 200:
            self.told.webhook_url, self.told.subscribed = asked["url"], True
        return {"status": answer.status_code, "registered": answer.status_code == 200}

    def verified(self, verifier: str) -> bool:
        if not self.told.code_challenge:
            return True
        digest = hashlib.sha256(verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.told.code_challenge

    async def control_files(self, asked: Json) -> Json:
        """Checksums of the files we were given, by what messages call them."""
        given = {path.removeprefix("uploaded/"): kept[1] for path, kept in self.media.items() if "uploaded/" in path}
        return {handle: hashlib.sha256(content).hexdigest() for handle, content in given.items()}

    # ---- sending

    def due_refusal(self) -> None:
        if self.told.refuse:
            raise Refused(self.told.refuse.pop(0), "refused as told")

    def writable(self, uid: str) -> Json:
        """The person, whom the OA may write to now."""
        user = self.users.get(uid)
        if user is None:
            raise Refused(-201, "user_id is invalid")
        if user["banned"]:
            raise Refused(-227, "user is banned or has been inactive for more than 45 days")
        if user["restricted"]:
            raise Refused(-244, "user has restricted this type of message from your OA")
        if user["last"] is None or self.now() - user["last"] > WINDOW:
            raise Refused(-230, "user has not interacted with the OA in the past 7 days")
        return user

    def arrived(self, uid: str, kind: str, body: Json, row: Json, **headers: str) -> None:
        """What follows a send: the echo of it, and that it was received and seen."""
        mid, oa = row["id"], self.told.oa_id
        self.remember(mid, uid, kind, row.get("text", ""), ours=True)
        self.note(**row)
        if self.told.echo:
            sides = {"sender": {"id": oa}, "recipient": {"id": uid}}
            self.tell(f"oa_send_{kind}", sides | {"message": {"msg_id": mid, **body}})
        names = {"received": {"msg_id": mid}, "seen": {"msg_ids": [mid]}}
        for each in self.told.receipts:
            event = {"sender": {"id": oa}, "recipient": {"id": uid}, "message": names[each]}
            self.tell(f"user_{each}_message", event, **headers)

"""The part of the stand-in for the Graph API that has state: a Page, people, comments, windows, signed webhooks."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from tests.fakes.vendor import Delivery, Json, Settings, Vendor, content_of, digits

HOUR, DAY = 3600.0, 86400.0
STANDARD, HUMAN = DAY, 7 * DAY  # how long after the person's last message an answer, and one by a human, may go
MEDIA = 7 * DAY  # seconds a link to a person's file is good
THUMB = 369239263222822  # the sticker everybody sends by accident
FIELDS = ("feed", "mention", "messages", "messaging_postbacks", "message_deliveries", "message_reads", "message_echoes")


class Refused(Exception):
    """An error of the Graph API; the status is 400 unless told."""

    def __init__(self, code: int, message: str, subcode: int = 0, kind: str = "OAuthException", status: int = 400):
        super().__init__(message)
        self.code, self.subcode, self.message, self.kind, self.status = code, subcode, message, kind, status


@dataclass
class GraphSettings(Settings):
    """`signature` is right, upper, sha1 (the old header alone), wrong or none."""

    ladder: list[float] = field(default_factory=lambda: [0.0, 60.0, 300.0, 900.0, 1800.0, 3600.0])
    page: str = "104857600001022"
    app: str = "900100200300400"
    app_secret: str = "app-secret"
    token: str = "page-token"
    verify_token: str = "verify-me"
    proof_needed: bool = True
    human_agent: bool = True  # the feature was granted in review
    subscribed: bool = True  # False once the webhook has failed for an hour
    fields: list[str] = field(default_factory=lambda: list(FIELDS))  # of subscribed_apps
    receipts: list[str] = field(default_factory=lambda: ["delivery", "read"])  # events after a message has arrived
    echo: bool = True  # message_echoes of what we send ourselves
    private: bool = False  # profiles are not shown to us
    sends_per_second: int = 0  # 0: any number
    refuse: list[list[int]] = field(default_factory=list)  # [code, subcode] of the next sends, in order


def escaped(value: Any) -> bytes:
    """JSON as Meta writes it: nothing but ASCII, `ổ` as `\\u1ed5`, `/` as `\\/`."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


class Graph(Vendor):
    """Everything it knows."""

    told: GraphSettings
    batches: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(GraphSettings())
        self.users: dict[str, Json] = {}
        self.comments: dict[str, Json] = {}
        self.messages: dict[str, str] = {}  # mid → person
        self.uploads: dict[str, bytes] = {}
        self.sends: list[float] = []

    # ---- webhooks

    def sign(self, delivery: Delivery, attempt: int) -> dict[str, str]:
        told = self.told
        secret = "another" if told.signature == "wrong" else told.app_secret
        strong = hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
        weak = {"X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), delivery.body, hashlib.sha1).hexdigest()}
        match told.signature:
            case "none":
                return {}
            case "sha1":
                return weak
            case "upper":
                return weak | {"X-Hub-Signature-256": "sha256=" + strong.upper()}
        return weak | {"X-Hub-Signature-256": "sha256=" + strong}

    def render(self, events: list[Json]) -> bytes:
        """Entries of one Page are put together, messages with messages, as Meta does under load."""
        entries: list[Json] = []
        for event in events:
            [kind] = {*event} - {"id", "time"}
            if entries and entries[-1]["id"] == event["id"] and kind in entries[-1]:
                entries[-1][kind] = entries[-1][kind] + event[kind]
            else:
                entries.append(dict(event))
        return escaped({"object": "page", "entry": entries})

    def gave_up(self) -> None:
        self.told.subscribed = False

    def tell(self, field_name: str, kind: str, item: Json, name: str) -> Delivery:
        """An entry with one item of a kind (messaging, changes, standby), if the field is subscribed."""
        entry = {"id": self.told.page, "time": self.ms(), kind: [item]}
        if field_name not in self.told.fields or not self.told.subscribed:
            return self.launch(Delivery([name], [entry], self.render([entry]), "unsent"))
        return self.push(name, entry)

    def ms(self) -> int:
        return int(self.now() * 1000)

    def about(self, uid: str, **rest: Any) -> Json:
        """A messaging item from a person to the Page."""
        return {"sender": {"id": uid}, "recipient": {"id": self.told.page}, "timestamp": self.ms(), **rest}

    # ---- people

    def user(self, uid: str) -> Json:
        """A person, who is there as soon as somebody speaks of them."""
        return self.users.setdefault(
            uid, {"id": uid, "first": "Người", "last": uid[-4:], "wrote": None, "blocked": False}
        )

    def attached(self, kind: str, asked: Json) -> Json:
        """An attachment as Meta writes it; its file can be fetched for a while."""
        if kind == "location":
            where = {"lat": asked["latitude"], "long": asked["longitude"]}
            return {"type": kind, "title": asked.get("title", ""), "payload": {"coordinates": where}}
        if kind == "fallback":
            return {"type": kind, "title": asked.get("title", ""), "url": asked["url"], "payload": None}
        content, name = content_of(asked), asked.get("name", "photo.jpg")
        path = f"v/{uuid4().hex}/{name}"
        url = self.put(path, asked.get("type", "image/jpeg"), content, asked.get("life", MEDIA))
        if kind == "sticker":
            payload: Json = {"url": url, "sticker_id": asked.get("sticker", THUMB)}
            return {"type": "image" if asked.get("old") else "sticker", "payload": payload}
        if kind not in ("image", "audio", "video", "file"):
            raise ValueError(kind)
        return {"type": kind, "payload": {"url": url}}

    async def control_user(self, asked: Json) -> Json:
        """Make or change a person: `user`, and any of first, last, blocked, wrote."""
        user = self.user(asked.pop("user"))
        user |= asked
        return user

    async def control_say(self, asked: Json) -> Json:
        """`user` writes: a `kind` of text, image, audio, video, file, location, sticker (`old`: as before 2026-08-30),
        fallback, or phone (a quick reply with their number); `text`, `reply_to`, `count` attachments, `standby`."""
        kind, uid = asked.get("kind", "text"), asked["user"]
        mid = asked.get("mid") or "m_" + secrets.token_urlsafe(40)
        message: Json = {"mid": mid}
        if "text" in asked:
            message["text"] = asked["text"]
        if "reply_to" in asked:
            message["reply_to"] = {"mid": asked["reply_to"]}
        if kind == "phone":
            message |= {"text": asked["phone"], "quick_reply": {"payload": asked["phone"]}}
        elif kind != "text":
            message["attachments"] = [self.attached(kind, asked) for _ in range(asked.get("count", 1))]
        self.user(uid)["wrote"] = self.now()
        self.messages[mid] = uid
        where = ("standby", "standby") if asked.get("standby") else ("messages", "messaging")
        delivery = self.tell(where[0], where[1], self.about(uid, message=message), "message")
        return await self.first_try(delivery, asked) | {"mid": mid}

    async def control_act(self, asked: Json) -> Json:
        """`user` does `what`: postback (`title`, `payload`, `ref`), referral (`ref`), read, reaction (`mid`,
        `reaction`), edit (`mid`, `text`), delete (`mid`), optin."""
        what, uid = asked["what"], asked["user"]
        referral = {"ref": asked.get("ref", ""), "source": "SHORTLINK", "type": "OPEN_THREAD"}
        fields = {"read": "message_reads", "postback": "messaging_postbacks"}
        match what:
            case "postback":
                item: Json = {
                    "title": asked.get("title", ""),
                    "payload": asked.get("payload", ""),
                    "mid": "m_" + uuid4().hex,
                }
                rest: Json = {"postback": item | ({"referral": referral} if "ref" in asked else {})}
                self.user(uid)["wrote"] = self.now()
            case "referral":
                rest = {"referral": referral}
            case "read":
                rest = {"read": {"watermark": asked.get("watermark", self.ms())}}
            case "reaction":
                rest = {"reaction": {"mid": asked["mid"], "action": "react", "emoji": "👍", "reaction": "like"}}
            case "edit":
                rest = {"message_edit": {"mid": asked["mid"], "text": asked["text"], "num_edit": 1}}
            case "delete":
                rest = {"message": {"mid": asked["mid"], "is_deleted": True}}
            case "optin":
                rest = {"optin": {"ref": asked.get("ref", ""), "user_ref": uid}}
            case _:
                raise ValueError(what)
        delivery = self.tell(fields.get(what, "messages"), "messaging", self.about(uid, **rest), what)
        return await self.first_try(delivery, asked)

    async def control_page_says(self, asked: Json) -> Json:
        """Somebody answers `user` with `text` in the Page's own inbox; we hear the echo."""
        mid = "m_" + secrets.token_urlsafe(40)
        self.messages[mid] = asked["user"]
        app = asked.get("app", "26390203743090")
        return await self.first_try(self.echo(asked["user"], {"mid": mid, "text": asked["text"]}, app), asked)

    def echo(self, uid: str, message: Json, app: str) -> Delivery:
        item = {"sender": {"id": self.told.page}, "recipient": {"id": uid}, "timestamp": self.ms()}
        item["message"] = {**message, "is_echo": True, "app_id": int(app)}
        return self.tell("message_echoes", "messaging", item, "echo")

    async def control_comment(self, asked: Json) -> Json:
        """`user` comments: `text`; `parent` makes it an answer, `comment` with a `verb` (edited, remove, hide,
        unhide) changes one, `photo`, `nameless` (the author is not told), `item` (comment, post, status, photo),
        `mention`."""
        verb, uid, post = asked.get("verb", "add"), asked["user"], asked.get("post", "1022")
        post_id = f"{self.told.page}_{post}"
        comment = asked.get("comment") or f"{post}_{digits(15)}"
        kept = self.comments.setdefault(
            comment, {"id": comment, "user": uid, "at": self.now(), "answered": False, "hidden": False}
        )
        item = asked.get("item", "comment")
        value: Json = {
            "item": item, "verb": verb, "post_id": post_id, "created_time": int(kept["at"]),
            "from": {"id": uid, "name": f"{self.user(uid)['first']} {self.user(uid)['last']}"},
        }  # fmt: skip
        value |= {"message": asked["text"]} if "text" in asked else {}
        if asked.get("nameless"):
            del value["from"]
        if item == "comment":
            link = {"permalink_url": f"https://www.facebook.com/{post_id}", "id": post_id}
            value |= {"comment_id": comment, "parent_id": asked.get("parent", post_id), "post": link}
        if asked.get("photo"):
            value["photo"] = self.put(f"v/{uuid4().hex}/photo.jpg", "image/jpeg", content_of(asked), MEDIA)
        name = "feed"
        if asked.get("mention"):
            name = "mention"
            value |= {"sender_id": uid, "sender_name": value.pop("from", {}).get("name", "")}
        delivery = self.tell(name, "changes", {"field": name, "value": value}, "comment")
        return await self.first_try(delivery, asked) | {"comment": comment, "post": post_id}

    async def control_register(self, asked: Json) -> Json:
        """Enter a webhook in the application's settings: the address must give the challenge back."""
        challenge = digits(10)
        query = {"hub.mode": "subscribe", "hub.verify_token": asked.get("verify_token", self.told.verify_token)}
        answer = await self.client.get(asked["url"], params=query | {"hub.challenge": challenge})
        fine = answer.status_code == 200 and answer.text == challenge
        if fine:
            self.told.webhook_url, self.told.subscribed = asked["url"], True
        return {"status": answer.status_code, "registered": fine}

    async def control_files(self, asked: Json) -> Json:
        """Checksums of the files we were given, by what messages call them."""
        return {handle: hashlib.sha256(content).hexdigest() for handle, content in self.uploads.items()}

    # ---- sending

    def may_write(self, uid: str, body: Json) -> None:
        """Raises what Meta would say to a message to this person now."""
        user = self.users.get(uid)
        if user is None:
            raise Refused(100, "(#100) No matching user found", 2018001)
        if user["blocked"]:
            raise Refused(551, "(#551) This person isn't available right now.", 1545041)
        silent = self.now() - (user["wrote"] or 0)
        match body.get("messaging_type", "RESPONSE"), body.get("tag"):
            case (("RESPONSE" | "UPDATE"), None):
                window = STANDARD
            case "MESSAGE_TAG", "HUMAN_AGENT":
                if not self.told.human_agent:
                    raise Refused(200, "(#200) The Human Agent feature has not been granted to this application")
                window = HUMAN
            case _:  # the other tags were retired on 2026-04-27
                raise Refused(100, "(#100) Invalid parameter")
        if user["wrote"] is None or silent > window:
            raise Refused(10, "(#10) This message is sent outside of allowed window.", 2018278)

    def comment_author(self, comment: str) -> str:
        """Whom a private reply goes to: one for each comment, within 7 days of it."""
        kept = self.comments.get(comment)
        if kept is None:
            raise Refused(100, "(#100) Invalid parameter")
        if kept["answered"]:
            raise Refused(10900, "(#10900) Activity already replied to")
        if self.now() - kept["at"] > HUMAN:
            raise Refused(10903, "(#10903) This user can't reply to this activity")
        uid: str = kept["user"]
        if self.user(uid)["blocked"]:
            raise Refused(551, "(#551) This person isn't available right now.", 1545041)
        kept["answered"] = True
        return uid

    def arrived(self, uid: str, message: Json, row: Json) -> str:
        """What follows a send: the echo of it, and that it was received and read."""
        mid = "m_" + secrets.token_urlsafe(40)
        self.messages[mid] = uid
        self.note(id=mid, to=uid, **row)
        at = self.ms()
        if self.told.echo:
            known: Json = {name: message[name] for name in ("text", "metadata") if name in message}
            self.echo(uid, {"mid": mid, **known}, self.told.app)
        if "delivery" in self.told.receipts:
            item = self.about(uid, delivery={"mids": [mid], "watermark": at})
            self.tell("message_deliveries", "messaging", item, "delivery")
        if "read" in self.told.receipts:
            self.tell("message_reads", "messaging", self.about(uid, read={"watermark": at}), "read")
        return mid

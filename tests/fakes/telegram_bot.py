"""The part of the stand-in for Telegram that has state: a bot, its chats, files, updates pushed one after another."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from tests.fakes.vendor import Delivery, Json, Settings, Vendor, content_of, digits

LINK = 3600.0  # seconds a link to a file is good
KINDS = ("text", "photo", "document", "voice", "video", "sticker", "location", "venue", "contact")


class Refused(Exception):
    """An error of the Bot API; `parameters` say what to do about it."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters


@dataclass
class TelegramSettings(Settings):
    """The webhook's address and secret are set by setWebhook, or here. `signature` is right, wrong or none."""

    ladder: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * 1440])
    budget: float = 60
    token: str = "1022:bot-token"
    username: str = "tongdai1022_bot"
    secret_token: str = ""
    allowed_updates: list[str] = field(default_factory=list)  # [] is Telegram's own choice: all we can make
    per_second: int = 0  # messages in one chat; 0: any number
    retry_after: int = 1  # seconds, said when there were too many
    refuse: list[list[Any]] = field(default_factory=list)  # [status, description] of the next sends, in order


class Telegram(Vendor):
    """Everything it knows."""

    told: TelegramSettings
    ordered: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(TelegramSettings())
        self.people: dict[int, Json] = {}
        self.chats: dict[int, Json] = {}  # chat → what is going on in it
        self.files: dict[str, tuple[str, str, bytes]] = {}  # file id → path, media type, bytes
        self.update_id = int(digits(9))
        self.message_id = 100
        self.pending: list[Json] = []  # updates made while no webhook was set
        self.last_error: Json = {}

    # ---- webhooks

    def sign(self, delivery: Delivery, attempt: int) -> dict[str, str]:
        told = self.told
        if not told.secret_token or told.signature == "none":
            return {}
        return {"X-Telegram-Bot-Api-Secret-Token": "another" if told.signature == "wrong" else told.secret_token}

    def took(self, status: int) -> bool:
        return 200 <= status < 300

    async def knock(self, delivery: Delivery, attempt: int) -> bool:
        fine = await super().knock(delivery, attempt)
        if not fine:
            status = delivery.tries[-1]["status"]
            words = f"Wrong response from the webhook: {status}" if status else "Connection refused"
            self.last_error = {"last_error_date": int(self.now()), "last_error_message": words}
        return fine

    def tell(self, kind: str, item: Json) -> Delivery:
        """An update of a kind, with the next number; kept for getUpdates while no webhook is set."""
        self.update_id += 1
        update = {"update_id": self.update_id, kind: item}
        if self.told.allowed_updates and kind not in self.told.allowed_updates:
            return self.launch(Delivery([kind], [update], self.render([update]), "unsent"))
        delivery = self.push(kind, update)
        if delivery.state == "unsent":
            self.pending.append(update)
        return delivery

    def catch_up(self) -> None:
        """A webhook was set: what waited goes there."""
        for update in self.pending:
            [kind] = {*update} - {"update_id"}
            self.push(kind, update)
        self.pending.clear()

    def waiting(self) -> int:
        held_up = sum(each.state in ("going", "queued", "waiting", "held") for each in self.deliveries)
        return len(self.pending) + held_up

    # ---- people

    def person(self, uid: int) -> Json:
        """A person, who is there as soon as somebody speaks of them."""
        return self.people.setdefault(
            uid, {"id": uid, "is_bot": False, "first_name": f"Người {uid}", "language_code": "vi"}
        )

    def bot(self) -> Json:
        number = int(self.told.token.partition(":")[0])
        return {"id": number, "is_bot": True, "first_name": "1022", "username": self.told.username}

    def chat(self, chat: int, uid: int) -> Json:
        """A chat with the person of the same number, or a group."""
        made = self.chats.setdefault(
            chat, {"started": False, "blocked": False, "moved": 0, "messages": set(), "sends": []}
        )
        if chat == uid:
            made["shown"] = {"id": chat, "type": "private", "first_name": self.person(uid)["first_name"]}
        else:
            made["shown"] = {"id": chat, "type": "supergroup", "title": "Tổ dân phố"}
        return made

    def kept(self, folder: str, name: str, media_type: str, content: bytes) -> Json:
        """A file with its ids, as messages name it."""
        handle, ending = "AgAC" + uuid4().hex, name.rpartition(".")[2]
        self.files[handle] = (f"{folder}/file_{len(self.files)}.{ending}", media_type, content)
        return {"file_id": handle, "file_unique_id": "AQAD" + uuid4().hex[:10], "file_size": len(content)}

    def said(self, kind: str, asked: Json) -> Json:
        """The part of a message that differs by kind."""
        if kind == "text":
            return {"text": asked["text"]}
        caption = {"caption": asked["text"]} if "text" in asked else {}
        where = {name: asked[name] for name in ("latitude", "longitude", "horizontal_accuracy") if name in asked}
        match kind:
            case "location":
                return {"location": where}
            case "venue":
                venue = {"location": where, "title": asked["title"], "address": asked["address"]}
                return {"location": where, "venue": venue}
            case "contact":
                contact = {"phone_number": asked["phone"], "first_name": asked.get("name", "Người")}
                owner = asked.get("owner", asked["user"])
                return {"contact": contact | ({"user_id": owner} if owner else {})}
        content = content_of(asked)
        usual = {"voice": ("audio/ogg", "voice.oga"), "video": ("video/mp4", "video.mp4")}
        media_type, name = usual.get(kind, ("image/jpeg", "photo.jpg"))
        media_type, name = asked.get("type", media_type), asked.get("name", name)
        file = self.kept({"photo": "photos", "sticker": "stickers"}.get(kind, "documents"), name, media_type, content)
        match kind:
            case "photo":
                thumb = self.kept("photos", name, media_type, content) | {"width": 90, "height": 90}
                return {"photo": [thumb, file | {"width": 1280, "height": 1280}], **caption}
            case "sticker":
                look = {"width": 512, "height": 512, "is_animated": False, "is_video": False, "type": "regular"}
                return {"sticker": file | look | {"emoji": "👍"}}
            case "voice":
                return {"voice": file | {"duration": 3, "mime_type": "audio/ogg"}, **caption}
            case "video":
                return {
                    "video": file | {"width": 640, "height": 360, "duration": 3, "mime_type": media_type},
                    **caption,
                }
        return {"document": file | {"file_name": name, "mime_type": media_type}, **caption}

    async def control_person(self, asked: Json) -> Json:
        """Make or change a person: `user`, and any of first_name, last_name, username, language_code."""
        person = self.person(asked.pop("user"))
        person |= asked
        return person

    async def control_chat(self, asked: Json) -> None:
        """`chat` becomes blocked, started, or moved to another (a group that grew)."""
        chat = asked.pop("chat")
        self.chat(chat, chat if chat > 0 else 0).update(asked)

    async def control_say(self, asked: Json) -> Json:
        """`user` says something of a `kind` (text by default) in `chat` (with the bot by default): `text`, `base64`,
        `name`, `type`, `latitude`, `longitude`, `phone`, `owner` (whose number it is, null for nobody's), `album`,
        `reply_to`, and `edit` with a message_id changes what was said."""
        kind, uid = asked.get("kind", "text"), int(asked["user"])
        if kind not in KINDS:
            raise ValueError(kind)
        where = self.chat(asked.get("chat", uid), uid)
        where["started"] = True
        if not asked.get("edit"):
            self.message_id += 1
        mid = asked.get("edit") or self.message_id
        where["messages"].add(mid)
        message = {"message_id": mid, "from": self.person(uid), "chat": where["shown"], "date": int(self.now())}
        message |= self.said(kind, asked)
        if "album" in asked:
            message["media_group_id"] = asked["album"]
        if "reply_to" in asked:
            shell = {"message_id": asked["reply_to"], "chat": where["shown"], "date": int(self.now())}
            message["reply_to_message"] = shell | {"from": self.bot(), "text": ""}
        if asked.get("edit"):
            message["edit_date"] = int(self.now())
        delivery = self.tell("edited_message" if asked.get("edit") else "message", message)
        shown = await self.first_try(delivery, asked)
        return shown | {"message_id": mid, "update_id": delivery.events[0]["update_id"]}

    async def control_press(self, asked: Json) -> Json:
        """`user` presses the button with `data` under the message `message_id` of ours."""
        uid = int(asked["user"])
        under = {"message_id": asked["message_id"], "chat": self.chat(uid, uid)["shown"], "date": int(self.now())}
        query = {"id": digits(18), "from": self.person(uid), "chat_instance": digits(18), "data": asked["data"]}
        return await self.first_try(self.tell("callback_query", query | {"message": under}), asked)

    async def control_block(self, asked: Json) -> Json:
        """`user` blocks the bot, or with `"blocked": false` no longer."""
        uid, blocked = int(asked["user"]), asked.get("blocked", True)
        where = self.chat(uid, uid)
        where["blocked"] = blocked
        states: list[Json] = [{"status": "member"}, {"status": "kicked", "until_date": 0}]
        states = [{"user": self.bot()} | each for each in states]
        change = {"chat": where["shown"], "from": self.person(uid), "date": int(self.now())}
        change["old_chat_member"], change["new_chat_member"] = states if blocked else reversed(states)
        return await self.first_try(self.tell("my_chat_member", change), asked)

    async def control_files(self, asked: Json) -> Json:
        """Checksums of the files we were given, by what messages call them."""
        return {handle: hashlib.sha256(kept[2]).hexdigest() for handle, kept in self.files.items()}

    # ---- sending

    def writable(self, given: Json) -> Json:
        """The chat, where the bot may write now."""
        told = self.told
        if told.refuse:
            status, description = told.refuse.pop(0)
            raise Refused(status, description)
        try:
            chat = int(given.get("chat_id", 0))
        except ValueError:
            chat = 0
        where: Json | None = self.chats.get(chat)
        if where is None and chat in self.people:
            raise Refused(403, "Forbidden: bot can't initiate conversation with a user")
        if where is None:
            raise Refused(400, "Bad Request: chat not found")
        if where["blocked"]:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        if where["moved"]:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, words, migrate_to_chat_id=where["moved"])
        if not where["started"]:
            raise Refused(403, "Forbidden: bot can't initiate conversation with a user")
        where["sends"] = [at for at in where["sends"] if at > self.now() - 1]
        if told.per_second and len(where["sends"]) >= told.per_second:
            words = f"Too Many Requests: retry after {told.retry_after}"
            raise Refused(429, words, retry_after=told.retry_after)
        return where

    def arrived(self, where: Json, given: Json, kind: str, part: Json, text: str) -> Json:
        """A message of ours in a chat, with what it answers."""
        answer = given.get("reply_parameters") or {}
        replied = answer.get("message_id") or given.get("reply_to_message_id")
        lenient = answer.get("allow_sending_without_reply") or given.get("allow_sending_without_reply")
        if replied is not None and int(replied) not in where["messages"]:
            if not lenient:
                raise Refused(400, "Bad Request: message to be replied not found")
            replied = None
        self.message_id += 1
        where["messages"].add(self.message_id)
        where["sends"].append(self.now())
        row = {"kind": kind, "text": text, "reply_to": int(replied) if replied else None}
        self.note(id=self.message_id, to=where["shown"]["id"], markup=given.get("reply_markup"), **row)
        message = {"message_id": self.message_id, "from": self.bot(), "chat": where["shown"], "date": int(self.now())}
        if replied:
            message["reply_to_message"] = {
                "message_id": int(replied), "chat": where["shown"], "date": int(self.now()), "text": "",
            }  # fmt: skip
        return message | part

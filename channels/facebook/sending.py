"""Answers through Meta's Graph API: in Messenger, privately to a comment, or publicly under it.

A person may be written to within 24 hours of their last message, by a human of ours within seven days, then no more.
A comment may be answered privately once, within seven days; that opens no conversation until the person answers.
"""

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import httpx

from channels.adapter import Adapter, Failure, Hook, SendDoubtful, SendFailed
from channels.facebook import events, problems
from channels.facebook.files import LINK
from channels.facebook.wall import CHANNEL
from channels.message import Capabilities, FileRef, InboundMessage, OutboundMessage
from channels.wire import MOST, NOT_SENT, client, pieces
from core.settings import Settings

VERSION: Final = "v23.0"  # of the Graph API; Meta keeps one for about two years
ANYBODY: Final = timedelta(hours=24)  # what may be sent freely, and what a human may still answer
A_HUMAN: Final = timedelta(days=7)
FILE_HOSTS: Final = ("fbcdn.net", "fbsbx.com", "lookaside.facebook.com")

Read = Callable[[str], Awaitable[bytes]]


class Facebook:
    """The page: verifies, parses, sends. `read` gives the bytes of a file of ours by its SHA-256."""

    capabilities = Capabilities(
        max_text=2000,
        max_file=MOST,
        media_types=frozenset(
            {"image/jpeg", "image/png", "image/gif", "application/pdf", "video/mp4", "audio/mp4", "audio/mpeg"}
        ),
        per_second=100,
        reply_window_hours=168,
        once_in=frozenset({"comment_id", "post_id"}),
    )

    def __init__(
        self,
        page_id: str,
        page_token: str,
        app_secret: str,
        verify_token: str,
        *,
        read: Read,
        graph_url: str = "https://graph.facebook.com",
        name: str = "facebook",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self.account = page_id
        self._secret = app_secret
        self._verify_token = verify_token
        self._read = read
        self._base = graph_url.rstrip("/")
        self._transport = transport
        proof = hmac.new(app_secret.encode(), page_token.encode(), sha256).hexdigest()
        self._keys = {"access_token": page_token, "appsecret_proof": proof}

    @classmethod
    def from_settings(cls, settings: Settings, read: Read) -> "Facebook":
        """The channel as the settings describe it; the FACEBOOK_ ones are among them."""
        assert settings.facebook_page_id is not None
        return cls(
            settings.facebook_page_id,
            settings.facebook_page_token or "",
            settings.facebook_app_secret or "",
            settings.facebook_verify_token or "",
            read=read,
            graph_url=settings.facebook_graph_url,
        )

    def greet(self, hook: Hook) -> str | None:
        """The challenge when the subscription is set up; None when the request carries events."""
        return events.greet(hook, self._verify_token)

    def verify(self, hook: Hook) -> None:
        """BadSignature unless Meta signed these bytes for our app."""
        events.verify(hook, self._secret)

    def parse(self, hook: Hook) -> list[InboundMessage]:
        """Every event of the post in its normal form."""
        return events.parse(hook, self.account)

    async def send(self, message: OutboundMessage) -> str:
        """Hand over one text or one file; its `mid`. Nothing is called when the window has closed."""
        body = self._addressed(message)
        content: dict[str, Any] = {"metadata": f"{events.OURS}{message.id}:{message.part}"}
        if message.attachments:
            file = message.attachments[0]
            content["attachment"] = {"type": _kind(file), "payload": {"attachment_id": await self._upload(file)}}
        elif message.text.strip():
            content["text"] = message.text
        else:
            raise SendFailed(Failure.FINAL, "there is nothing to send")
        answer = await self._call("POST", "me/messages", json={**body, "message": content})
        return _id(answer, "message_id")

    async def reply_publicly(self, comment_id: str, text: str) -> str:
        """Write under a comment for everybody to read; the id of our comment. Nothing of the case belongs there."""
        return _id(await self._call("POST", f"{_node(comment_id)}/comments", data={"message": text}), "id")

    async def check(self) -> None:
        """SendFailed unless Meta knows our token, and as this page's."""
        try:
            page = await self._call("GET", "me", params={"fields": "id,name"})
        except SendDoubtful as doubtful:
            raise SendFailed(Failure.RETRYABLE, doubtful.reason) from None
        if str(page.get("id")) != self.account:
            raise SendFailed(Failure.REAUTHORISE, "FACEBOOK_PAGE_TOKEN is not of the page FACEBOOK_PAGE_ID")

    async def fetch(self, file: FileRef) -> AsyncIterator[bytes]:
        """The bytes in pieces, from Meta's file hosts only; a shared link or a bare sticker has none."""
        if file.url is None or file.media_type == LINK:
            raise SendFailed(Failure.FINAL, "this is a link or a sticker without a file")
        async for piece in pieces(file.url, own=self._base, vendor=FILE_HOSTS, transport=self._transport):
            yield piece

    def _addressed(self, message: OutboundMessage) -> dict[str, Any]:
        """Whom it goes to and by what right; SendFailed(WINDOW_CLOSED) when there is none."""
        thread, unheard = message.thread, message.unheard
        if thread.get("standby") and message.automatic:
            raise SendFailed(Failure.FINAL, "another app leads this conversation: no automatic message")
        if (on_wall := _wall(thread)) is not None:
            if thread.get("mention"):
                raise SendFailed(Failure.WINDOW_CLOSED, "a comment on another page cannot be answered privately")
            if message.part or (unheard is not None and unheard > A_HUMAN):
                raise SendFailed(Failure.WINDOW_CLOSED, "a comment can be answered privately once, within seven days")
            return {"recipient": on_wall, "messaging_type": "RESPONSE"}
        if unheard is None or unheard > (ANYBODY if message.automatic else A_HUMAN):
            raise SendFailed(
                Failure.WINDOW_CLOSED,
                "the person last wrote more than 24 hours ago (7 days for an answer by a human)",
            )
        to = {"recipient": {"id": message.to.handle}}
        if unheard <= ANYBODY:
            return {**to, "messaging_type": "RESPONSE"}
        return {**to, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}

    async def _upload(self, file: FileRef) -> str:
        """Meta's id of a file of ours. Nobody sees it yet, so that any failure may be tried again."""
        try:
            data = await self._read(file.sha256 or "")
        except OSError:
            raise SendFailed(Failure.RETRYABLE, "the file cannot be read from where we keep it") from None
        about = {"attachment": {"type": _kind(file), "payload": {"is_reusable": False}}}
        try:
            answer = await self._call(
                "POST",
                "me/message_attachments",
                data={"message": json.dumps(about)},
                files={"filedata": (file.name, data, file.media_type)},
            )
            return _id(answer, "attachment_id")
        except SendDoubtful as doubtful:
            raise SendFailed(Failure.RETRYABLE, f"the file was not taken: {doubtful.reason}") from None

    async def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """What the Graph API answers; SendFailed or SendDoubtful by its error."""
        params = {**self._keys, **request.pop("params", {})}
        try:
            async with client(self._transport) as http:
                answer = await http.request(method, f"{self._base}/{VERSION}/{path}", params=params, **request)
        except NOT_SENT as error:
            raise SendFailed(Failure.RETRYABLE, f"no connection to Meta: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            raise SendDoubtful(f"Meta had the request and did not answer: {type(error).__name__}") from None
        return problems.settled(answer.status_code, answer.content)


class FacebookComment:
    """The page's public answer under a comment, for everybody to read: nothing of the case belongs there."""

    name = "facebook_comment"
    capabilities = Capabilities(max_text=8000, per_second=10, heard_on=CHANNEL)

    def __init__(self, page: Facebook) -> None:
        self._page = page

    async def send(self, message: OutboundMessage) -> str:
        """Write under the comment that the citizen wrote last; the id of ours."""
        comment = message.thread.get("comment_id")
        if not comment:
            raise SendFailed(Failure.FINAL, "there is no comment to answer")
        return await self._page.reply_publicly(str(comment), message.text)


def facebook_channels(settings: Settings, read: Read) -> dict[str, Adapter]:
    """By name: nothing without FACEBOOK_PAGE_ID."""
    if settings.facebook_page_id is None:
        return {}
    page = Facebook.from_settings(settings, read)
    return {page.name: page, FacebookComment.name: FacebookComment(page)}


def _wall(thread: Mapping[str, Any]) -> dict[str, str] | None:
    """The comment or visitor's post that is answered; None in a conversation."""
    for name in ("comment_id", "post_id"):
        if thread.get(name):
            return {name: str(thread[name])}
    return None


def _kind(file: FileRef) -> str:
    major = file.media_type.partition("/")[0]
    return major if major in ("image", "audio", "video") else "file"


def _node(id: str) -> str:
    """An id as part of a path."""
    if not all(char.isalnum() or char == "_" for char in id):
        raise SendFailed(Failure.FINAL, "this is no id of a comment")
    return id


def _id(answer: dict[str, Any], member: str) -> str:
    if not answer.get(member):
        raise SendDoubtful(f"Meta answered without {member}")
    return str(answer[member])

"""The channels there are. A new one is a file or folder of its own and a line in CHANNELS."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from channels.adapter import Adapter, Checked, Hook, Recorder, SendDoubtful, SendFailed
from channels.facebook import events as facebook_events
from channels.facebook.sending import facebook_channels
from channels.mail import reading as mail_reading
from channels.mail.imap import Mailbox
from channels.mail.sending import Mail
from channels.message import InboundMessage
from channels.models import Received
from channels.portal import Portal
from channels.reading import kept, read_json
from channels.telegram import events as telegram_events
from channels.telegram.sending import Telegram
from channels.twilio import events as sms_events
from channels.twilio import voice as voice_events
from channels.twilio.recordings import Recordings
from channels.twilio.sms import Sms
from channels.zalo import events as zalo_events
from channels.zalo.sending import zalo_channels
from core.db import Database
from core.filestore import FileStore, key_of
from core.settings import Settings

Parse = Callable[[Hook, str], list[InboundMessage]]


@dataclass(frozen=True, slots=True)
class House:
    """What a channel may need of the process it lives in."""

    settings: Settings
    database: Database
    files: FileStore

    async def read(self, sha256: str) -> bytes:
        """The bytes of a file of ours."""
        with await self.files.open(key_of(sha256)) as file:
            return await asyncio.to_thread(file.read)


@dataclass(frozen=True, slots=True)
class Channel:
    """How its events are read, and its adapters by name: none when the settings have none."""

    parse: Parse | None
    make: Callable[[House], Mapping[str, Adapter]] = lambda house: {}


def _facebook(house: House) -> Mapping[str, Adapter]:
    return facebook_channels(house.settings, house.read)


def _mail(house: House) -> Mapping[str, Adapter]:
    return {"email": Mail.from_settings(house.settings, house.read)} if house.settings.smtp_host else {}


def _sms(house: House) -> Mapping[str, Adapter]:
    return {"sms": Sms.from_settings(house.settings)} if house.settings.twilio_account_sid else {}


def _telegram(house: House) -> Mapping[str, Adapter]:
    settings = house.settings
    return {"telegram": Telegram.from_settings(settings, house.read)} if settings.telegram_token else {}


CHANNELS: Final[Mapping[str, Channel]] = {
    "web": Channel(None, lambda house: {"web": Portal("web")}),
    "app": Channel(None, lambda house: {"app": Portal("app")}),
    "zalo": Channel(zalo_events.parse, lambda house: zalo_channels(house.settings, house.database, house.read)),
    "facebook": Channel(facebook_events.parse, _facebook),
    "telegram": Channel(telegram_events.parse, _telegram),
    "email": Channel(mail_reading.parse, _mail),
    "sms": Channel(sms_events.parse, _sms),
    "voice": Channel(voice_events.parse),
}


async def read_again(house: House, row: Received) -> list[InboundMessage]:
    """The event of a raw row as today's parser understands it; nothing when its channel has none.

    Whole mails lie among the files, the row names them.
    """
    channel = CHANNELS.get(row.channel)
    if channel is None or channel.parse is None:
        return []
    if (mail := read_json(row.raw.encode())) is None or "eml" not in mail or row.channel != "email":
        return channel.parse(Hook(kept(row.raw), {}, {}), row.account)
    whole = await house.read(mail["eml"])
    messages = await asyncio.to_thread(channel.parse, Hook(whole, {}, {}), row.account)
    return [
        replace(
            message,
            attachments=tuple(replace(file, vendor_id=mail["eml"]) for file in message.attachments),
        )
        for message in messages
    ]


def adapters_for(house: House) -> dict[str, Adapter]:
    """The channels that can be used: one without its settings is absent."""
    return {name: adapter for channel in CHANNELS.values() for name, adapter in channel.make(house).items()}


def recorders_for(settings: Settings) -> dict[str, Recorder]:
    """The carriers of calls that can be used, by the name they have in `call_sessions`."""
    return {"twilio": Recordings.from_settings(settings)} if settings.twilio_account_sid else {}


async def troubles(house: House) -> dict[str, str | None]:
    """What is wrong with the live settings of each channel that can be asked; None: nothing. Sends no message."""
    found: dict[str, str | None] = {}
    for name, adapter in adapters_for(house).items():
        if isinstance(adapter, Checked):
            found[name] = await _trouble(adapter.check())
    if house.settings.imap_host is not None:
        mailbox = Mailbox.from_settings(house.settings)
        found[f"mailbox {mailbox.account}"] = await _trouble(asyncio.to_thread(mailbox.check))
    return found


async def _trouble(checking: Awaitable[None]) -> str | None:
    try:
        await checking
    except SendFailed as failed:
        return failed.reason
    except SendDoubtful as doubtful:
        return doubtful.reason
    return None

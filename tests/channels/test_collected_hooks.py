"""What payloads collected by others have shown of the webhooks' parsers."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from channels.adapter import Hook
from channels.message import InboundMessage
from channels.reading import moment
from channels.registry import CHANNELS


def read(channel: str, payload: dict[str, Any] | bytes) -> InboundMessage:
    """The one event of a payload."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    parse = CHANNELS[channel].parse
    assert parse is not None
    (message,) = parse(Hook(body, {}, {}), "")
    return message


def zalo(event: str, message: dict[str, Any]) -> InboundMessage:
    """A person's message on Zalo."""
    told = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "message": {"msg_id": "m", **message}}
    return read("zalo", {"event_name": event, **told})


def test_links_of_a_zalo_message_are_words_in_the_old_form_too() -> None:
    message = zalo("user_send_link", {"links": [{"title": "Ổ gà", "url": "https://b.example/a"}]})
    assert (message.text, message.ignore_reason) == ("Ổ gà\nhttps://b.example/a", None)
    assert zalo("user_send_link", {"links": []}).ignore_reason == "neither text nor file"


def test_the_address_of_a_place_sent_on_zalo_is_kept() -> None:
    payload = {"coordinates": {"lat": 11.5, "long": 106.9}, "address": "Chợ Đồng Xoài"}
    message = zalo("user_send_location", {"attachments": [{"type": "location", "payload": payload}]})
    assert (message.location, message.text) == ((11.5, 106.9), "Chợ Đồng Xoài")


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("2025-10-20T08:00:00+0700", datetime(2025, 10, 20, 1, tzinfo=UTC)),
        ("2025-10-20T08:00:00Z", datetime(2025, 10, 20, 8, tzinfo=UTC)),
        ("2025-10-20T08:00:00", datetime(2025, 10, 20, 8, tzinfo=UTC)),
        ("1760922000", datetime(2025, 10, 20, 1, tzinfo=UTC)),
        ("2025-13-20T08:00:00Z", None),
        ("0001-01-01T00:00:00+1400", None),
        ("2025-10-20", None),
    ],
)
def test_a_moment_is_told_in_seconds_or_as_a_date_with_a_time(told: str, meant: datetime | None) -> None:
    assert moment(told) == meant


def test_members_that_say_no_are_not_the_content_of_a_telegram_message() -> None:
    told = {"message_id": 1, "chat": {"id": 5}, "group_chat_created": False, "boost_added": {"boost_count": 1}}
    assert read("telegram", {"update_id": 1, "message": told}).ignore_reason == "unknown content boost_added"


def test_a_form_of_millions_of_fields_is_read_as_far_as_any_form_goes() -> None:
    begun = time.process_time()
    message = read("sms", b"MessageSid=SM1&From=%2B84912345678&Body=a" + b"&x=1" * 3_000_000)
    assert (message.external_id, message.text) == ("SM1", "a")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("channel", ["zalo", "facebook", "telegram", "sms"])
def test_marks_without_end_on_one_letter_take_no_long_time(channel: str) -> None:
    words = "a" + "\u0301\u0323" * 20_000
    sent = {"mid": "m", "msg_id": "m", "text": words, "chat": {"id": 1, "first_name": words}}
    about = {"messaging": [{"sender": {"id": "2"}, "message": sent}]}
    payload: dict[str, Any] = {
        "zalo": {"event_name": "user_send_text", "sender": {"id": "1", "name": words}, "message": sent},
        "facebook": {"object": "page", "entry": [{"id": "1", **about}]},
        "telegram": {"update_id": 1, "message": sent},
    }
    form = urlencode({"MessageSid": "SM1", "From": "+84912345678", "Body": words}).encode()
    begun = time.process_time()
    message = read(channel, payload.get(channel, form))
    assert time.process_time() - begun < 0.5  # sorting them takes seconds
    assert (message.text or "").startswith("ạ")

"""What stopped a message, in one word that is kept with it: lists, sentences for people and the next way go by it."""

from typing import Final

from channels.adapter import Failure
from channels.mail.smtp import nobody_there
from channels.twilio.errors import GONE as GONE_FROM_PHONES

GONE: Final = "gone"  # nobody is at the address, or they blocked us
REPORTED: Final = "reported"  # the vendor took it, and said later that it did not arrive
ABSENT: Final = "absent"  # the channel is not configured
UNKNOWN: Final = "unknown"  # nobody knows whether it left
WORDS: Final = (*(each.value for each in Failure), GONE, REPORTED, ABSENT, UNKNOWN)


def word_of_report(channel: str, error: str | None) -> str:
    """What a vendor's report of a message that did not arrive means, by the number its reason begins with."""
    number = (error or "").partition(":")[0].strip()
    phone = channel == "sms" and number.isascii() and number.isdigit() and int(number[:9]) in GONE_FROM_PHONES
    return GONE if phone or (channel == "email" and nobody_there(number)) else REPORTED

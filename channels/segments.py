"""How many SMS a text takes (3GPP TS 23.038): what is paid for, and what a telephone shows as one. Pure."""

from dataclasses import dataclass
from math import ceil
from typing import Final

BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED: Final = frozenset("^{}\\[~]|€")  # two units each
_ONE: Final = {"GSM-7": 160, "UCS-2": 70}  # units, when one SMS is enough
_OF_MANY: Final = {"GSM-7": 153, "UCS-2": 67}  # with what ties them together


@dataclass(frozen=True, slots=True)
class Sms:
    """A text as SMS: how it is written, its length in units of that, and how many SMS it is."""

    encoding: str  # GSM-7 | UCS-2
    units: int
    segments: int


def sms_of(text: str) -> Sms:
    """One letter outside GSM's alphabet, such as ư, makes the whole text UCS-2, with less than half the room."""
    if all(each in BASIC or each in EXTENDED for each in text):
        encoding, units = "GSM-7", len(text) + sum(each in EXTENDED for each in text)
    else:
        encoding, units = "UCS-2", len(text.encode("utf-16-le")) // 2
    return Sms(encoding, units, 1 if units <= _ONE[encoding] else ceil(units / _OF_MANY[encoding]))

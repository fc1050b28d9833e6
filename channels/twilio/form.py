"""The form that Twilio posts, for messages and calls alike: its fields, and the numbers of people in them. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes, urlencode

import phonenumbers

from channels.adapter import Hook
from channels.message import Address
from channels.reading import clean, ident, keep, read_json

MOST_FIELDS: Final = 2000  # of a form; Twilio sends some dozens
HOME: Final = "VN"  # numbers without a country are of this one

_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_KEYS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
# A caller who withholds the number comes as a word, or as that word typed on a keypad: +266696687.
_WITHHELD = frozenset({"ANONYMOUS", "RESTRICTED", "UNAVAILABLE", "UNKNOWN", "BLOCKED", "PRIVATE", "WITHHELD"})
_SPELLED = frozenset(word.translate(_KEYS) for word in _WITHHELD)


class Fields:
    """Names and values in the order they came: a name may come several times, and a value may be empty.

    It is also the multidict that Twilio's own validator of signatures asks for.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def getlist(self, name: str) -> list[str]:
        """Every value of this name."""
        return self._values.get(name, [])

    def get(self, *names: str) -> str:
        """The first value that is not blank, of the first of these names that has one; "" when there is none."""
        return next((found for name in names for value in self.getlist(name) if (found := ident(value))), "")

    def words(self, name: str) -> str | None:
        """The same, as a person's words."""
        return next((found for value in self.getlist(name) if (found := clean(value))), None)

    def raw(self, name: str) -> str:
        """The same, untouched."""
        return next((value for value in self.getlist(name) if value.strip()), "")


def form(body: bytes) -> Fields:
    """The fields of an urlencoded body, whatever its bytes."""
    pieces = (piece.partition(b"=") for piece in body.split(b"&", MOST_FIELDS)[:MOST_FIELDS] if piece.strip())
    return Fields((_text(name), _text(value)) for name, _, value in pieces)


def read(hook: Hook) -> tuple[Fields, str]:
    """The fields of a request, and text that reads as the same fields again.

    What stands in the address counts too, after the body: our own addresses carry what we want to be told back, and a
    webhook set to GET carries everything there. A form that some tool has turned into JSON is read as well.
    """
    if (document := read_json(hook.body)) is not None:
        plain = ((name, value) for name, value in document.items() if isinstance(value, str | int | float))
        return Fields((name, str(value)) for name, value in plain), keep(hook.body)
    body = hook.body.strip()
    if hook.query:
        body = b"&".join(filter(None, (body, urlencode(hook.query, errors="surrogatepass").encode())))
    return form(body), keep(body)


def person(given: str, withheld: str, name: str | None = None) -> Address:
    """Who stands in From or To: a number in E.164 where it is one, a short code or an alphanumeric sender as it came.

    Whoever shows no number is anonymous under `withheld`, which must not be the same for two of them. `given` is the
    raw value: a plus that nobody encoded has become a space.
    """
    text = ident(given) or ""
    scheme, colon, rest = text.partition(":")
    if not text or _is_withheld(rest if colon else text):
        return Address("anonymous", withheld, name)
    if colon and scheme.lower() in ("sip", "sips"):
        user = re.split(r"[@;?]", rest, maxsplit=1)[0]
        known = number(user)
        return Address("phone", known, name) if known[1:].isdigit() else Address("anonymous", text, name)
    if colon and scheme.lower() in ("whatsapp", "rcs", "tel"):
        return person(rest, withheld, name) if number(rest)[1:].isdigit() else Address("anonymous", text, name)
    if colon:  # client:…, messenger:…
        return Address("anonymous", text, name)
    unencoded = given.startswith(" ") and re.fullmatch(r"[1-9][0-9]{7,14}", text) is not None
    return Address("phone", f"+{text}" if unencoded else number(text), name)


def number(text: str) -> str:
    """`0912 345 678`, `84912345678` → `+84912345678`; what is no full number (1022, VIETTEL) stays as it is."""
    packed = re.sub(r"(?<=[0-9])[\s().-]+(?=[0-9(])", "", text.strip())
    if _E164.fullmatch(packed):
        return packed
    if not re.fullmatch(r"\+?[0-9]{7,15}", packed):
        return text.strip()
    try:
        found = phonenumbers.parse(packed, HOME)
    except phonenumbers.NumberParseException:
        return packed
    if not phonenumbers.is_valid_number(found):
        return packed
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


def is_full(handle: str) -> bool:
    """Whether it is a whole number in E.164, which a person may have; short codes and words belong to machines."""
    return _E164.fullmatch(handle) is not None


def line(given: str) -> str:
    """A line of our own as it is called: `+84…`, or `1022` out of `sip:1022@…`."""
    text = ident(given) or ""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("sip", "sips"):
        user = re.split(r"[@;?]", rest, maxsplit=1)[0]
        return number(user) if user.removeprefix("+").isdigit() else text
    if colon and scheme.lower() in ("whatsapp", "rcs", "tel"):
        return number(rest)
    unencoded = given.startswith(" ") and re.fullmatch(r"[1-9][0-9]{7,14}", text) is not None
    return f"+{text}" if unencoded else number(text)


def _is_withheld(text: str) -> bool:
    user = text.partition("@")[0].strip()
    return user.upper() in _WITHHELD or (user.startswith("+") and user[1:] in _SPELLED)


def _text(piece: bytes) -> str:
    """UTF-8 as it should be, else the Windows code page that old gateways use."""
    plain = unquote_to_bytes(piece.replace(b"+", b" "))
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return plain.decode("cp1252", "replace")

"""How a sentence to citizens becomes words: the centre's own where there are some, else those shipped. Pure.

Places are written {code}. Nothing else is looked at: what stands in a place is never read as a place again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from cases.replies import Phrase, Value, day_and_time
from cases.sentences import LANGUAGES, LONG, SENTENCES, SHORT, Sentence
from channels.segments import Sms, sms_of

Own = Mapping[tuple[str, str, str], str]  # (sentence, form, language) → words of the centre

SHORT_CHANNELS: Final = frozenset({"sms"})  # every letter is paid for there
MOST: Final = 1500  # characters of a sentence
MOST_LINE: Final = 120  # of a subject line
MOST_SMS: Final = 3  # that a short sentence may take with the example in it
TRACK: Final = "/track/"  # path of the page of one case

_PLACE = re.compile(r"\{([a-z_]{1,40})\}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "code": ("mã phản ánh", "the case code"),
    "link": ("địa chỉ trang theo dõi", "the address of the tracking page"),
    "time": ("lúc tổng đài nhận", "when it was received"),
    "text": ("lời cán bộ viết", "what the officer wrote"),
    "until": ("ngày hẹn hoặc hạn mới", "the date promised, or the new limit"),
    "promised": ("dự kiến trả lời trước", "when an answer is expected"),
    "department": ("tên đơn vị xử lý", "the unit's name"),
    "reason": ("lý do", "the reason"),
    "other": ("mã phản ánh kia", "the code of the other case"),
    "to": ("nơi chuyển đến", "where it was handed over to"),
}

_SOON = datetime(2026, 3, 12, 16, 30, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
EXAMPLE_CODE: Final = "BP-26-0482134"
EXAMPLE: Final[Mapping[str, Value]] = {
    "time": datetime(2026, 3, 3, 8, 15, tzinfo=_SOON.tzinfo),
    "text": ("Đơn vị đã vá xong ổ gà trước chợ Đồng Xoài.", "The pothole in front of the market has been filled."),
    "until": _SOON,
    "promised": _SOON,
    "department": "Sở Xây dựng",
    "reason": ("Trời mưa kéo dài, chưa thi công được.", "Long rain, work could not begin."),
    "other": "BP-26-0482099",
    "to": ("Ban Tiếp công dân tỉnh", "the province's Citizen Reception Board"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why words cannot be used."""

    code: str  # empty | too_long | control | lines | brace | unknown_place | missing_place | too_many_sms
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Words:
    """The words of the moment; `site` is the address our pages have, for links."""

    own: Own = field(default_factory=dict)
    site: str = ""

    def template(self, name: str, form: str = LONG, language: str = "vi") -> str:
        """A sentence with its places: the centre's own, else the shipped one; the long one where none is short."""
        texts = SENTENCES[name].texts
        own = self.own.get((name, form, language)) or texts.get((form, language))
        return own if own is not None else self.template(name, LONG, language)

    def say(self, phrase: Phrase, code: str, *, channel: str = "web", language: str = "vi") -> str:
        """The phrase as a message on a channel."""
        form = SHORT if channel in SHORT_CHANNELS else LONG
        return self.filled(self.template(phrase.name, form, language), phrase.values, code, language)

    def on_page(self, phrase: Phrase, code: str, language: str = "vi") -> str:
        """The phrase as a line on the tracking page."""
        return phrase.page if phrase.page is not None else self.say(phrase, code, language=language)

    def title(self, purpose: str, code: str, language: str = "vi") -> str:
        """The subject line of a message, where the citizen's channel has one."""
        name = f"title.{purpose}"
        return self.filled(self.template(name if name in SENTENCES else "title", LONG, language), {}, code, language)

    def refusal(self, reason: str, language: str = "vi") -> str:
        """What a citizen is told for a reason of refusal, as an officer may change it."""
        return self.template(f"refused.{reason}", LONG, language)

    def filled(self, template: str, values: Mapping[str, Value], code: str, language: str) -> str:
        """The template with what stands in its places, each looked at once."""
        known = {"code": code, "link": f"{self.site}{TRACK}{code}", **values}
        pieces = list(_pieces(template))
        pieces[1::2] = [_told(known.get(name, f"{{{name}}}"), language) for name in pieces[1::2]]
        return "".join(pieces)

    def example(self, template: str, language: str) -> str:
        """What a citizen would read."""
        return self.filled(template, EXAMPLE, EXAMPLE_CODE, language)


def words_known(name: str, form: str, language: str) -> bool:
    """Whether there is such a sentence in this form and language."""
    sentence = SENTENCES.get(name)
    return sentence is not None and form in sentence.forms and language in LANGUAGES


def tidy(text: str) -> str:
    """As it is kept: lines without spaces at their ends, none empty before and after."""
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")).strip()


def sms_length(words: Words, template: str, language: str) -> Sms:
    """How many SMS the example takes."""
    return sms_of(words.example(template, language))


def check(sentence: Sentence, form: str, language: str, text: str, words: Words) -> list[Problem]:
    """What is wrong with a tidied text for a sentence; nothing: it may be used."""
    if not text:
        return [Problem("empty", "Câu không được để trống.", "The sentence is empty.")]
    found = [*_shape(sentence, text), *_places(sentence, text)]
    if form == SHORT and not found:
        length = sms_length(words, text, language)
        if length.segments > MOST_SMS:
            found.append(
                Problem(
                    "too_many_sms",
                    f"Với ví dụ, câu này cần {length.segments} tin SMS; nhiều nhất là {MOST_SMS}. Hãy viết ngắn hơn.",
                    f"With the example this takes {length.segments} SMS; at most {MOST_SMS}. Write it shorter.",
                )
            )
    return found


def _shape(sentence: Sentence, text: str) -> list[Problem]:
    most = MOST_LINE if sentence.line else MOST
    found = []
    if len(text) > most:
        found.append(
            Problem(
                "too_long",
                f"Câu dài {len(text)} ký tự; nhiều nhất là {most}.",
                f"The sentence has {len(text)} characters; at most {most}.",
            )
        )
    if _CONTROL.search(text):
        found.append(Problem("control", "Câu có ký tự điều khiển.", "The sentence holds control characters."))
    if sentence.line and "\n" in text:
        found.append(Problem("lines", "Tiêu đề chỉ có một dòng.", "A subject line is one line."))
    return found


def _places(sentence: Sentence, text: str) -> list[Problem]:
    """What is between braces must be a place of this sentence, and each it needs must be there."""
    used = dict.fromkeys(_PLACE.findall(text))
    known = ", ".join(f"{{{place}}}" for place in sentence.places)
    may_vi = f"Dùng được: {known}." if known else "Câu này viết trọn, không có chỗ điền."
    may_en = f"It may have: {known}." if known else "It is written out in full."
    found = [
        Problem(
            "unknown_place",
            f"Câu này không có chỗ điền {{{place}}}. {may_vi}",
            f"This sentence has no place {{{place}}}. {may_en}",
        )
        for place in used
        if place not in sentence.places
    ]
    found += [
        Problem(
            "missing_place",
            f"Thiếu chỗ điền {{{place}}}: {PLACES[place][0]}.",
            f"{{{place}}} is missing: {PLACES[place][1]}.",
        )
        for place in sentence.needs
        if place not in used
    ]
    if re.search(r"[{}]", _PLACE.sub("", text)):
        found.append(
            Problem(
                "brace",
                f"Dấu {{ }} chỉ dùng cho chỗ điền, viết liền, chữ thường. {may_vi}",
                f"Braces are for places only, in small letters without spaces. {may_en}",
            )
        )
    return found


@lru_cache(512)
def _pieces(template: str) -> tuple[str, ...]:
    """Its words and the names of its places by turns: words, place, words, …, words."""
    return tuple(_PLACE.split(template))


def _told(value: Value, language: str) -> str:
    if isinstance(value, datetime):
        return day_and_time(value, language)
    return value if isinstance(value, str) else value[language == "en"]

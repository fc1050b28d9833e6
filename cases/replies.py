"""What the centre tells citizens, by the name of the sentence and what stands in it; the words are `cases.wording`'s.

Pure. A sentence is worded for each language, long, and short for SMS; the tracking page shows the long one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Pair = tuple[str, str]  # the same in Vietnamese and in English
Value = str | datetime | Pair


def day_and_time(moment: datetime, language: str = "vi") -> str:
    """15:30 ngày 04/05/2022, in the moment's own zone."""
    on = "on" if language == "en" else "ngày"
    return f"{moment.hour:02}:{moment.minute:02} {on} {moment.day:02}/{moment.month:02}/{moment.year}"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with what stands in its places; `page` is what the tracking page shows where it shows other words."""

    name: str
    values: Mapping[str, Value] = field(default_factory=dict)
    page: str | None = None


def receipt(received_at: datetime) -> Phrase:
    """Sent once, when a report has become a case."""
    return Phrase("receipt", {"time": received_at})


def answer(text: str, document: str | None = None) -> Phrase:
    """The answer that a person wrote, and by which document; the page shows that beside it."""
    return Phrase("answer", {"text": f"{text}\n\n{document}" if document else text}, page=text)


def question(text: str) -> Phrase:
    """What a person asks the citizen."""
    return Phrase("question", {"text": text}, page=text)


def forwarded(department: str, promised_at: datetime | None) -> Phrase:
    """To whom and by when."""
    if promised_at is None:
        return Phrase("forwarded", {"department": department})
    return Phrase("forwarded_until", {"department": department, "promised": promised_at})


def progress(text: str, until: datetime) -> Phrase:
    """What the unit is doing and the date it commits itself to."""
    return Phrase("progress", {"text": text, "until": until})


def extended(until: datetime, reason: str) -> Phrase:
    """A new date and why."""
    return Phrase("extended", {"until": until, "reason": reason})


def extension_denied(reason: str) -> Phrase:
    """The unit asked for more time and does not get it."""
    return Phrase("extension_denied", {"reason": reason})


def merged(code: str) -> Phrase:
    """Joined with another case; the old code goes on working."""
    return Phrase("merged", {"other": code})


def split(code: str | None) -> Phrase:
    """A second matter in one report; its code unless that must not be seen here. The same key opens it."""
    return Phrase("split_hidden") if code is None else Phrase("split", {"other": code})


def reopened() -> Phrase:
    """Work goes on."""
    return Phrase("reopened")


def elsewhere(purpose: str) -> Phrase:
    """That there is something to read, where the text itself does not go: short, and nothing of the matter in it."""
    return Phrase(f"elsewhere.{purpose}" if purpose in ("answer", "question") else "elsewhere")


def answered_elsewhere(site: str, language: str = "vi") -> str:
    """The same where everybody reads it: no code, no name, not even what it is about. Not for the centre to word."""
    if language == "en":
        return f"1022 has answered you. Please read it at {site}/track"
    return f"Tổng đài 1022 đã phản hồi anh/chị. Mời anh/chị xem tại {site}/track"


DESTINATIONS: dict[str, Pair] = {
    "113": ("Cảnh sát 113", "Police 113"),
    "114": ("Cảnh sát phòng cháy, chữa cháy và cứu nạn, cứu hộ 114", "Fire and Rescue 114"),
    "115": ("Cấp cứu 115", "Ambulance 115"),
    "reception_board": ("Ban Tiếp công dân tỉnh", "the province's Citizen Reception Board"),
    "inspectorate": ("Thanh tra tỉnh", "the Provincial Inspectorate"),
    "police": ("Công an tỉnh", "the Provincial Police"),
    "other": ("cơ quan có thẩm quyền", "the authority in charge"),
}
TRACK_DESTINATION = {"complaint": "reception_board", "denunciation": "inspectorate", "crime_tip": "police"}


def redirected(to: str, reply: str) -> Phrase:
    """Where the matter was handed over to."""
    return Phrase("redirected", {"text": reply, "to": DESTINATIONS[to]})


REFUSALS: dict[str, str] = {
    "unclear": "Nội dung chưa rõ",
    "not_province": "Ngoài địa bàn tỉnh",
    "complaint": "Thuộc thủ tục khiếu nại",
    "court": "Thuộc thẩm quyền tòa án, thi hành án",
    "private": "Tranh chấp dân sự",
    "secret": "Bí mật nhà nước",
    "repeated": "Đã được trả lời",
    "abuse": "Ngôn từ không phù hợp",
}


def refused(reason: str, reply: str | None) -> Phrase:
    """Why it is not for us and where to go: the words of a person, else the sentence of the reason."""
    return Phrase("refused", {"text": reply}, page=reply) if reply else Phrase(f"refused.{reason}")

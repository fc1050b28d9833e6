"""What of a text tells who somebody is or where they live: found as suggestions, to be confirmed by a person. Pure.

Nothing is decided here. A text that is going to be published is shown with these places covered; whoever publishes
covers each, or says of it that it may stay. So a place too many costs a look, a place too few costs a person's peace:
patterns are wide where nothing else looks the same (numbers, plates, addresses of mail), and narrow where ordinary
words do (streets are named after people).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.text import fold

INSTEAD = {
    "phone": "[số điện thoại]",
    "plate": "[biển số]",
    "email": "[thư điện tử]",
    "identity": "[số giấy tờ]",
    "name": "[họ tên]",
    "address": "[số nhà]",
    "land": "[thửa đất]",
}
KINDS = tuple(INSTEAD)


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text, from `start` up to `end`, what it seems to be, and what would stand there instead."""

    kind: str
    start: int
    end: int
    instead: str

    def of(self, text: str) -> str:
        """The words at this place."""
        return text[self.start : self.end]


def suggest(text: str, known: Collection[str] = ()) -> list[Span]:
    """Places to cover, in order, none overlapping another.

    `known`: names, numbers and addresses of mail of the people a text may be about, found however they are written.
    What was put instead is never found again.
    """
    found: list[Span] = []
    for span in _candidates(text, known):  # the surest first
        if all(span.end <= other.start or other.end <= span.start for other in found):
            found.append(span)
    return sorted(found, key=lambda span: span.start)


def masked(text: str, spans: Iterable[Span], left: Collection[str] = ()) -> str:
    """The text with these places covered, but for words that are in `left`."""
    made, at = [], 0
    for span in spans:
        if span.of(text) not in left:
            made += [text[at : span.start], span.instead]
            at = span.end
    return "".join([*made, text[at:]])


def unconfirmed(text: str, known: Collection[str], left: Collection[str]) -> list[Span]:
    """Places that nobody has covered, or said of that they may stay."""
    return [span for span in suggest(text, known) if span.of(text) not in left]


def _candidates(text: str, known: Collection[str]) -> Iterator[Span]:
    for kind, pattern in _PATTERNS:
        for found in pattern.finditer(text):
            start, end = found.span("it") if "it" in pattern.groupindex else found.span()
            if kind != "phone" or not _DATE.match(text[start:end]):
                yield Span(kind, start, end, INSTEAD[kind])
    for found in _NUMBERED.finditer(text):
        if found["street"].lower() in _FAMILIES:  # streets are named after people
            yield Span("address", *found.span("it"), INSTEAD["address"])
    words = [_Word(each.start(), each.end(), each[0]) for each in _WORD.finditer(text)]
    yield from _known(text, words, known)
    yield from _names(text, words)


# Numbers as people group them; the whole of it, so that a part of a longer number is never taken for a short one.
_PHONE = (
    r"(?<![\w@/+])(?:\((?:\+84|0\d{1,3})\)(?:[ .\-]{0,2}\d){7,9}|(?:\+?84|0)(?:[ .\-]{0,2}\d){9,10})"
    r"(?![\w/]|[.\-]\d)"
)
_PLATE = (
    r"(?<![\w/.\-])\d{2}[ \-]?(?:[A-ZĐ]{1,2}\d?|[A-ZĐ]\d?)[ \-]{0,3}(?:\d{3}\.?\d{2}|\d{4})(?![\w/])"
    r"|(?<![\w/.\-])\d{2}[a-zđ]\d?[ \-]{1,3}\d{3}\.\d{2}(?![\w/])|(?<![\w/.\-])\d{2}[a-zđ]\d?-(?:\d{5}|\d{4})(?![\w/])"
)
_PAPER = (
    r"(?:cmnd|cmt|cmtnd|cccd|căn cước(?: công dân)?|chứng minh(?: nhân dân| thư)?|định danh(?: cá nhân)?|hộ chiếu"
    r"|passport)"
)
_STREET_NUMBER = (
    r"(?<![\w/.\-])(?<!ngày )(?<!hôm )(?<!đến )(?<!từ )\d+[A-Za-z]?(?:/\d+[A-Za-z]?)+"
    r"(?=,? (?:đường|phố|hẻm|ngõ|kiệt) )"
)
_ROAD = r"(?:đường|phố|đại lộ|ngõ|hẻm|kiệt|ngách|quốc lộ|tỉnh lộ|ql|đt)"
_PATTERNS: Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (kind, re.compile(pattern, flags))
    for kind, pattern, flags in (
        ("email", r"(?<![\w.+\-])[\w.+\-]{1,64}@[\w\-]+(?:\.[\w\-]+)+", 0),
        ("identity", rf"\b{_PAPER}\b[^\d\n]{{0,15}}?(?P<it>\b[A-Za-z]?\d(?:[ .]?\d){{6,13}})(?!\w)", re.IGNORECASE),
        ("identity", r"(?<![\w.\-/])0\d{2}[ .]?\d{3}[ .]?\d{3}[ .]?\d{3}(?![\w/])", 0),
        ("plate", _PLATE, 0),
        ("phone", _PHONE, 0),
        ("land", r"\bthửa(?: đất)?(?: số)?:? ?\d+(?:,? ?(?:thuộc )?tờ(?: bản đồ)?(?: số)?:? ?\d+)?", re.IGNORECASE),
        ("address", r"\b(?:số nhà|nhà số|nhà riêng số)[ :.]{1,2}\d+\w?(?:[/\-]\d+\w?)*", re.IGNORECASE),
        ("address", rf"\bsố \d+[a-z]?(?:/\d+[a-z]?)*(?=,? {_ROAD}\b)", re.IGNORECASE),
        ("address", _STREET_NUMBER, 0),
    )
)
_NUMBERED = re.compile(r"\b(?P<it>[Ss]ố \d+[A-Za-z]?(?:/\d+[A-Za-z]?)*),? (?P<street>[^\W\d_a-z]\w*) [^\W\d_a-z]")
_DATE = re.compile(r"\d{1,2}[.\- ]\d{1,2}[.\- ](?:19|20)\d\d")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    text: str

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


def _known(text: str, words: Sequence[_Word], known: Collection[str]) -> Iterator[Span]:
    """What is known of somebody, however it is spaced, capitalised or marked."""
    folded = [fold(word.text) for word in words]
    for each in known:
        digits = re.sub(r"\D", "", each)
        if "@" in each:
            for found in re.finditer(re.escape(each), text, re.IGNORECASE):
                yield Span("email", *found.span(), INSTEAD["email"])
        elif len(digits) >= 8:
            tail = r"[ .()\-]{0,2}".join(digits[-9:])
            for found in re.finditer(rf"(?<!\w)(?:\(?\+?\d{{1,3}}\)?[ .\-]{{0,2}})?{tail}(?!\w)", text):
                yield Span("phone", *found.span(), INSTEAD["phone"])
        elif len(parts := fold(each).split()) > 1:
            for n in range(len(words) - len(parts) + 1):
                if folded[n : n + len(parts)] == parts:
                    yield Span("name", words[n].start, words[n + len(parts) - 1].end, INSTEAD["name"])


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# How people are spoken of.
_SPOKEN_OF = _set("ông bà anh chị em cháu cô chú bác cụ cậu mợ dì thím thầy bé bạn")
_NOT_PEOPLE = frozenset(
    map(
        fold,
        (
            "Bà Rịa", "Bà Đen", "Bà Rá", "Bà Nà", "Bà Điểm", "Bà Chiểu", "Bác Hồ", "Cô Giang", "Cô Bắc", "Ông Đốc",
            "Cô Tô", "Chú Ía",
        ),
    )
)  # fmt: skip
_FAMILIES = _set(
    "nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý đoàn đinh trịnh mai đào lương trương tô tạ "
    "thạch điểu lâm lưu cao châu hà thái quách vương nông hứa triệu kiều tăng thị sơn kim danh giang tống phùng"
)
# After these a name is a place's.
_PLACES = _set(
    "đường phố lộ ngõ hẻm kiệt ngách trường thpt thcs chợ cầu viện viên phường xã huyện tỉnh thôn ấp sóc bon buôn làng "
    "khu phố bến tư ba năm xoay giao đài trang quận thành trấn đảo hồ suối sông cảng rạch kênh đồi núi đèo dốc học "
    "non lớp giải đội quỹ đền chùa đình miếu tượng công ty tnhh"
)
# Streets and schools bear these names.
_HISTORIC = frozenset(
    map(
        fold,
        (
            "Hồ Chí Minh", "Phạm Văn Đồng", "Trần Hưng Đạo", "Lý Thường Kiệt", "Lê Hồng Phong", "Nguyễn Văn Linh",
            "Nguyễn Văn Trỗi", "Nguyễn Thị Minh Khai", "Nguyễn Đình Chiểu", "Nguyễn Tri Phương", "Nguyễn Thái Học",
            "Nguyễn Chí Thanh", "Nguyễn Văn Cừ", "Nguyễn Thị Định", "Nguyễn Hữu Cảnh", "Nguyễn Hữu Thọ",
            "Phan Bội Châu", "Phan Chu Trinh", "Phan Châu Trinh", "Phan Đình Phùng", "Phan Đăng Lưu",
            "Võ Nguyên Giáp", "Võ Văn Kiệt",
            "Võ Thị Sáu", "Đinh Tiên Hoàng", "Hoàng Văn Thụ", "Hoàng Hoa Thám", "Hoàng Quốc Việt", "Lê Đại Hành",
            "Lê Quý Đôn", "Lê Thánh Tông", "Trần Quốc Toản", "Trần Quang Khải", "Trần Bình Trọng", "Trần Nhân Tông",
            "Lý Thái Tổ", "Lý Tự Trọng", "Lê Thị Riêng", "Huỳnh Thúc Kháng", "Hoàng Diệu", "Cao Bá Quát",
            "Ngô Gia Tự", "Ngô Quyền", "Trương Công Định", "Huỳnh Văn Nghệ", "Lê Hồng Sơn",
        ),
    )
)  # fmt: skip
_WHOLE_NAME, _LONGEST_NAME = 3, 5  # words


def _names(text: str, words: Sequence[_Word]) -> Iterator[Span]:
    """Somebody spoken of by name (`ông Bình`), and whole names of three words and more that are no place's."""
    for n, word in enumerate(words):
        before = words[n - 1].text.lower() if n else ""
        if before in _PLACES and _joined(text, words, n - 1):
            continue
        called = word.text.lower() in _SPOKEN_OF
        first = n + 1 if called else n
        if not called and word.text.lower() not in _FAMILIES:
            continue
        last = _last_capital(text, words, first, joined_to=n if called else first)
        if last < first:
            continue
        whole = called or last - first + 1 >= _WHOLE_NAME
        elsewhere = fold(text[word.start : words[last].end]) in _NOT_PEOPLE
        if whole and not elsewhere and fold(text[words[first].start : words[last].end]) not in _HISTORIC:
            yield Span("name", words[first].start, words[last].end, INSTEAD["name"])


def _last_capital(text: str, words: Sequence[_Word], first: int, *, joined_to: int) -> int:
    """The last of the capitalised words that follow one another from `first`, or one before it."""
    n = first
    while n < len(words) and n < first + _LONGEST_NAME:
        is_joined = n == joined_to or _joined(text, words, n - 1)
        if not (is_joined and words[n].capital and not words[n].text[0].isdigit()):
            break
        n += 1
    return n - 1


def _joined(text: str, words: Sequence[_Word], n: int) -> bool:
    """Whether nothing but a space stands between this word and the next."""
    return n + 1 < len(words) and text[words[n].end : words[n + 1].start] == " "

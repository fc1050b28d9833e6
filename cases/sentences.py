"""The sentences to citizens as shipped, in Vietnamese and English, with the places in them. Data; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LONG, SHORT = "long", "short"
FORMS: Final = (LONG, SHORT)
LANGUAGES: Final = ("vi", "en")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: what it is called, which places it must have and may have besides, its words by form and language.

    A sentence may name the case's `code` and the `link` of its tracking page. Without words of its own the short form
    is the long one. A subject line (`line`) has no short form.
    """

    name: str
    title: tuple[str, str]
    texts: Mapping[tuple[str, str], str]
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    line: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """All that may stand in it; nothing where an officer may change the words before they are sent."""
        if self.name.startswith("refused."):
            return ()
        return tuple(dict.fromkeys((*self.needs, *self.may, "code", "link")))

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms it is worded in."""
        return (LONG,) if self.line else FORMS


@dataclass(frozen=True, slots=True)
class _Made:
    """A sentence in the writing of the table below."""

    title: tuple[str, str]
    vi: str
    en: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    short: tuple[str, str] | None = None
    line: bool = field(default=False)


_TABLE: dict[str, _Made] = {
    "receipt": _Made(
        ("Đã nhận phản ánh", "Report received"),
        "Tổng đài 1022 đã nhận phản ánh của anh/chị lúc {time}. Mã phản ánh: {code}. Vui lòng giữ mã để theo dõi.",
        "The 1022 hotline received your report at {time}. Your case code is {code}. Please keep it to follow the case.",
        ("code",),
        ("time",),
        (
            "1022 đã nhận phản ánh, mã {code}. Giữ mã này để theo dõi.",
            "1022 has received your report. Case code {code}. Please keep it to follow the case.",
        ),
    ),
    "answer": _Made(("Khung câu trả lời", "Frame of an answer"), "{text}", "{text}", ("text",)),
    "question": _Made(("Khung câu hỏi thêm", "Frame of a question"), "{text}", "{text}", ("text",)),
    "progress": _Made(
        ("Tiến độ xử lý", "Progress"),
        "{text}\nĐơn vị cam kết hoàn thành trước {until}.",
        "{text}\nThe unit commits itself to finish before {until}.",
        ("text", "until"),
    ),
    "forwarded": _Made(
        ("Đã chuyển đơn vị", "Forwarded"),
        "Phản ánh của anh/chị đã được chuyển đến {department}.",
        "Your report was forwarded to {department}.",
        ("department",),
    ),
    "forwarded_until": _Made(
        ("Đã chuyển đơn vị, có ngày hẹn", "Forwarded, with a date"),
        "Phản ánh của anh/chị đã được chuyển đến {department}, dự kiến trả lời trước {promised}.",
        "Your report was forwarded to {department}. An answer is expected before {promised}.",
        ("department", "promised"),
    ),
    "extended": _Made(
        ("Gia hạn", "More time"),
        "Thời hạn xử lý được gia hạn đến {until}. Lý do: {reason}",
        "The time limit was extended until {until}. Reason: {reason}",
        ("until", "reason"),
    ),
    "extension_denied": _Made(
        ("Không gia hạn", "No more time"),
        "Đề nghị gia hạn của đơn vị không được chấp thuận, thời hạn giữ nguyên. Lý do: {reason}",
        "The unit's request for more time was not granted; the time limit stands. Reason: {reason}",
        ("reason",),
    ),
    "merged": _Made(
        ("Gộp với phản ánh khác", "Joined with another case"),
        "Phản ánh của anh/chị trùng với phản ánh {other} và được xử lý chung. Mã cũ vẫn dùng được.",
        "Your report is about the same matter as case {other} and is handled with it. Your old code still works.",
        ("other",),
    ),
    "split": _Made(
        ("Tách phản ánh", "Split"),
        "Một nội dung trong phản ánh của anh/chị được tách thành phản ánh riêng, mã {other}, cùng khóa theo dõi.",
        "One matter of your report became a case of its own, {other}, with the same tracking key.",
        ("other",),
    ),
    "split_hidden": _Made(
        ("Tách nội dung hạn chế", "Split, of restricted access"),
        "Một nội dung trong phản ánh của anh/chị được tách thành phản ánh riêng và chuyển đến nơi có thẩm quyền.",
        "One matter of your report became a case of its own and was passed to the authority in charge.",
    ),
    "reopened": _Made(
        ("Mở lại", "Reopened"),
        "Phản ánh của anh/chị đã được mở lại để tiếp tục xử lý.",
        "Your case was reopened and work goes on.",
    ),
    "redirected": _Made(
        ("Chuyển cơ quan khác", "Handed over"),
        "{text}\nNội dung đã được chuyển đến {to}.",
        "{text}\nThe matter was handed over to {to}.",
        ("text", "to"),
    ),
    "refused": _Made(
        ("Khung từ chối do cán bộ viết", "Frame of a refusal in an officer's words"), "{text}", "{text}", ("text",)
    ),
    "refused.unclear": _Made(
        ("Từ chối: nội dung chưa rõ", "Refused: unclear"),
        "Phản ánh chưa đủ thông tin để xử lý. Anh/chị vui lòng gửi lại, nêu rõ sự việc, địa điểm và thời gian.",
        "The report does not say enough to act on. Please send it again with what happened, where and when.",
    ),
    "refused.not_province": _Made(
        ("Từ chối: ngoài địa bàn tỉnh", "Refused: outside the province"),
        "Sự việc xảy ra ngoài địa bàn tỉnh. Anh/chị vui lòng liên hệ tổng đài 1022 của địa phương nơi xảy ra.",
        "This happened outside the province. Please contact the 1022 hotline of the place where it happened.",
    ),
    "refused.complaint": _Made(
        ("Từ chối: thuộc thủ tục khiếu nại", "Refused: complaint procedure"),
        "Nội dung thuộc thủ tục khiếu nại theo Luật Khiếu nại. "
        "Anh/chị vui lòng gửi đơn đến Ban Tiếp công dân tỉnh để được hướng dẫn.",
        "This falls under the Law on Complaints. Please take it to the province's Citizen Reception Board.",
    ),
    "refused.court": _Made(
        ("Từ chối: thuộc tòa án, thi hành án", "Refused: court"),
        "Nội dung đang hoặc phải do tòa án, cơ quan thi hành án giải quyết. "
        "Anh/chị vui lòng liên hệ tòa án nhân dân nơi thụ lý.",
        "This is for a court or the enforcement authority. Please contact the People's Court in charge.",
    ),
    "refused.private": _Made(
        ("Từ chối: tranh chấp dân sự", "Refused: private dispute"),
        "Nội dung là tranh chấp giữa các bên. Anh/chị có thể đề nghị hòa giải tại Ủy ban nhân dân cấp xã.",
        "This is a dispute between private parties. You may ask the commune's People's Committee to mediate.",
    ),
    "refused.secret": _Made(
        ("Từ chối: bí mật nhà nước", "Refused: state secret"),
        "Tổng đài không tiếp nhận nội dung thuộc bí mật nhà nước. "
        "Anh/chị vui lòng liên hệ trực tiếp cơ quan công an.",
        "The hotline takes nothing that is a state secret. Please contact the police directly.",
    ),
    "refused.repeated": _Made(
        ("Từ chối: đã được trả lời", "Refused: answered before"),
        "Nội dung này đã được trả lời và không có tình tiết mới. "
        "Anh/chị có thể xem lại câu trả lời theo mã phản ánh.",
        "This was answered before and nothing new was said. You can read the answer again by the case code.",
    ),
    "refused.abuse": _Made(
        ("Từ chối: ngôn từ không phù hợp", "Refused: abusive words"),
        "Phản ánh có nội dung xúc phạm nên không được tiếp nhận. Anh/chị vui lòng gửi lại nội dung phù hợp.",
        "The report is abusive and was not accepted. Please send it again in other words.",
    ),
    "elsewhere": _Made(
        ("Tin ngắn khi kênh chính không nhận", "Short notice when the citizen's channel fails"),
        "1022 có tin về phản ánh {code}. Xem tại {link}",
        "1022 has news about your report {code}. See {link}",
        ("code", "link"),
    ),
    "elsewhere.answer": _Made(
        ("Tin ngắn khi kênh chính không nhận: đã trả lời", "Short notice when the citizen's channel fails: answered"),
        "1022 đã trả lời phản ánh {code}. Xem tại {link}",
        "1022 has answered your report {code}. See {link}",
        ("code", "link"),
    ),
    "elsewhere.question": _Made(
        ("Tin ngắn khi kênh chính không nhận: hỏi thêm", "Short notice when the citizen's channel fails: a question"),
        "1022 cần hỏi thêm về phản ánh {code}. Trả lời tại {link}",
        "1022 needs to know more about your report {code}. Answer at {link}",
        ("code", "link"),
    ),
    "title": _Made(
        ("Tiêu đề thư", "Subject line"), "Phản ánh {code}", "Case {code}", ("code",), line=True
    ),
    "title.receipt": _Made(
        ("Tiêu đề thư: đã nhận", "Subject line: received"),
        "Đã nhận phản ánh {code}", "Report {code} received", ("code",), line=True,
    ),
    "title.answer": _Made(
        ("Tiêu đề thư: câu trả lời", "Subject line: answer"),
        "Trả lời phản ánh {code}", "Answer to case {code}", ("code",), line=True,
    ),
    "title.question": _Made(
        ("Tiêu đề thư: câu hỏi", "Subject line: question"),
        "Cần thêm thông tin về phản ánh {code}", "More information needed about case {code}", ("code",), line=True,
    ),
    "title.forwarded": _Made(
        ("Tiêu đề thư: đã chuyển", "Subject line: forwarded"),
        "Phản ánh {code} đã được chuyển đến đơn vị xử lý", "Case {code} was forwarded", ("code",), line=True,
    ),
    "title.progress": _Made(
        ("Tiêu đề thư: tiến độ", "Subject line: progress"),
        "Tiến độ xử lý phản ánh {code}", "Progress of case {code}", ("code",), line=True,
    ),
    "title.extended": _Made(
        ("Tiêu đề thư: gia hạn", "Subject line: more time"),
        "Gia hạn xử lý phản ánh {code}", "More time for case {code}", ("code",), line=True,
    ),
}  # fmt: skip


def _sentence(name: str, made: _Made) -> Sentence:
    texts = {(LONG, "vi"): made.vi, (LONG, "en"): made.en}
    if made.short is not None:
        texts |= {(SHORT, "vi"): made.short[0], (SHORT, "en"): made.short[1]}
    return Sentence(name, made.title, texts, made.needs, made.may, made.line)


SENTENCES: Final[Mapping[str, Sentence]] = {name: _sentence(name, made) for name, made in _TABLE.items()}

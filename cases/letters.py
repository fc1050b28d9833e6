"""The letters that units get by e-mail about a case, in plain Vietnamese. Pure.

They leave the house through other people's servers, so they hold the code, what kind of matter it is, in which unit,
and by when what is due, and nothing of the citizen: no name, no contact, no word of the report, no address. Those are
read in the console, after signing in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cases.replies import day_and_time
from routing.working_time import Amount

URGENCIES = {"emergency": "Khẩn cấp", "urgent": "Khẩn", "normal": "Thường", "complex": "Phức tạp"}
DUTIES = {
    "accept": "nhận việc",
    "resolve": "xử lý và trình kết quả",
    "contribute": "gửi ý kiến phối hợp",
    "reply": "duyệt câu trả lời",
    "publish": "công khai kết quả",
    "forward": "chuyển đơn vị xử lý",
    "directive": "trả lời chỉ đạo",
    "dispute": "quyết định tranh chấp thẩm quyền",
}
LATE = {
    "accept": "Đề nghị đơn vị nhận việc ngay.",
    "resolve": "Đề nghị đơn vị xử lý ngay, báo tiến độ kèm ảnh hiện trường và ngày cam kết hoàn thành.",
    "contribute": "Đề nghị đơn vị gửi ngay ý kiến phối hợp cho đơn vị chủ trì.",
    "reply": "Đề nghị lãnh đạo đơn vị duyệt hoặc trả lại câu trả lời ngay.",
    "directive": "Đề nghị đơn vị thực hiện và trả lời chỉ đạo ngay.",
}
_UNITS = {"min": "phút", "h": "giờ", "d": "ngày"}
_FOOT = "Thư do Tổng đài 1022 gửi tự động, xin không trả lời thư này."


@dataclass(frozen=True, slots=True)
class Matter:
    """What may be said of a case to those outside the house."""

    code: str
    urgency: str
    field: str | None
    area: str | None
    lead: str | None
    supporting: Sequence[str]
    link: str


@dataclass(frozen=True, slots=True)
class DueBy:
    """One stage that a unit owes: until when, in the centre's zone, and how that was counted.

    None: extended, or a date of its own.
    """

    stage: str
    at: datetime
    amount: Amount | None


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject line and text."""

    title: str
    text: str


def forwarded(
    to: str,
    matter: Matter,
    dues: Sequence[DueBy],
    *,
    leads: bool,
    again: bool,
    back_until: datetime | None,
    came_from: str | None = None,
) -> Letter:
    """To a unit that has just been given a case: its part in it, and by when.

    `again`: it was answered once and is open again. `back_until`: until then the unit may give it back. `came_from`: an
    abolished unit whose work it goes on with.
    """
    part = "chủ trì xử lý" if leads else "phối hợp xử lý"
    lines = [f"Tổng đài 1022 chuyển đến quý đơn vị phản ánh {matter.code} để {part}."]
    if again:
        lines = [f"Phản ánh {matter.code} được mở lại. Đề nghị quý đơn vị tiếp tục {part}."]
    if came_from is not None:
        lines = [
            f"Quý đơn vị tiếp nhận phản ánh {matter.code} của {came_from} (đã kết thúc hoạt động) để tiếp tục {part}. "
            "Thời hạn không thay đổi."
        ]
    asked = [f"Thời hạn của quý đơn vị:\n{_listed(dues)}"] if dues else []
    if back_until is not None:
        asked.append(
            f"Nếu không đúng thẩm quyền, đề nghị trả lại kèm lý do và đơn vị phù hợp trước {day_and_time(back_until)}."
        )
    what = "Phản ánh tiếp nhận" if came_from is not None else "Phản ánh mở lại" if again else "Phản ánh mới"
    title = f"{what}, {part}"
    return Letter(_title(matter, title), _letter(to, [*lines, _facts(matter), *asked], matter))


def reminder(to: str, matter: Matter, due: DueBy, percent: int) -> Letter:
    """To whoever owes a stage when a part of its time is over."""
    duty = DUTIES[due.stage]
    said = f"Phản ánh {matter.code} đã qua {percent}% thời hạn {duty}, quý đơn vị chưa hoàn thành."
    title = _title(matter, f"Nhắc hạn {duty}: trước {day_and_time(due.at)}")
    return Letter(title, _letter(to, [said, f"Thời hạn:\n{_listed([due])}", _facts(matter)], matter))


def breach(to: str, matter: Matter, due: DueBy) -> Letter:
    """To whoever owes a stage when its time is over."""
    duty = DUTIES[due.stage]
    said = f"Phản ánh {matter.code} đã quá hạn {duty}. {LATE.get(due.stage, '')}".rstrip()
    return Letter(
        _title(matter, f"Quá hạn {duty}"), _letter(to, [said, f"Thời hạn:\n{_listed([due])}", _facts(matter)], matter)
    )


def chase(to: str, matter: Matter, count: int, dues: Sequence[DueBy]) -> Letter:
    """To the lead when the citizen asks again."""
    said = f"Người dân hỏi lại về phản ánh {matter.code} (lần {count}). Đề nghị quý đơn vị báo tiến độ."
    asked = [f"Thời hạn của quý đơn vị:\n{_listed(dues)}"] if dues else []
    return Letter(_title(matter, f"Người dân hỏi lại lần {count}"), _letter(to, [said, *asked, _facts(matter)], matter))


def order(to: str, matter: Matter, due: DueBy) -> Letter:
    """To a unit that the leadership orders something; what, is read in the console."""
    said = f"Lãnh đạo có chỉ đạo đối với phản ánh {matter.code}. Đề nghị quý đơn vị thực hiện và trả lời trên hệ thống."
    return Letter(
        _title(matter, f"Chỉ đạo của lãnh đạo, trả lời trước {day_and_time(due.at)}"),
        _letter(to, [said, f"Thời hạn:\n{_listed([due])}", _facts(matter)], matter),
    )


def amount_words(amount: Amount) -> str:
    """8 giờ làm việc; 4 giờ, tính cả ngoài giờ làm việc; 15 ngày, tính cả ngày nghỉ."""
    plain = f"{amount.value} {_UNITS[amount.unit]}"
    if amount.clock == "working":
        return f"{plain} làm việc"
    return f"{plain}, tính cả ngày nghỉ" if amount.unit == "d" else f"{plain}, tính cả ngoài giờ làm việc"


def _title(matter: Matter, what: str) -> str:
    pressing = f"[{URGENCIES[matter.urgency].upper()}] " if matter.urgency in ("emergency", "urgent") else ""
    return f"{pressing}{matter.code}: {what}"


def _listed(dues: Sequence[DueBy]) -> str:
    return "\n".join(
        f"- {DUTIES[due.stage].capitalize()}: trước {day_and_time(due.at)} "
        f"({amount_words(due.amount) if due.amount else _MOVED.get(due.stage, 'theo ngày đã giao')})"
        for due in dues
    )


_MOVED = {"resolve": "đã gia hạn"}  # what was given a date when it was given needs no extension


def _facts(matter: Matter) -> str:
    rows = {
        "Lĩnh vực": matter.field or "chưa phân loại",
        "Địa bàn": matter.area or "chưa xác định",
        "Mức độ": URGENCIES[matter.urgency],
        "Chủ trì": matter.lead,
        "Phối hợp": ", ".join(matter.supporting),
    }
    return "\n".join(f"{name}: {value}" for name, value in rows.items() if value)


def _letter(to: str, paragraphs: Sequence[str], matter: Matter) -> str:
    see = f"Xem nội dung và xử lý (cần đăng nhập):\n{matter.link}"
    return "\n\n".join([f"Kính gửi {to},", *paragraphs, see, _FOOT]) + "\n"

"""What notices are called, and the letter that many of them become. Pure.

A letter leaves the house through other people's servers. It names the case by its code, what is to be done and by when,
and nothing of the report or of its citizen; of restricted cases it says only how many there are. Its subject line says
how much, and not even a code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cases.letters import DUTIES
from cases.replies import day_and_time

MOST_LINES: Final = 40  # of one letter; what is more is counted

# What can be told: Vietnamese, English.
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "assigned": ("Việc mới của đơn vị", "New work for the unit"),
    "yours": ("Phản ánh được giao cho anh/chị", "A case is yours"),
    "to_approve": ("Câu trả lời chờ duyệt", "An answer waits for approval"),
    "returned": ("Câu trả lời bị trả lại", "An answer was returned"),
    "given_back": ("Đơn vị trả lại phản ánh", "A unit gave a case back"),
    "reopened": ("Phản ánh mở lại", "A case was reopened"),
    "extension_asked": ("Đề nghị gia hạn chờ duyệt", "An extension waits for a decision"),
    "extension_granted": ("Được gia hạn", "Extension granted"),
    "extension_denied": ("Không được gia hạn", "Extension denied"),
    "ordered": ("Lãnh đạo chỉ đạo", "An order of the leadership"),
    "order_answered": ("Đơn vị trả lời chỉ đạo", "A unit answered the order"),
    "dispute": ("Đơn vị đề nghị cấp trên quyết định", "Units ask for a decision from above"),
    "dispute_decided": ("Cấp trên đã quyết định", "Decided from above"),
    "contributed": ("Đơn vị phối hợp đã gửi ý kiến", "A unit that helps has contributed"),
    "help_given_back": ("Đơn vị phối hợp trả lại", "A unit will not help"),
    "broken_date": ("Đã qua ngày hẹn với người dân", "The date promised to the citizen has passed"),
    "chased": ("Người dân hỏi lại", "The citizen asks again"),
    "message": ("Người dân bổ sung thông tin", "The citizen added something"),
    "reminder": ("Sắp đến hạn", "Due soon"),
    "breach": ("Quá hạn", "Overdue"),
    "escalated": ("Báo cấp trên: quá hạn chưa xong", "Told upwards: overdue and not done"),
}


LATE: Final = frozenset({"breach", "escalated"})


@dataclass(frozen=True, slots=True)
class Told:
    """One case in a letter, by the worst that is told of it; `things`: how much that is in all.

    `code` is None where the case is restricted; `due_at` in the centre's zone.
    """

    code: str | None
    kind: str
    stage: str | None
    due_at: datetime | None
    pressing: bool
    things: int


def letter(told: Sequence[Told], total: int, late: int, hidden: int, link: str) -> tuple[str, str]:
    """(subject line, text) of one letter: of `total` cases these in this order, `late` of them late.

    `hidden` are of restricted cases, which are counted and not named.
    """
    lines = [_line(each) for each in told if each.code is not None]
    parts = ["\n".join(f"- {line}" for line in lines)] if lines else []
    if (more := total - hidden - len(lines)) > 0:
        parts.append(f"và {more} phản ánh khác.")
    if hidden:
        parts.append(f"{hidden} phản ánh thuộc luồng hạn chế: chỉ xem được trong hệ thống.")
    title = f"1022: {total} phản ánh cần anh/chị xem" + (f", {late} quá hạn" if late else "")
    foot = "Thư do Tổng đài 1022 gửi tự động, xin không trả lời. Muốn nhận khác đi: mục Thông báo trong tài khoản."
    text = "\n\n".join(["Kính gửi anh/chị,", *parts, f"Xem và xử lý (cần đăng nhập):\n{link}", foot]) + "\n"
    return title, text


def code_letter(digits: str, minutes: int) -> tuple[str, str]:
    """(subject line, text) with the code that proves an address."""
    said = f"{digits} là mã xác nhận địa chỉ nhận thông báo của Tổng đài 1022, dùng được trong {minutes} phút."
    return "Mã xác nhận địa chỉ nhận thông báo", f"{said}\n\nNếu anh/chị không yêu cầu, xin bỏ qua thư này.\n"


def short(title: str, link: str) -> str:
    """What a letter comes to where there is room for a sentence only."""
    return f"{title}. Xem (cần đăng nhập): {link}"


LINKED: Final = (
    "Đã nối: từ nay Tổng đài 1022 gửi thông báo công việc của anh/chị vào đây. Chọn giờ nhận tại {site}/account/notices"
)
NO_SUCH_CODE: Final = "Mã này không đúng hoặc đã hết hạn. Xin lấy mã mới tại {site}/account/notices"
OPEN_AGAIN: Final = "1022 đã nhận. Việc anh/chị chưa xem, nếu có, sẽ đến ngay sau tin này."


def _line(told: Told) -> str:
    said = f"{'[KHẨN CẤP] ' if told.pressing else ''}{told.code}: {KINDS[told.kind][0].lower()}"
    if told.stage in DUTIES:
        said += f", {DUTIES[told.stage]}"
    if told.due_at is not None:
        said += f", hạn {day_and_time(told.due_at)}"
    return f"{said} (và {told.things - 1} thông báo khác)" if told.things > 1 else said

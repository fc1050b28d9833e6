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
    "chased": ("Người dân hỏi lại", "The citizen asks again"),
    "message": ("Người dân bổ sung thông tin", "The citizen added something"),
    "reminder": ("Sắp đến hạn", "Due soon"),
    "breach": ("Quá hạn", "Overdue"),
    "escalated": ("Báo cấp trên: quá hạn chưa xong", "Told upwards: overdue and not done"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing in a letter: `code` None where the case is restricted; `due_at` in the centre's zone."""

    code: str | None
    kind: str
    stage: str | None
    due_at: datetime | None
    percent: int | None
    pressing: bool


def letter(told: Sequence[Told], link: str) -> tuple[str, str]:
    """(subject line, text) of one letter for all of this: what is pressing and late first, each thing once."""
    open_ones = [each for each in told if each.code is not None]
    hidden = len(told) - len(open_ones)
    lines = list(dict.fromkeys(_line(each) for each in sorted(open_ones, key=_order)))
    shown = "\n".join(f"- {line}" for line in lines[:MOST_LINES])
    parts = [shown] if shown else []
    if len(lines) > MOST_LINES:
        parts.append(f"và {len(lines) - MOST_LINES} việc khác.")
    if hidden:
        parts.append(f"{hidden} việc thuộc luồng hạn chế: chỉ xem được trong hệ thống.")
    late = sum(each.kind in LATE for each in told)
    title = f"1022: {len(lines) + hidden} việc cần anh/chị xem" + (f", {late} việc quá hạn" if late else "")
    foot = "Thư do Tổng đài 1022 gửi tự động, xin không trả lời. Muốn nhận khác đi: mục Thông báo trong tài khoản."
    text = "\n\n".join(["Kính gửi anh/chị,", *parts, f"Xem và xử lý (cần đăng nhập):\n{link}", foot]) + "\n"
    return title, text


def code_letter(digits: str, minutes: int) -> tuple[str, str]:
    """(subject line, text) with the code that proves an address."""
    said = f"{digits} là mã xác nhận địa chỉ nhận thông báo của Tổng đài 1022, dùng được trong {minutes} phút."
    return "Mã xác nhận địa chỉ nhận thông báo", f"{said}\n\nNếu anh/chị không yêu cầu, xin bỏ qua thư này.\n"


LATE: Final = frozenset({"breach", "escalated"})


def _order(told: Told) -> tuple[bool, bool, str, str]:
    return not told.pressing, told.kind not in LATE, told.due_at.isoformat() if told.due_at else "~", told.code or ""


def _line(told: Told) -> str:
    said = f"{'[KHẨN CẤP] ' if told.pressing else ''}{told.code}: {KINDS[told.kind][0].lower()}"
    if told.stage in DUTIES:
        said += f", {DUTIES[told.stage]}"
    return f"{said}, hạn {day_and_time(told.due_at)}" if told.due_at else said

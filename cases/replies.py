"""The sentences the centre sends to citizens, in plain Vietnamese, and who may read which. Pure."""

from datetime import datetime


def day_and_time(moment: datetime) -> str:
    """15:30 ngày 04/05/2022, in the moment's own zone."""
    return f"{moment:%H:%M} ngày {moment:%d/%m/%Y}"


TITLES = {
    "answer": "Trả lời phản ánh {code}",
    "question": "Cần thêm thông tin về phản ánh {code}",
    "forwarded": "Phản ánh {code} đã được chuyển đến đơn vị xử lý",
    "progress": "Tiến độ xử lý phản ánh {code}",
    "extended": "Gia hạn xử lý phản ánh {code}",
}


def title(purpose: str, code: str) -> str:
    """The subject line of a message, where the citizen's channel has one."""
    return TITLES.get(purpose, "Phản ánh {code}").format(code=code)


def receipt(code: str, received_at: datetime) -> str:
    """Sent once, when a report has become a case."""
    return (
        f"Tổng đài 1022 đã nhận phản ánh của anh/chị lúc {day_and_time(received_at)}. "
        f"Mã phản ánh: {code}. Vui lòng giữ mã để theo dõi."
    )


def forwarded(department: str, promised_at: datetime | None) -> str:
    """To whom and by when."""
    by_when = f", dự kiến trả lời trước {day_and_time(promised_at)}" if promised_at else ""
    return f"Phản ánh của anh/chị đã được chuyển đến {department}{by_when}."


def progress(text: str, until: datetime) -> str:
    """What the unit is doing and the date it commits itself to."""
    return f"{text}\nĐơn vị cam kết hoàn thành trước {day_and_time(until)}."


def extended(until: datetime, reason: str) -> str:
    """A new date and why."""
    return f"Thời hạn xử lý được gia hạn đến {day_and_time(until)}. Lý do: {reason}"


def extension_denied(reason: str) -> str:
    """The unit asked for more time and does not get it."""
    return f"Đề nghị gia hạn của đơn vị không được chấp thuận, thời hạn giữ nguyên. Lý do: {reason}"


def merged(code: str) -> str:
    """Joined with another case; the old code goes on working."""
    return f"Phản ánh của anh/chị trùng với phản ánh {code} và được xử lý chung. Mã cũ vẫn dùng được."


def split(code: str | None) -> str:
    """A second matter in one report; its code unless that must not be seen here. The same key opens it."""
    if code is None:
        return "Một nội dung trong phản ánh của anh/chị được tách thành phản ánh riêng và chuyển đến nơi có thẩm quyền."
    return f"Một nội dung trong phản ánh của anh/chị được tách thành phản ánh riêng, mã {code}, cùng khóa theo dõi."


def reopened() -> str:
    """Work goes on."""
    return "Phản ánh của anh/chị đã được mở lại để tiếp tục xử lý."


DESTINATIONS = {
    "113": "Cảnh sát 113",
    "114": "Cảnh sát phòng cháy, chữa cháy và cứu nạn, cứu hộ 114",
    "115": "Cấp cứu 115",
    "reception_board": "Ban Tiếp công dân tỉnh",
    "inspectorate": "Thanh tra tỉnh",
    "police": "Công an tỉnh",
    "other": "cơ quan có thẩm quyền",
}
TRACK_DESTINATION = {"complaint": "reception_board", "denunciation": "inspectorate", "crime_tip": "police"}


def redirected(to: str, reply: str) -> str:
    """Where the matter was handed over to."""
    return f"{reply}\nNội dung đã được chuyển đến {DESTINATIONS[to]}."


REFUSALS: dict[str, tuple[str, str]] = {
    "unclear": (
        "Nội dung chưa rõ",
        "Phản ánh chưa đủ thông tin để xử lý. Anh/chị vui lòng gửi lại, nêu rõ sự việc, địa điểm và thời gian.",
    ),
    "not_province": (
        "Ngoài địa bàn tỉnh",
        "Sự việc xảy ra ngoài địa bàn tỉnh. Anh/chị vui lòng liên hệ tổng đài 1022 của địa phương nơi xảy ra.",
    ),
    "complaint": (
        "Thuộc thủ tục khiếu nại",
        "Nội dung thuộc thủ tục khiếu nại theo Luật Khiếu nại. "
        "Anh/chị vui lòng gửi đơn đến Ban Tiếp công dân tỉnh để được hướng dẫn.",
    ),
    "court": (
        "Thuộc thẩm quyền tòa án, thi hành án",
        "Nội dung đang hoặc phải do tòa án, cơ quan thi hành án giải quyết. "
        "Anh/chị vui lòng liên hệ tòa án nhân dân nơi thụ lý.",
    ),
    "private": (
        "Tranh chấp dân sự",
        "Nội dung là tranh chấp giữa các bên. Anh/chị có thể đề nghị hòa giải tại Ủy ban nhân dân cấp xã.",
    ),
    "secret": (
        "Bí mật nhà nước",
        "Tổng đài không tiếp nhận nội dung thuộc bí mật nhà nước. Anh/chị vui lòng liên hệ trực tiếp cơ quan công an.",
    ),
    "repeated": (
        "Đã được trả lời",
        "Nội dung này đã được trả lời và không có tình tiết mới. Anh/chị có thể xem lại câu trả lời theo mã phản ánh.",
    ),
    "abuse": (
        "Ngôn từ không phù hợp",
        "Phản ánh có nội dung xúc phạm nên không được tiếp nhận. Anh/chị vui lòng gửi lại nội dung phù hợp.",
    ),
}

"""Reports as citizens write them, each one different: what every measurement of intake sends."""

import json
import random
from collections.abc import Iterator

_OPENINGS = (
    "Kính gửi tổng đài 1022, tôi xin phản ánh tình trạng mặt đường bị hư hỏng nặng, nhiều ổ gà sâu gần nửa mét",
    "Đèn đường chiếu sáng công cộng đã tắt gần một tuần nay, buổi tối khu vực này tối om rất nguy hiểm",
    "Bãi rác tự phát ngày càng lớn, mùi hôi thối bốc lên cả ngày, người dân xung quanh không thể chịu nổi",
    "Cống thoát nước bị nghẹt, cứ mưa lớn là nước tràn vào nhà dân, đồ đạc hư hỏng mà chưa thấy ai xử lý",
    "Quán karaoke mở loa kẹo kéo công suất lớn đến hơn mười một giờ đêm, trẻ em và người già không ngủ được",
    "Dây cáp viễn thông võng xuống sát mặt đường, xe tải đi qua vướng phải, rất dễ gây tai nạn cho người đi đường",
)
_PLACES = (
    "tại xã Lộc Thành, huyện Lộc Ninh",
    "ở phường Tân Phú, thành phố Đồng Xoài",
    "thuộc xã Phú Riềng, huyện Phú Riềng",
    "gần chợ ở phường Thác Mơ, thị xã Phước Long",
    "o xa Thanh Phu thi xa Binh Long",
    "trên đường Phú Riềng Đỏ, phường Tân Bình",
    "tại ấp 3, xã Minh Thành, thị xã Chơn Thành",
    "khu phố 5, phường Bình Phước, tỉnh Đồng Nai",
)
_ENDINGS = (
    "Người dân đã nhiều lần báo ủy ban nhưng chưa được giải quyết. Mong cơ quan chức năng sớm kiểm tra.",
    "Đề nghị đơn vị phụ trách cho người xuống xem xét và trả lời cho bà con được biết. Xin cảm ơn.",
    "Rất mong lãnh đạo quan tâm xử lý dứt điểm trước mùa mưa để bà con yên tâm đi lại.",
)
_FIELDS = ("infra.road", "infra.light", "env.waste", "infra.drain", "env.noise", "telecom.cable", None, None)
TEXT_LENGTH = 290  # characters, the middle of what citizens send


def bodies(seed: int) -> Iterator[bytes]:
    """JSON bodies without end: half of them with a contact, every text and every phone number another."""
    rng = random.Random(seed)
    while True:
        yield json.dumps(_report(rng), ensure_ascii=False).encode()


def _report(rng: random.Random) -> dict[str, object]:
    number = rng.randrange(10**9)
    text = f"{rng.choice(_OPENINGS)} {rng.choice(_PLACES)}. Số nhà {number}. {rng.choice(_ENDINGS)}"
    report: dict[str, object] = {"text": text.ljust(TEXT_LENGTH, "!")[: TEXT_LENGTH + 20]}
    if field := rng.choice(_FIELDS):
        report["field"] = field
    if rng.random() < 0.5:
        report["contact"] = {"name": "Nguyễn Văn An", "phone": f"09{rng.randrange(10**8):08d}"}
    return report

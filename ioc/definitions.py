"""What every figure means. Pure.

A figure is stored as signed sums per local day and dimension (`SUMS`); what people read besides is derived from them
(`DERIVED`) or read from the tables of cases (`LIVE`, `BOARD`). What one journal row adds to which sums is in
`contributions.py`.
"""

from dataclasses import dataclass, replace
from typing import Any

OPEN_STATUSES = frozenset({"received", "forwarded", "in_progress", "waiting_citizen", "answered"})
STAGES = {
    "forward": ("chuyển xử lý", "forwarding"),
    "accept": ("đơn vị tiếp nhận", "acceptance"),
    "give_back": ("trả lại", "giving back"),
    "resolve": ("giải quyết", "resolution"),
    "contribute": ("phối hợp", "contribution"),
    "reply": ("duyệt và trả lời", "approval and reply"),
    "publish": ("công khai", "publication"),
    "directive": ("trả lời chỉ đạo", "answering orders"),
    "dispute": ("quyết định tranh chấp", "deciding disputes"),
}
DURATIONS = ("forward_time", "first_response", "resolution")
PERCENTILES = (50, 90, 95)
ENOUGH_RATINGS = 20  # below this many ratings no mean and no share is shown

DIMENSIONS = ("department", "field", "channel", "area")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a figure means, for the board, the feed and the documentation.

    A code ending in `.*` stands for a family: one figure per stage or refusal reason. `stock` figures are read at the
    end of a period, not summed over it.
    """

    code: str
    vi: str
    en: str
    unit: str  # reports | limits | ratings | seconds | share | points | events
    definition_vi: str
    definition_en: str
    scope: str = "by the local day of the event"
    exclusions: str = "restricted cases"
    stock: bool = False


_COHORT = "by the local day the limit fell due, under the department that held it"
_FOLLOWS = "by the local day of receipt, under the department, field and area the case has now"


def _count(code: str, vi: str, en: str, definition_vi: str, definition_en: str, **more: Any) -> Definition:
    return Definition(code, vi, en, more.pop("unit", "reports"), definition_vi, definition_en, **more)


SUMS: tuple[Definition, ...] = (
    _count(
        "received",
        "Tiếp nhận",
        "Received",
        "Số phản ánh tiếp nhận, kể cả sau đó từ chối, gộp hay đánh dấu rác.",
        "Reports received, including those later refused, merged or marked as spam.",
        scope=_FOLLOWS,
    ),
    _count(
        "answered_first_contact",
        "Trả lời ngay lần đầu",
        "Answered at first contact",
        "Số phản ánh tổng đài trả lời ngay, không chuyển đơn vị.",
        "Reports the centre answered itself without forwarding.",
    ),
    _count(
        "forwarded",
        "Chuyển xử lý",
        "Forwarded",
        "Số lượt chuyển cho đơn vị chủ trì; phản ánh bị trả lại rồi chuyển nữa tính lại.",
        "Forwardings to a lead department; a report given back and forwarded again counts again.",
        scope="by the local day of the event, under the department it went to",
    ),
    _count(
        "replied",
        "Đã trả lời",
        "Done (replied)",
        "Số lượt kết quả được gửi đến người dân; mở lại rồi trả lời nữa tính lại.",
        "Answers that reached the citizen; a case reopened and answered again counts again.",
    ),
    _count(
        "closed",
        "Kết thúc",
        "Closed",
        "Số phản ánh kết thúc sau khi trả lời.",
        "Cases closed after the reply.",
    ),
    _count(
        "refused",
        "Từ chối",
        "Refused",
        "Số phản ánh từ chối, có lý do.",
        "Reports refused with a reason.",
    ),
    _count(
        "refused.*",
        "Từ chối vì {0}",
        "Refused: {1}",
        "Số phản ánh từ chối theo từng lý do.",
        "Reports refused, by reason code.",
    ),
    _count(
        "redirected",
        "Chuyển cơ quan khác",
        "Redirected",
        "Số phản ánh bàn giao cho cơ quan ngoài hệ thống.",
        "Reports handed over to a body outside the system.",
    ),
    _count(
        "merged",
        "Gộp",
        "Merged",
        "Số phản ánh trùng được gộp vào phản ánh khác.",
        "Duplicates joined with another report.",
    ),
    _count(
        "spam",
        "Rác",
        "Spam",
        "Số phản ánh đánh dấu rác, trừ những phản ánh được bỏ dấu trong ngày tính.",
        "Reports marked as spam, less those unmarked, each on its own day.",
    ),
    _count(
        "reopened",
        "Mở lại",
        "Reopened",
        "Số lượt mở lại sau khi trả lời, kết thúc hoặc từ chối.",
        "Reopenings after a reply, a closing or a refusal.",
    ),
    _count(
        "opened",
        "Phát sinh",
        "Entered the stock",
        "Số lượt phản ánh trở thành đang xử lý: tiếp nhận, mở lại, bỏ dấu rác.",
        "Times a case became open: received, reopened, unmarked as spam.",
    ),
    _count(
        "ended",
        "Ra khỏi tồn",
        "Left the stock",
        "Số lượt phản ánh thôi đang xử lý: trả lời, từ chối, chuyển cơ quan khác, gộp, rác.",
        "Times a case stopped being open: replied, refused, redirected, merged, spam.",
    ),
    _count(
        "open",
        "Đang xử lý",
        "Open",
        "Số phản ánh chưa trả lời và chưa kết thúc vào cuối ngày; bằng phát sinh trừ ra khỏi tồn từ trước đến nay.",
        "Cases neither replied nor ended at the end of the day: all that ever entered the stock less all that left it.",
        scope="at the end of the period, under the department, field and area the case had then",
        stock=True,
    ),
    _count(
        "give_backs",
        "Trả lại",
        "Given back",
        "Số lượt đơn vị trả lại vì không đúng thẩm quyền.",
        "Times a department gave a case back.",
        unit="events",
        scope="by the local day of the event, under the department that gave it back",
    ),
    _count(
        "extensions_requested",
        "Xin gia hạn",
        "Extensions requested",
        "Số lượt đơn vị xin gia hạn.",
        "Requests for more time.",
        unit="events",
    ),
    _count(
        "extensions_granted",
        "Được gia hạn",
        "Extensions granted",
        "Số lượt được gia hạn.",
        "Requests for more time that were granted.",
        unit="events",
    ),
    _count(
        "extensions_beyond",
        "Gia hạn thêm do lãnh đạo tỉnh cho",
        "Extensions beyond the rule",
        "Số lượt được gia hạn vượt số lần của bộ quy tắc, do lãnh đạo tỉnh cho; đã tính trong số lượt được gia hạn.",
        "Requests granted by the province's leadership beyond what a unit may be granted; among those granted.",
        unit="events",
    ),
    _count(
        "extensions_denied",
        "Không được gia hạn",
        "Extensions denied",
        "Số lượt không được gia hạn.",
        "Requests for more time that were denied.",
        unit="events",
    ),
    _count(
        "chased",
        "Nhắc",
        "Chased",
        "Số lượt nhắc đơn vị, kể cả do người dân hỏi lại.",
        "Times the holder was chased, also by the citizen.",
        unit="events",
    ),
    _count(
        "breached.*",
        "Quá hạn {0}",
        "Breached: {1}",
        "Số hạn bị vượt, theo ngày vượt.",
        "Limits that ran out unmet, on the day that was noted.",
        unit="limits",
        scope="by the local day of the breach, under the department that held the limit",
    ),
    _count(
        "due.*",
        "Đến hạn {0}",
        "Fell due: {1}",
        "Số hạn đến hạn trong kỳ: đã xong, hoặc đã vượt. Mỗi hạn tính một lần, lần quá hạn đầu; gia hạn sau khi đã "
        "quá hạn không xoá lần quá hạn.",
        "Limits that fell due: met, or breached. Each counts once; an extension granted after the breach does not "
        "undo it. A day is complete when it is over.",
        unit="limits",
        scope=_COHORT,
        exclusions="restricted cases; limits cancelled before they fell due",
    ),
    _count(
        "due_met.*",
        "Đến hạn và đúng hạn {0}",
        "Fell due and met in time: {1}",
        "Trong số hạn đến hạn, số xong đúng hạn.",
        "Of the limits that fell due, those met in time.",
        unit="limits",
        scope=_COHORT,
        exclusions="restricted cases; limits cancelled before they fell due",
    ),
    _count(
        "due_met_extended.*",
        "Đúng hạn nhờ gia hạn {0}",
        "In time by an extension: {1}",
        "Trong số hạn đến hạn và đúng hạn, số chỉ đúng hạn vì đã được gia hạn: xong sau hạn ban đầu, trước hạn mới.",
        "Of the limits that fell due and were met in time, those in time by an extension alone: met after the first "
        "due time and before the new one.",
        unit="limits",
        scope=_COHORT,
        exclusions="restricted cases; limits cancelled before they fell due",
    ),
    _count(
        "met.*",
        "Đã xong {0}",
        "Finished: {1}",
        "Số hạn hoàn thành trong kỳ, sớm hay muộn; bị trả lại thì bỏ ra.",
        "Limits met in the period, early or late; taken out again when the work is returned.",
        unit="limits",
        scope="by the local day it was met, under the department that held the limit",
    ),
    _count(
        "met_in_time.*",
        "Đã xong đúng hạn {0}",
        "Finished in time: {1}",
        "Trong số hạn hoàn thành trong kỳ, số đúng hạn.",
        "Of the limits met in the period, those met in time.",
        unit="limits",
        scope="by the local day it was met, under the department that held the limit",
    ),
    _count(
        "ratings",
        "Lượt đánh giá",
        "Ratings",
        "Số phản ánh được người dân đánh giá; đánh giá lại thay lần trước.",
        "Cases rated by their citizens; a later rating replaces the earlier.",
        unit="ratings",
    ),
    _count(
        "rating_sum",
        "Tổng điểm",
        "Rating points",
        "Tổng số điểm của các đánh giá (1 đến 5).",
        "Sum of the ratings, 1 to 5 each.",
        unit="points",
    ),
    _count(
        "ratings_good",
        "Hài lòng",
        "Good ratings",
        "Số đánh giá 4 hoặc 5 điểm.",
        "Ratings of 4 or 5.",
        unit="ratings",
    ),
    _count(
        "forward_time",
        "Thời gian chuyển",
        "Time to forwarding",
        "Từ lúc tiếp nhận đến lúc chuyển đơn vị, giờ lịch; mỗi lượt chuyển tính một lần.",
        "From receipt to forwarding in calendar time; each forwarding counts.",
        unit="seconds",
    ),
    _count(
        "first_response",
        "Phản hồi đầu tiên",
        "First response",
        "Từ lúc tiếp nhận đến câu trả lời hay câu hỏi đầu tiên của con người, giờ lịch.",
        "From receipt to the first answer or question by a person, in calendar time.",
        unit="seconds",
        exclusions="restricted cases; automatic receipts; cases still without a response",
    ),
    _count(
        "resolution",
        "Thời gian giải quyết",
        "Resolution time",
        "Từ lúc tiếp nhận đến lúc trả lời người dân, giờ lịch; mỗi lần trả lời tính một lần.",
        "From receipt to the reply in calendar time; each reply counts.",
        unit="seconds",
        exclusions="restricted cases; cases not yet replied",
    ),
)

_PERIOD = "over the whole period asked for, never an average of averages"

DERIVED: tuple[Definition, ...] = (
    Definition(
        "on_time_rate.*",
        "Tỷ lệ đúng hạn {0}",
        "On-time rate: {1}",
        "share",
        "Trong tất cả hạn đến hạn trong kỳ, tỷ lệ xong đúng hạn. Hạn giải quyết là con số chính.",
        "Of all limits that fell due in the period, the share met in time. The headline is resolution.",
        _COHORT,
        "restricted cases; limits cancelled before they fell due; limits still running",
    ),
    Definition(
        "on_time_rate_closed.*",
        "Tỷ lệ đúng hạn trong số đã xong {0}",
        "On-time rate of the finished: {1}",
        "share",
        "Trong số hạn hoàn thành trong kỳ, tỷ lệ đúng hạn. Số này không thấy việc trễ còn dang dở.",
        "Of the limits met in the period, the share met in time. Blind to late work never finished.",
        "by the local day it was met",
    ),
    *(
        Definition(
            f"{base.code}.p{percent}",
            f"{base.vi}, P{percent}",
            f"{base.en}, P{percent}",
            "seconds",
            f"{base.definition_vi} {percent} % số trường hợp không lâu hơn mức này (sai số 6,5 %).",
            f"{base.definition_en} {percent} % took no longer than this (within 6.5 %).",
            _PERIOD,
            base.exclusions,
        )
        for base in SUMS
        if base.code in DURATIONS
        for percent in PERCENTILES
    ),
    *(
        Definition(
            f"{base.code}.n",
            f"{base.vi}, số trường hợp",
            f"{base.en}, number measured",
            "events",
            "Số trường hợp đo được.",
            "How many the percentiles rest on.",
            _PERIOD,
            base.exclusions,
        )
        for base in SUMS
        if base.code in DURATIONS
    ),
    Definition(
        "rating_mean",
        "Điểm trung bình",
        "Mean rating",
        "points",
        f"Tổng điểm chia số lượt đánh giá; không có khi ít hơn {ENOUGH_RATINGS} lượt.",
        f"Rating points by ratings; absent below {ENOUGH_RATINGS} ratings.",
        _PERIOD,
    ),
    Definition(
        "rating_good_share",
        "Tỷ lệ hài lòng",
        "Share of good ratings",
        "share",
        f"Tỷ lệ đánh giá 4 hoặc 5 điểm; không có khi ít hơn {ENOUGH_RATINGS} lượt.",
        f"Share of ratings of 4 or 5; absent below {ENOUGH_RATINGS} ratings.",
        _PERIOD,
    ),
    Definition(
        "first_contact_share",
        "Tỷ lệ trả lời ngay",
        "Share answered at first contact",
        "share",
        "Trả lời ngay lần đầu chia cho tiếp nhận trong kỳ.",
        "Answered at first contact by received.",
        _PERIOD,
    ),
    Definition(
        "reopen_share",
        "Tỷ lệ mở lại",
        "Reopen rate",
        "share",
        "Số lượt mở lại chia cho số lượt đã trả lời trong kỳ.",
        "Reopened by replied in the period.",
        _PERIOD,
    ),
)

# Read from the tables themselves at the moment of asking, so they have no past.
LIVE: tuple[Definition, ...] = (
    Definition(
        "late_now.*",
        "Đang quá hạn {0}",
        "Late now: {1}",
        "limits",
        "Số hạn chưa xong đã quá hạn vào lúc hỏi.",
        "Unmet limits past their due time at the moment of asking.",
        "at the moment of asking, under the department that holds the limit",
        stock=True,
    ),
    *(
        Definition(
            f"open_age.{code}",
            f"Đang xử lý, {vi}",
            f"Open, {en}",
            "reports",
            f"Số phản ánh đang xử lý đã tiếp nhận {vi}.",
            f"Open cases received {en}.",
            "at the moment of asking",
            stock=True,
        )
        for code, vi, en in (
            ("d1", "trong 1 ngày", "within 1 day"),
            ("d3", "2 đến 3 ngày trước", "2 to 3 days ago"),
            ("d7", "4 đến 7 ngày trước", "4 to 7 days ago"),
            ("d15", "8 đến 15 ngày trước", "8 to 15 days ago"),
            ("d30", "16 đến 30 ngày trước", "16 to 30 days ago"),
            ("more", "hơn 30 ngày trước", "more than 30 days ago"),
        )
    ),
)
# Read from the cases at the moment of asking, each the length of the list it opens.
BOARD: tuple[Definition, ...] = (
    Definition(
        "open_now",
        "Đang xử lý",
        "Open now",
        "reports",
        "Số phản ánh chưa trả lời và chưa kết thúc vào lúc hỏi.",
        "Cases neither replied nor ended at the moment of asking.",
        "at the moment of asking, under the department, field and area the case has",
        stock=True,
    ),
    Definition(
        "open_late",
        "Quá hạn",
        "Late now",
        "reports",
        "Số phản ánh đang xử lý mà hạn gần nhất đã qua, ở bất kỳ khâu nào.",
        "Open cases whose next clock is over, whatever its stage.",
        "at the moment of asking, under the department that leads the case",
        stock=True,
    ),
    Definition(
        "open_due_soon",
        "Đến hạn trong 2 giờ",
        "Due within 2 hours",
        "reports",
        "Số phản ánh đang xử lý mà hạn gần nhất chưa qua nhưng sẽ đến trong 2 giờ tới.",
        "Open cases whose next clock is not over, and runs out within two hours.",
        "at the moment of asking, under the department that leads the case",
        stock=True,
    ),
    Definition(
        "due_late.*",
        "Đến hạn mà không đúng hạn {0}",
        "Fell due and not met in time: {1}",
        "limits",
        "Trong số hạn đến hạn, số không xong đúng hạn.",
        "Of the limits that fell due, those not met in time.",
        _COHORT,
        "restricted cases; limits cancelled before they fell due",
    ),
    Definition(
        "rating_response",
        "Tỷ lệ có đánh giá",
        "Response share",
        "share",
        "Lượt đánh giá chia cho lượt trả lời trong kỳ.",
        "Ratings by replies in the period.",
        _PERIOD,
    ),
)
SOON_HOURS = 2

# What the sums by month keep besides totals: which figures are split by which dimension, one at a time.
SPLIT_BY_MONTH = {
    "department": ("received", "due.resolve", "due_met.resolve", "give_backs"),
    "field": ("received", "replied"),
    "channel": ("received", "replied"),
    "area": ("received", "replied"),
}
ALL = "*"  # in sums by month: added up over this dimension

# Figures whose cases can be listed: of these the projection notes which case added what.
LISTED = frozenset(
    {
        "replied",
        "refused",
        "give_backs",
        "answered_first_contact",
        "due.resolve",
        "due_met.resolve",
        "due_met_extended.resolve",
        "met.resolve",
        "met_in_time.resolve",
        "first_response",
        "ratings",
    }
)
LISTED_FAMILY = "refused."
# A list may also be of what is left when one figure is taken from another.
LISTED_DIFFERENCES = {"due_late.resolve": ("due.resolve", "due_met.resolve")}


def is_listed(figure: str) -> bool:
    """Whether it is noted which cases are behind this figure."""
    return figure in LISTED or figure.startswith(LISTED_FAMILY)


AGES = ((1, "d1"), (3, "d3"), (7, "d7"), (15, "d15"), (30, "d30"))  # up to this many days; older: "more"

_BY_CODE = {definition.code: definition for definition in (*SUMS, *DERIVED, *LIVE, *BOARD)}


def definition_of(code: str) -> Definition:
    """The definition of a figure; of a family's member (`due.resolve`) with its name filled in. KeyError if none."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    family, _, member = code.partition(".")
    found = _BY_CODE[f"{family}.*"]
    vi, en = STAGES.get(member, (member, member))
    return replace(found, code=code, vi=found.vi.format(vi, en), en=found.en.format(vi, en))

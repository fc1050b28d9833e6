"""The forms of the actions on a case, as data: what is asked, what the button says, where the form stands.

Titles are those of `web.names`; templates show a form and `web.console.typed` reads it, both knowing no action's name.
Sentences are Vietnamese and in web/words/case.yaml.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cases.states import STAFF_ACTIONS, Action
from web.names import NAMES

Kind = Literal[
    "line",  # one line of text
    "text",  # several
    "public",  # several, shown with what in them tells of somebody covered
    "department",
    "departments",
    "people",  # any of those who work here
    "helpers",  # departments, each with a task and a date: members `name.task.code` and `name.until.code`
    "flags",  # any of some words, each with its box
    "field",
    "area",
    "officer",
    "unit",  # of those that have the case; `choices`: helpers only
    "moment",
    "day",
    "choice",
    "code",  # of another case
    "files",
    "file",  # one
]
Place = Literal["talk", "bar", "more", "end"]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One member of an action's body, as a person fills it in."""

    name: str
    kind: Kind
    label: str
    required: bool = True
    hint: str = ""
    choices: str = ""  # the group of codes to choose from
    rows: int = 4
    none: str = ""  # what choosing nothing is called
    group: str = ""  # stands in one fold with the others of this name


@dataclass(frozen=True, slots=True)
class FormSpec:
    """One action's form.

    `place`: among what is written below the conversation, as a button of the bar, under "Khác", or there among what
    ends a case. `order` sorts the buttons; the first three stand on a phone too. `about` says what will happen.
    """

    icon: str
    place: Place
    button: str
    fields: tuple[FieldSpec, ...] = ()
    order: int = 50
    tone: Literal["", "primary", "danger"] = ""
    key: str = ""
    about: str = ""
    hears: bool = False  # the citizen gets a message that can be looked at before
    noted: bool = True  # an internal note may go along
    shows: Literal["", "answer", "extension", "order", "dispute", "support", "give_back", "document"] = (
        ""  # what is decided, to be read in the form before its button
    )
    done: str = "Đã làm xong."

    @property
    def takes_files(self) -> bool:
        """Whether files go along."""
        return any(field.kind in FILES for field in self.fields)


FILES = ("files", "file")
SEEN, COVERED = "personal", "covered"  # members of a form: words that look personal, and those of them to be covered
_DOCUMENT = "Kèm văn bản trả lời"
_PLAIN = "Không nêu tên, số điện thoại, số nhà của ai."
_REPLY = FieldSpec("reply", "text", "Câu trả lời cho người dân", rows=5)
_REASON = FieldSpec("reason", "text", "Lý do", rows=3)
_UNTIL = FieldSpec("until", "moment", "Cam kết xong trước", hint="Giờ địa phương.")
_FILES = FieldSpec("attachments", "files", "Ảnh hoặc tệp kèm theo", required=False)


def _documented(group: str) -> tuple[FieldSpec, ...]:
    """The official document by which something is answered or handed over."""
    return (
        FieldSpec("document.number", "line", "Số, ký hiệu văn bản", required=False, group=group),
        FieldSpec("document.issued_on", "day", "Ngày ký", required=False, group=group),
        FieldSpec("document.signer", "line", "Người ký", required=False, group=group),
        FieldSpec("document.file", "file", "Tệp có chữ ký", required=False, group=group),
    )


FORMS: dict[Action, FormSpec] = {
    # what is written below the conversation
    Action.ANSWER_DIRECTLY: FormSpec(
        "send",
        "talk",
        "Gửi câu trả lời",
        (_REPLY, _FILES),
        order=20,
        key="r",
        about="Người dân nhận ngay câu trả lời này; phản ánh coi như trung tâm đã giải quyết.",
        hears=True,
        done="Đã gửi câu trả lời.",
    ),
    Action.SUBMIT_ANSWER: FormSpec(
        "camera-plus",
        "talk",
        "Trình lãnh đạo duyệt",
        (
            _REPLY,
            _FILES,
            FieldSpec(
                "public_text",
                "text",
                "Bản tóm tắt để công khai",
                required=False,
                hint=_PLAIN,
                rows=3,
            ),
            *_documented(_DOCUMENT),
            FieldSpec(
                "document.public",
                "choice",
                "Ai xem văn bản",
                required=False,
                choices="document_seen",
                none="Người dân cũng xem được",
                group=_DOCUMENT,
            ),
            FieldSpec(
                "document.file_public",
                "choice",
                "Trên trang công khai",
                required=False,
                choices="document_public",
                none="Chỉ số, ngày và người ký",
                hint="Chỉ đăng tệp không nêu tên, số điện thoại, số nhà của ai.",
                group=_DOCUMENT,
            ),
        ),
        order=10,
        tone="primary",
        key="r",
        about="Câu trả lời chờ lãnh đạo đơn vị duyệt rồi mới gửi cho người dân.",
        shows="support",
        done="Đã trình kết quả.",
    ),
    Action.ASK_CITIZEN: FormSpec(
        "help",
        "talk",
        "Gửi câu hỏi",
        (FieldSpec("question", "text", "Câu hỏi cho người dân", rows=4),),
        order=60,
        key="r",
        about="Người dân nhận câu hỏi; phản ánh chờ người dân trả lời.",
        hears=True,
        done="Đã gửi câu hỏi cho người dân.",
    ),
    Action.TELL_PROGRESS: FormSpec(
        "hourglass",
        "talk",
        "Gửi tiến độ",
        (FieldSpec("text", "text", "Đang làm đến đâu", rows=3), _UNTIL),
        order=45,
        about="Người dân biết đơn vị đang làm gì và bao giờ xong.",
        hears=True,
        done="Đã báo tiến độ cho người dân.",
    ),
    Action.CONTRIBUTE: FormSpec(
        "users-group",
        "talk",
        "Gửi ý kiến phối hợp",
        (FieldSpec("text", "text", "Ý kiến gửi đơn vị chủ trì", rows=4),),
        order=10,
        tone="primary",
        key="r",
        about="Chỉ cán bộ đọc được; phần việc phối hợp của đơn vị coi như xong.",
        done="Đã gửi ý kiến phối hợp.",
    ),
    Action.NOTE: FormSpec(
        "lock",
        "talk",
        "Lưu ghi chú",
        (FieldSpec("text", "text", "Ghi chú nội bộ", rows=3),),
        order=90,
        key="n",
        about="Chỉ cán bộ đọc được. Người dân không thấy.",
        noted=False,
        done="Đã lưu ghi chú.",
    ),
    Action.ASK_SUPPORT: FormSpec(
        "user-plus",
        "more",
        "Đề nghị",
        (
            FieldSpec("unit", "department", "Đơn vị phối hợp", none="Chọn đơn vị…"),
            FieldSpec("task", "text", "Việc cần đơn vị đó làm", rows=3),
            FieldSpec("until", "moment", "Xong trước", required=False, hint="Để trống: theo thời hạn của bộ quy tắc."),
        ),
        order=51,
        about="Đơn vị đó thấy phản ánh, được báo qua thư và có hạn riêng; người dân không thấy.",
        done="Đã đề nghị phối hợp.",
    ),
    Action.RELEASE_SUPPORT: FormSpec(
        "user-shield",
        "more",
        "Cho thôi phối hợp",
        (FieldSpec("unit", "unit", "Đơn vị", choices="helpers", none="Chọn đơn vị…"), _REASON),
        order=53,
        about="Hạn của đơn vị đó được hủy; ý kiến đã gửi vẫn còn.",
        done="Đã cho thôi phối hợp.",
    ),
    Action.GIVE_BACK_SUPPORT: FormSpec(
        "arrow-back-up",
        "bar",
        "Trả lại việc phối hợp",
        (
            _REASON,
            FieldSpec("suggested", "department", "Theo anh/chị nên hỏi", required=False, none="Chưa rõ"),
        ),
        order=13,
        about="Đơn vị thôi phối hợp và không còn thấy phản ánh; đơn vị chủ trì vẫn làm tiếp.",
        shows="give_back",
        done="Đã trả lại việc phối hợp.",
    ),
    Action.DISPUTE: FormSpec(
        "scale",
        "more",
        "Xin quyết định",
        (FieldSpec("text", "text", "Các đơn vị không thống nhất điều gì", rows=4),),
        order=57,
        about="Lãnh đạo tỉnh quyết định đơn vị nào chủ trì. Các hạn vẫn chạy; người dân không thấy.",
        done="Đã xin cấp trên quyết định.",
    ),
    Action.DECIDE_DISPUTE: FormSpec(
        "scale",
        "bar",
        "Quyết định",
        (
            FieldSpec("reason", "text", "Quyết định và lý do", rows=4),
            FieldSpec("lead", "department", "Giao chủ trì", required=False, none="Giữ nguyên đơn vị chủ trì"),
        ),
        order=5,
        tone="primary",
        about="Đơn vị được giao có hạn mới và không trả lại được nữa; người dân được báo nếu đổi đơn vị.",
        hears=True,
        shows="dispute",
        done="Đã quyết định.",
    ),
    Action.ANSWER_DIRECTIVE: FormSpec(
        "flag",
        "talk",
        "Trả lời chỉ đạo",
        (FieldSpec("text", "text", "Đã làm gì theo chỉ đạo", rows=4),),
        order=4,
        tone="primary",
        about="Chỉ cán bộ đọc được; chỉ đạo coi như đã trả lời.",
        shows="order",
        done="Đã trả lời chỉ đạo.",
    ),
    # verbs of the bar
    Action.DIRECT: FormSpec(
        "urgent",
        "bar",
        "Gửi chỉ đạo",
        (
            FieldSpec("text", "text", "Nội dung chỉ đạo", rows=4),
            FieldSpec("to", "unit", "Đơn vị phải trả lời", required=False, none="Đơn vị chủ trì"),
            FieldSpec(
                "until", "moment", "Trả lời trước", required=False, hint="Để trống: theo thời hạn của bộ quy tắc."
            ),
        ),
        order=40,
        tone="primary",
        about="Đơn vị được báo qua thư và phải trả lời; người dân không thấy.",
        done="Đã gửi chỉ đạo.",
    ),
    Action.ACCEPT: FormSpec(
        "check",
        "bar",
        "Nhận xử lý",
        order=5,
        tone="primary",
        key="1",
        about="Đơn vị nhận vụ việc; anh/chị là người xử lý nếu chưa giao cho ai.",
        done="Đã nhận xử lý.",
    ),
    Action.FORWARD: FormSpec(
        "mail-forward",
        "bar",
        "Chuyển",
        (
            FieldSpec("lead", "department", "Đơn vị chủ trì", none="Chọn đơn vị…"),
            FieldSpec("supporting", "helpers", "Đơn vị phối hợp", required=False),
            FieldSpec("reason", "text", "Lời nhắn cho đơn vị", required=False, rows=2),
        ),
        order=10,
        tone="primary",
        key="d",
        about="Đơn vị nhận được thư báo; người dân được biết chuyển đến đâu và hẹn khi nào.",
        hears=True,
        done="Đã chuyển %(lead)s.",
    ),
    Action.APPROVE_ANSWER: FormSpec(
        "checks",
        "bar",
        "Duyệt và gửi",
        (FieldSpec("public_text", "public", "Bản tóm tắt để công khai", required=False, hint=_PLAIN, rows=4),),
        order=5,
        tone="primary",
        about="Câu trả lời được gửi cho người dân như đang thấy.",
        hears=True,
        shows="answer",
        done="Đã duyệt, câu trả lời đang được gửi.",
    ),
    Action.RETURN_ANSWER: FormSpec(
        "corner-up-left",
        "bar",
        "Trả lại làm lại",
        (_REASON,),
        order=8,
        about="Hạn xử lý của đơn vị chạy tiếp như trước.",
        shows="answer",
        done="Đã trả lại để làm lại.",
    ),
    Action.GIVE_BACK: FormSpec(
        "arrow-back-up",
        "bar",
        "Trả lại trung tâm",
        (
            _REASON,
            FieldSpec("suggested", "department", "Theo anh/chị là việc của", required=False, none="Chưa rõ"),
        ),
        order=12,
        about="Vụ việc về lại trung tâm để chuyển nơi khác. Lời hẹn với người dân không đổi.",
        shows="give_back",
        done="Đã trả lại trung tâm.",
    ),
    Action.PUBLISH: FormSpec(
        "world",
        "bar",
        "Công khai",
        (FieldSpec("public_text", "public", "Bản mọi người đọc được", hint=_PLAIN, rows=5),),
        order=15,
        shows="document",
        about="Hiện trên trang công khai cùng lĩnh vực và địa bàn; lời và ảnh của người dân không được đăng.",
        done="Đã công khai.",
    ),
    Action.CLASSIFY: FormSpec(
        "category",
        "bar",
        "Lưu phân loại",
        (
            FieldSpec("field", "field", "Lĩnh vực", required=False, none="Để nguyên"),
            FieldSpec("area", "area", "Địa bàn", required=False, none="Để nguyên"),
            FieldSpec("urgency", "choice", "Mức khẩn", required=False, choices="urgency", none="Theo lĩnh vực"),
            FieldSpec("kind", "choice", "Loại nội dung", required=False, choices="kind", none="Để nguyên"),
            FieldSpec("competence", "choice", "Thẩm quyền", required=False, choices="competence", none="Để nguyên"),
            FieldSpec("road_class", "choice", "Cấp đường", required=False, choices="road_class", none="Để nguyên"),
            FieldSpec("asset_owner", "choice", "Của ai", required=False, choices="asset_owner", none="Để nguyên"),
            FieldSpec("flags", "flags", "Dấu hiệu", required=False),
        ),
        order=30,
        key="c",
        about="Quy tắc xét lại: đơn vị gợi ý và các hạn đang chạy được tính lại từ lúc mở.",
        done="Đã phân loại lại.",
    ),
    Action.CHASE: FormSpec(
        "bell-ringing",
        "bar",
        "Đôn đốc",
        order=35,
        about="Ghi một lần đôn đốc đơn vị đang giữ việc.",
        done="Đã đôn đốc.",
    ),
    Action.GRANT_EXTENSION: FormSpec(
        "calendar-plus",
        "more",
        "Đồng ý gia hạn",
        (FieldSpec("until", "moment", "Hạn mới", required=False, hint="Để nguyên là đúng ngày đơn vị xin."),),
        order=58,
        about="Người dân được báo hạn mới và lý do.",
        hears=True,
        shows="extension",
        done="Đã gia hạn.",
    ),
    Action.DENY_EXTENSION: FormSpec(
        "calendar-off",
        "more",
        "Không gia hạn",
        (_REASON,),
        order=59,
        about="Hạn giữ nguyên; người dân được báo lý do.",
        hears=True,
        shows="extension",
        done="Đã từ chối gia hạn.",
    ),
    # the rest
    Action.ASSIGN_OFFICER: FormSpec(
        "user-plus",
        "more",
        "Giao việc",
        (FieldSpec("officer", "officer", "Người xử lý", required=False, none="Không giao cho ai"),),
        order=50,
        done="Đã giao người xử lý.",
    ),
    Action.ATTACH: FormSpec(
        "paperclip",
        "more",
        "Tải lên",
        (FieldSpec("attachments", "files", "Ảnh hoặc tệp"),),
        order=51,
        about="Cán bộ thấy; người dân không thấy.",
        done="Đã thêm tệp.",
    ),
    Action.REQUEST_EXTENSION: FormSpec(
        "calendar-event",
        "more",
        "Gửi đề nghị",
        (FieldSpec("until", "moment", "Xin đến", hint="Giờ địa phương."), _REASON),
        order=52,
        about="Lãnh đạo đơn vị hoặc điều phối viên quyết định theo bộ quy tắc; quá số lần thì lãnh đạo tỉnh.",
        done="Đã gửi đề nghị gia hạn.",
    ),
    Action.SET_TRACK: FormSpec(
        "scale",
        "more",
        "Xác nhận",
        (
            FieldSpec("track", "choice", "Vụ việc thuộc loại", choices="track"),
            FieldSpec("accused", "departments", "Đơn vị bị khiếu nại, tố cáo", required=False),
            FieldSpec("accused_staff", "people", "Cán bộ bị khiếu nại, tố cáo", required=False),
        ),
        order=54,
        about="Tố cáo, khiếu nại: chỉ thanh tra thấy; tin báo tội phạm: chỉ công an; ai bị tố cáo thì không.",
        done="Đã xác định loại vụ việc.",
    ),
    Action.RECALL: FormSpec(
        "rotate-clockwise",
        "more",
        "Thu hồi",
        (_REASON,),
        order=56,
        about="Lấy lại từ đơn vị để chuyển nơi khác.",
        done="Đã thu hồi về trung tâm.",
    ),
    Action.SPLIT: FormSpec(
        "arrows-split-2",
        "more",
        "Tách",
        (
            FieldSpec("text", "text", "Nội dung của phản ánh mới", rows=5),
            FieldSpec("field", "field", "Lĩnh vực", required=False, none="Chưa rõ"),
        ),
        order=60,
        about="Một vụ việc thứ hai trong cùng phản ánh thành phản ánh riêng; người dân được báo mã mới.",
        done="Đã tách thành phản ánh mới.",
    ),
    Action.LINK_INCIDENT: FormSpec(
        "link",
        "more",
        "Gắn",
        (FieldSpec("into", "code", "Mã phản ánh của sự cố"),),
        order=62,
        about="Các phản ánh cùng một sự cố, mỗi phản ánh vẫn có câu trả lời riêng.",
        done="Đã gắn vào sự cố.",
    ),
    Action.UNLINK_INCIDENT: FormSpec("unlink", "more", "Bỏ gắn", order=63, done="Đã bỏ gắn sự cố."),
    Action.REVEAL_IDENTITY: FormSpec(
        "eye",
        "more",
        "Mở thông tin",
        (_REASON,),
        order=64,
        about="Mọi cán bộ đang xử lý thấy tên, số điện thoại, thư điện tử. Lý do được lưu và người dân có quyền biết.",
        done="Đã mở thông tin người phản ánh.",
    ),
    Action.HAND_OVER: FormSpec(
        "phone",
        "more",
        "Đã bàn giao",
        (
            FieldSpec("to", "choice", "Đã gọi", choices="emergency"),
            FieldSpec("text", "text", "Đã nói gì", rows=3),
            FieldSpec("spoke_with", "line", "Gặp ai ở đó", required=False),
        ),
        order=65,
        tone="danger",
        about="Phản ánh vẫn ở lại trung tâm, hạn chuyển tính lại từ lúc bàn giao.",
        done="Đã ghi bàn giao khẩn cấp.",
    ),
    Action.REOPEN: FormSpec(
        "rotate-clockwise",
        "more",
        "Mở lại",
        (_REASON,),
        order=66,
        about="Về đơn vị đã xử lý, các hạn tính lại từ đầu; người dân được báo.",
        hears=True,
        done="Đã mở lại.",
    ),
    Action.UNPUBLISH: FormSpec("eye-off", "more", "Thôi công khai", (_REASON,), order=67, done="Đã thôi công khai."),
    Action.UNMARK_SPAM: FormSpec("inbox", "bar", "Nhận lại", order=20, tone="primary", done="Đã nhận lại phản ánh."),
    # what ends a case
    Action.CLOSE: FormSpec(
        "lock",
        "end",
        "Đóng",
        order=70,
        about="Không chờ đánh giá nữa.",
        done="Đã đóng phản ánh.",
    ),
    Action.MERGE: FormSpec(
        "git-merge",
        "end",
        "Gộp",
        (FieldSpec("into", "code", "Gộp vào phản ánh mã"),),
        order=72,
        about="Phản ánh này kết thúc và đi theo phản ánh kia; người dân được báo, mã cũ vẫn tra cứu được.",
        hears=True,
        done="Đã gộp.",
    ),
    Action.REFUSE: FormSpec(
        "ban",
        "end",
        "Không tiếp nhận",
        (
            FieldSpec("reason_code", "choice", "Lý do", choices="refusal"),
            FieldSpec(
                "reply", "text", "Lời gửi người dân", required=False, hint="Để trống là gửi câu mẫu của lý do.", rows=4
            ),
        ),
        order=74,
        tone="danger",
        hears=True,
        done="Đã trả lời là không tiếp nhận.",
    ),
    Action.REDIRECT: FormSpec(
        "external-link",
        "end",
        "Chuyển cơ quan khác",
        (
            FieldSpec("to", "choice", "Đã bàn giao cho", required=False, choices="destination"),
            FieldSpec("track", "choice", "Vụ việc thuộc loại", required=False, choices="track", none="Giữ nguyên"),
            FieldSpec("reply", "text", "Lời gửi người dân", rows=4),
            *_documented("Kèm phiếu chuyển"),
        ),
        order=76,
        tone="danger",
        about="Chỉ bấm khi đã bàn giao xong cho cơ quan có thẩm quyền.",
        hears=True,
        done="Đã chuyển cơ quan có thẩm quyền.",
    ),
    Action.MARK_SPAM: FormSpec(
        "trash",
        "end",
        "Đánh dấu tin rác",
        order=78,
        tone="danger",
        about="Quảng cáo, đùa nghịch, không có nội dung. Người dân không nhận tin nào.",
        done="Đã đánh dấu tin rác.",
    ),
}

TALK = tuple(sorted((a for a, spec in FORMS.items() if spec.place == "talk"), key=lambda a: FORMS[a].order))
NOTE_FIELD = FieldSpec("note", "text", "Ghi chú nội bộ", required=False, rows=2)


def action_named(name: str) -> Action | None:
    """The staff's action of this name."""
    return next((action for action in STAFF_ACTIONS if action.value == name), None)


def fields_of(action: Action) -> tuple[FieldSpec, ...]:
    """What the form asks, the note last."""
    spec = FORMS[action]
    return (*spec.fields, NOTE_FIELD) if spec.noted else spec.fields


CHOICES: Mapping[str, tuple[str, ...]] = {group: tuple(NAMES[group]) for group in ("urgency", "kind", "track")}

"""What pydantic finds wrong with input, said to people: in Vietnamese by a small catalogue, in English as it comes.

What was sent is never repeated, only the path of the member, and of that only as much as a person can use.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MOST_TOLD = 20  # a person mends a few members at a time
LONGEST_STEP = 60  # characters of a member's name that are repeated

_NUMBER = "Phải là số."
_WHOLE = "Phải là số nguyên."
_OBJECT = "Phải là một đối tượng JSON, đặt trong dấu ngoặc nhọn."
_MOMENT = "Phải là thời điểm có ngày, giờ và múi giờ, ví dụ 2026-03-02T08:00:00+07:00."
_DAY = "Phải là ngày, ví dụ 2026-03-02."
_CHOICE = "Chỉ nhận một trong: {expected}."
_UUID = "Phải là một mã UUID."
_JSON = "Không phải JSON hợp lệ."
_BOOL = "Phải là true hoặc false."
_LETTERS = "Có ký tự không dùng được ở đây."

VIETNAMESE: dict[str, str] = {
    "missing": "Thiếu mục này.",
    "extra_forbidden": "Không có mục nào tên như vậy.",
    "string_type": "Phải là chữ, đặt trong dấu ngoặc kép.",
    "string_too_long": "Dài quá, nhiều nhất {max_length} ký tự.",
    "string_too_short": "Ngắn quá, cần ít nhất {min_length} ký tự.",
    "string_pattern_mismatch": _LETTERS,
    "string_unicode": _LETTERS,
    "area_type": "Không có loại địa bàn này.",
    "day": "Phải là ngày từ năm 1900 đến 2199.",
    "email": "Địa chỉ e-mail không đúng.",
    "point": "Vĩ độ và kinh độ phải đi cùng nhau.",
    "control_character": "Có ký tự điều khiển, xin xóa đi.",
    "too_long": "Nhiều quá, nhiều nhất {max_length} mục.",
    "too_short": "Ít quá, cần ít nhất {min_length} mục.",
    "bool_type": _BOOL,
    "bool_parsing": _BOOL,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "Phải là số hữu hạn.",
    "greater_than_equal": "Phải từ {ge} trở lên.",
    "greater_than": "Phải lớn hơn {gt}.",
    "less_than_equal": "Nhiều nhất là {le}.",
    "less_than": "Phải nhỏ hơn {lt}.",
    "literal_error": _CHOICE,
    "enum": _CHOICE,
    "json_invalid": _JSON,
    "json_type": _JSON,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": "Phải là một danh sách, dạng […].",
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "timezone_aware": "Thời điểm cần có múi giờ, ví dụ 2026-03-02T08:00:00+07:00.",
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
}
OTHER = "Giá trị không hợp lệ."


def complaints(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """pydantic's `errors()` as `{where, detail, detail_en, code}`, the first MOST_TOLD of them."""
    told = []
    for error in list(errors)[:MOST_TOLD]:
        context = error.get("ctx") or {}
        kind, en = str(error["type"]), str(error["msg"])
        if context.get("field_type") == "Value":  # a text that was cleaned first: pydantic takes its letters for items
            kind, en = f"string_{kind}", en.replace(" item", " character").replace(" after validation", "")
        vi = VIETNAMESE.get(kind, OTHER)
        if kind == "string_too_short" and context.get("min_length") == 1:
            vi = "Không được để trống."
        if "expected" in context:
            context = {"expected": str(context["expected"]).replace(" or ", " hoặc ")}
        told.append(
            {
                "where": ".".join(_step(step) for step in error["loc"]) or "body",
                "detail": vi.format_map(context) if "{" in vi and context else vi,
                "detail_en": f"{en.removeprefix('Value error, ').rstrip('.')}.",
                "code": kind,
            }
        )
    return told


def sentence(told: list[dict[str, str]], detail: str) -> str:
    """The first complaints in one line; `detail` is the member to take, `detail` or `detail_en`."""
    return " ".join(f"{each['where']}: {each[detail]}" for each in told[:3])


def _step(step: object) -> str:
    """One step of a path. A name sent by somebody may hold halves of characters, which no answer can carry."""
    return str(step).encode("utf-8", "replace").decode()[:LONGEST_STEP]

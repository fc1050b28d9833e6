"""What may be published: a text of which a person has looked at every place that seems to tell who somebody is."""

from collections.abc import Collection

from cases import masking
from cases.models import Case
from core.errors import Invalid

NAMES = {
    "phone": ("số điện thoại", "a telephone number"),
    "plate": ("biển số xe", "a number plate"),
    "email": ("địa chỉ thư điện tử", "an e-mail address"),
    "identity": ("số giấy tờ tùy thân", "the number of a paper"),
    "name": ("tên người", "a person's name"),
    "address": ("số nhà", "a house number"),
    "land": ("số thửa đất", "the number of a parcel"),
}


def known_of(case: Case) -> tuple[str, ...]:
    """How its reporter is known: whoever is looked for first in a text about the case."""
    return tuple(value for name in ("name", "phone", "email") if (value := case.contact.get(name)))


def checked(case: Case, text: str, left: Collection[str]) -> str:
    """The text, if nothing in it looks personal but what somebody said may stay (`left`, as it is written).

    Invalid otherwise, with each such place in `spans` and the text as it would be with them covered in `suggested`.
    """
    spans = masking.unconfirmed(text, known_of(case), left)
    if not spans:
        return text
    kinds = list(dict.fromkeys(span.kind for span in spans))
    told = [", ".join(NAMES[kind][lang] for kind in kinds) for lang in (0, 1)]
    vi = f"Bản công khai còn {told[0]}: hãy che, hoặc xác nhận từng chỗ được để nguyên."
    en = f"The public text still holds {told[1]}: cover it, or confirm each place that may stay."
    raise Invalid(
        vi,
        en,
        errors=[{"where": "public_text", "detail": vi, "detail_en": en, "code": "personal"}],
        spans=[{"kind": each.kind, "text": each.of(text), "instead": each.instead} for each in spans],
        suggested=masking.masked(text, masking.suggest(text, known_of(case)), left),
    )

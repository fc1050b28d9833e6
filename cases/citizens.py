"""Handles of citizens in one written form, so that one person is one row however they type it."""

import re
from functools import lru_cache

import phonenumbers

from core.errors import Invalid
from core.text import nfc

# Old prefix → new one, without the 0 in front, by the length of the whole number without it.
_RENUMBERED = {
    10: {
        # Mobile numbers of eleven digits lost one, in the autumn of 2018.
        **{f"16{n}": f"3{n}" for n in range(2, 10)},  # Viettel
        **{"120": "70", "121": "79", "122": "77", "126": "76", "128": "78"},  # MobiFone
        **{"123": "83", "124": "84", "125": "85", "127": "81", "129": "82"},  # VinaPhone
        **{"186": "56", "188": "58", "199": "59"},  # Vietnamobile, Gmobile
        # Area codes of three digits, with a telephone of seven, in three steps of 2017.
        **{"320": "220", "321": "221", "350": "228", "351": "226", "500": "262", "501": "261", "510": "235"},
        **{"511": "236", "650": "274", "651": "271", "710": "292", "711": "293", "780": "290", "781": "291"},
    },
    9: {
        # Area codes of one or two digits that no mobile number begins with.
        **{"4": "24", "60": "260", "61": "251", "62": "252", "63": "263", "64": "254", "66": "276", "67": "277"},
        **{"68": "259"},
    },
}
_MOBILE = re.compile(r"0[35789][0-9]{8}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f<>()\[\],;:\"\\]{1,64}@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+")


@lru_cache(4096)
def phone_number(text: str, where: str = "contact.phone") -> str:
    """E.164 of a number as people write it (Vietnam unless it names a country); Invalid otherwise.

    Only length and form are checked: number ranges are opened faster than any list of them is updated. Numbers from
    before the renumberings of 2017 and 2018 become what they are today.
    """
    if _MOBILE.fullmatch(text):  # how nearly everyone writes theirs; the library comes to the same, slowly
        return f"+84{text[1:]}"
    try:
        number = phonenumbers.parse(nfc(text), "VN")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise Invalid.at(
            where,
            "Số điện thoại không đúng. Hãy ghi 10 chữ số, ví dụ 0912 345 678.",
            "Not a phone number. Write 10 digits, for example 0912 345 678.",
            "phone",
        )
    made = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _of_today(made) if number.country_code == 84 else made


def _of_today(number: str) -> str:
    """What an old Vietnamese number has become; any other is itself.

    Only what no number of today looks like: 037 3xx xxxx was a telephone in Thanh Hóa and is a mobile one now.
    """
    national = number.removeprefix("+84")
    for length, prefixes in _RENUMBERED.items():
        for old, new in prefixes.items():
            if len(national) == length and national.startswith(old):
                return f"+84{new}{national.removeprefix(old)}"
    return number


def email_address(text: str, where: str = "contact.email") -> str:
    """The address in lower case; Invalid when it cannot be one."""
    address = nfc(text).strip().lower()
    if len(address) > 254 or not _EMAIL.fullmatch(address):
        raise Invalid.at(where, "Địa chỉ e-mail không đúng.", "Not an e-mail address.", "email")
    return address


def masked(contact: dict[str, str]) -> dict[str, str | None]:
    """What staff see of a reporter until the identity is revealed: first letters and last digits only."""
    name, phone, email = contact.get("name"), contact.get("phone"), contact.get("email")
    return {
        "name": " ".join(word[0] + "***" for word in name.split()) if name else None,
        "phone": "*" * max(0, len(phone) - 3) + phone[-3:] if phone else None,
        "email": email[0] + "***@" + email.partition("@")[2] if email else None,
    }


def masked_handle(scheme: str, handle: str) -> str:
    """One address of a person as staff see it: enough to tell two of them apart, too little to write to."""
    if scheme in ("phone", "email"):
        return masked({scheme: handle})[scheme] or ""
    return "***" + handle[-4:] if len(handle) > 6 else "***"  # an id of a vendor's own


def plain(contact: dict[str, str]) -> dict[str, str | None]:
    """The reporter as stated in this case."""
    return {member: contact.get(member) for member in ("name", "phone", "email")}

"""Handles of citizens in one written form, so that one person is one row however they type it."""

import re
from functools import lru_cache

import phonenumbers

from core.errors import Invalid
from core.text import nfc

_MOBILE = re.compile(r"0[35789][0-9]{8}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f<>()\[\],;:\"\\]{1,64}@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+")


@lru_cache(4096)
def phone_number(text: str, where: str = "contact.phone") -> str:
    """E.164 of a number as people write it (Vietnam unless it names a country); Invalid otherwise.

    Only length and form are checked: number ranges are opened faster than any list of them is updated.
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
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


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


def plain(contact: dict[str, str]) -> dict[str, str | None]:
    """The reporter as stated in this case."""
    return {member: contact.get(member) for member in ("name", "phone", "email")}

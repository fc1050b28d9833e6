"""Case codes people can read over the phone, and tracking keys."""

import hmac
import re
from uuid import UUID

# Damm's quasigroup of order 10 (H. Michael Damm, 2004): finds every single wrong digit and every swap of neighbours.
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
_KEY_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0 O 1 I
_KEY_LENGTH = 6
_CODE = re.compile(r"([A-Z]{1,4})[-\s]?([0-9]{2})[-\s]?([0-9]{7,18})")


def damm(digits: str) -> int:
    """Damm check digit of a string of digits; 0 for a string that ends in its own check digit."""
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][ord(digit) - 48]
    return interim


def make_code(prefix: str, year: int, number: int) -> str:
    """`BP-26-0482134`: prefix, two digits of the local year, at least six digits of number, check digit over both."""
    digits = f"{year % 100:02d}{number:06d}"
    return f"{prefix}-{digits[:2]}-{digits[2:]}{damm(digits)}"


def read_code(text: str) -> str | None:
    """The code in its standard form if the text is one with a right check digit, however it is typed."""
    found = _CODE.fullmatch(text.strip().upper())
    if found is None or damm(found[2] + found[3]) != 0:
        return None
    return f"{found[1]}-{found[2]}-{found[3]}"


def tracking_key(secret: bytes, case_id: UUID, version: int) -> str:
    """Six characters without look-alikes (32^6 ≈ 10^9), derived so that a replay can give it again."""
    digest = hmac.digest(secret, b"track:%d:" % version + case_id.bytes, "sha256")
    return "".join(_KEY_LETTERS[byte % 32] for byte in digest[:_KEY_LENGTH])


def key_fits(secret: bytes, case_id: UUID, version: int, given: str) -> bool:
    """Constant-time comparison with what a person typed."""
    expected = tracking_key(secret, case_id, version)
    return hmac.compare_digest(expected.encode(), given.strip().upper().encode())

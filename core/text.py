"""Text as people type it, brought to one form before it is compared or stored.

Vietnamese letters arrive both composed and decomposed, with and without their marks; two strings a reader
takes for the same words must compare equal.
"""

import re
import unicodedata

MOST_MARKS = 30  # of one letter, as in UAX #15, stream-safe text
_COMBINING = "".join(char for char in map(chr, range(0x300, 0x1F000)) if unicodedata.combining(char))
# The quick look that clears most texts; the first letter stands apart, for then the search skips to it at once.
_LONG = re.compile(f"[\u0300-\U0010ffff][\u0300-\U0010ffff]{{{MOST_MARKS}}}")
_TOO_MANY = re.compile(f"([{_COMBINING}]{{{MOST_MARKS}}})[{_COMBINING}]+")
LONGEST_EMAIL = 254  # RFC 5321, path without its brackets
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII | re.IGNORECASE)


def nfc(s: str) -> str:
    """Return `s` in Unicode normal form C, the only form this project stores, no letter with more than MOST_MARKS.

    Sorting the marks of one letter takes time that grows with the square of their number: minutes for a mail of them.
    """
    return s if s.isascii() else unicodedata.normalize("NFC", _bounded(s))


def fold(s: str) -> str:
    """Return the form used for matching: lower case, no diacritics, đ as d, runs of white space as one space.

    >>> fold("  Đường  Trần Phú ")
    'duong tran phu'
    """
    lowered = s.lower()
    if not lowered.isascii():
        # Unicode gives đ no decomposition, so it has to be named.
        decomposed = unicodedata.normalize("NFD", _bounded(lowered).replace("đ", "d"))
        lowered = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(lowered.split())


def _bounded(s: str) -> str:
    return _TOO_MANY.sub(r"\1", s) if _LONG.search(s) else s


def is_email(s: str) -> bool:
    """Whether `s` is one e-mail address that can be written into a header as it stands."""
    return len(s) <= LONGEST_EMAIL and _EMAIL.fullmatch(s) is not None

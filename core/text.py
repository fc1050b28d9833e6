"""Text as people type it, brought to one form before it is compared or stored.

Vietnamese letters arrive both composed and decomposed, with and without their marks; two strings a reader
takes for the same words must compare equal.
"""

import unicodedata


def nfc(s: str) -> str:
    """Return `s` in Unicode normal form C, the only form this project stores."""
    return s if s.isascii() else unicodedata.normalize("NFC", s)


def fold(s: str) -> str:
    """Return the form used for matching: lower case, no diacritics, đ as d, runs of white space as one space.

    >>> fold("  Đường  Trần Phú ")
    'duong tran phu'
    """
    lowered = s.lower()
    if not lowered.isascii():
        # Unicode gives đ no decomposition, so it has to be named.
        decomposed = unicodedata.normalize("NFD", lowered.replace("đ", "d"))
        lowered = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(lowered.split())

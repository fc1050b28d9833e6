"""What a mail of ours carries so that its answer is known: the signed reply address, the cut line, our mark. Pure.

An answer to `1022+bp-26-0482134.k3v…@tinh.example` is about that case, whatever its sender made of the subject. Anybody
can type a code; only we can make the letters behind it.
"""

import base64
import hashlib
import hmac
import re
from typing import Final

CUT_LINE: Final = "—— Vui lòng trả lời phía trên dòng này ——"
LOOP_HEADER: Final = "X-Hotline-1022"  # on every mail of ours: one that comes back is not a citizen's

_LETTERS = 16  # of base32, 80 bits
_LONGEST_LOCAL = 64  # RFC 5321, 4.5.3.1.1
_TOKEN = re.compile(r"\+([A-Za-z0-9-]{1,40})\.([A-Za-z2-7]{16})@")


def reply_key(secret: bytes) -> bytes:
    """The key of reply addresses, derived from the centre's secret key."""
    return hmac.new(secret, b"mail reply address", hashlib.sha256).digest()


def reply_address(key: bytes, address: str, code: str) -> str | None:
    """Our address with the case's code and its signature; None where that makes no plain address.

    In lower case, because some mail programs make it so.
    """
    local, _, domain = address.rpartition("@")
    made = f"{local}+{code}.{_mac(key, code)}@{domain}".lower()
    fits = _TOKEN.search(made) is not None and len(made.rpartition("@")[0]) <= _LONGEST_LOCAL
    return made if fits else None


def token_of(key: bytes, address: str) -> str | None:
    """The code in a reply address that we made; None for any other."""
    found = _TOKEN.search(address)
    return found[1].upper() if found is not None and token_fits(key, found[1], found[2]) else None


def token_fits(key: bytes, code: str, token: str) -> bool:
    """Whether we made this token for this code, however either is written. Compared in constant time."""
    return hmac.compare_digest(_mac(key, code).encode(), token.lower().encode())


def _mac(key: bytes, code: str) -> str:
    digest = hmac.new(key, code.upper().encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:_LETTERS]

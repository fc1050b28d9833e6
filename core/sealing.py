"""Secrets that must be given back later, such as a vendor's tokens: sealed with keys that derive from the secret key.

ChaCha20-Poly1305 (RFC 8439) under a key that HKDF (RFC 5869) makes for each purpose. Meant for texts of some kilobytes;
files are sealed by `core.sealed_files`. The first character names the way of sealing, so that another can follow.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_WAY: Final = "1"
_NONCE: Final = 12  # bytes; drawn anew for each text, of which a purpose never sees anywhere near 2^32


class Unsealable(ValueError):
    """Not sealed with this key for this purpose, or changed since."""


def seal(key: bytes, purpose: str, text: str) -> str:
    """The text, unreadable and unchangeable without `key`; only the same `purpose` opens it again."""
    nonce = secrets.token_bytes(_NONCE)
    sealed = nonce + _cipher(key, purpose).encrypt(nonce, text.encode(), _WAY.encode())
    return f"{_WAY}.{base64.urlsafe_b64encode(sealed).decode()}"


def unseal(key: bytes, purpose: str, sealed: str) -> str:
    """What `seal` was given. Raises Unsealable."""
    way, _, encoded = sealed.partition(".")
    try:
        raw = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unsealable("not sealed by us") from None
    if way != _WAY or len(raw) <= _NONCE:
        raise Unsealable("not sealed by us")
    try:
        return _cipher(key, purpose).decrypt(raw[:_NONCE], raw[_NONCE:], _WAY.encode()).decode()
    except InvalidTag:
        raise Unsealable("sealed with another key, for another purpose, or changed") from None


def checksum(key: bytes, purpose: str, text: str) -> bytes:
    """By which the same text is known again, and nothing else can be learned."""
    return hmac.new(derived(key, f"checksum:{purpose}"), text.encode(), hashlib.sha256).digest()


def derived(key: bytes, use: str, salt: bytes | None = None) -> bytes:
    """A key of 32 bytes for one use, from which neither `key` nor that of another use can be learned."""
    return HKDF(SHA256(), 32, salt, f"1022:{use}".encode()).derive(key)


def _cipher(key: bytes, purpose: str) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derived(key, f"text:{purpose}"))

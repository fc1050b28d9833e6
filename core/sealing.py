"""Secrets that must be given back later, such as a vendor's tokens: sealed with keys that derive from the secret key.

Encrypt-then-MAC from the one primitive of the standard library that is fit for it, HMAC-SHA256: as a pseudo-random
function over nonce and counter it makes the key stream (counter mode), and under a second key it makes the tag. Meant
for texts of some kilobytes. The first character names the way of sealing, so that another can follow.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

_WAY: Final = "1"
_NONCE, _TAG = 16, 32  # bytes


class Unsealable(ValueError):
    """Not sealed with this key for this purpose, or changed since."""


def seal(key: bytes, purpose: str, text: str) -> str:
    """The text, unreadable and unchangeable without `key`; only the same `purpose` opens it again."""
    nonce = secrets.token_bytes(_NONCE)
    hidden = _xor(key, purpose, nonce, text.encode())
    sealed = nonce + hidden + _tag(key, purpose, nonce + hidden)
    return f"{_WAY}.{base64.urlsafe_b64encode(sealed).decode()}"


def unseal(key: bytes, purpose: str, sealed: str) -> str:
    """What `seal` was given. Raises Unsealable."""
    way, _, encoded = sealed.partition(".")
    try:
        raw = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unsealable("not sealed by us") from None
    body, tag = raw[:-_TAG], raw[-_TAG:]
    if way != _WAY or len(body) < _NONCE or not hmac.compare_digest(tag, _tag(key, purpose, body)):
        raise Unsealable("sealed with another key, for another purpose, or changed")
    return _xor(key, purpose, body[:_NONCE], body[_NONCE:]).decode()


def checksum(key: bytes, purpose: str, text: str) -> bytes:
    """By which the same text is known again, and nothing else can be learned."""
    return hmac.new(_derived(key, "checksum", purpose), text.encode(), hashlib.sha256).digest()


def _derived(key: bytes, use: str, purpose: str) -> bytes:
    return hmac.new(key, f"sealing:{use}:{purpose}".encode(), hashlib.sha256).digest()


def _tag(key: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.new(_derived(key, "tag", purpose), body, hashlib.sha256).digest()


def _xor(key: bytes, purpose: str, nonce: bytes, data: bytes) -> bytes:
    stream_key = _derived(key, "stream", purpose)
    blocks = range((len(data) + 31) // 32)
    stream = b"".join(
        hmac.new(stream_key, nonce + number.to_bytes(8, "big"), hashlib.sha256).digest() for number in blocks
    )
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))

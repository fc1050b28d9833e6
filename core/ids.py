"""Identifiers made in Python: UUIDv7 (RFC 9562), so that every PostgreSQL from 15 on can store them."""

import os
from datetime import datetime
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62


def uuid7(at: datetime) -> UUID:
    """A UUIDv7 whose first 48 bits are `at` in milliseconds, so keys sort by the time something happened."""
    millis = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    noise = int.from_bytes(os.urandom(10))
    head = (millis << 80) | _VERSION | ((noise >> 64 & 0xFFF) << 64)
    return UUID(int=head | _VARIANT | (noise & 0x3FFF_FFFF_FFFF_FFFF))

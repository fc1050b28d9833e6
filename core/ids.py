"""Identifiers made in Python: UUIDv7 (RFC 9562), so that every PostgreSQL from 15 on can store them."""

import itertools
import os
from array import array
from datetime import UTC, datetime
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_counter = itertools.count(int.from_bytes(os.urandom(3)))  # 32 bits are used; far from going round
_noise: list[int] = []  # drawn for many at once: asking the system costs more than all the rest
os.register_at_fork(after_in_child=_noise.clear)


def uuid7(at: datetime) -> UUID:
    """A UUIDv7 whose first 48 bits are `at` in milliseconds, so keys sort by the time something happened.

    Those of one process and one millisecond, such as two lines written by one act, sort in the order they were made:
    a counter stands before the noise (RFC 9562, section 6.2, method 1).
    """
    millis = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    count = next(_counter)
    head = (millis << 80) | _VERSION | ((count >> 20 & 0xFFF) << 64)
    return UUID(int=head | _VARIANT | ((count & 0xF_FFFF) << 42) | _bits() >> 22)


def _bits() -> int:
    """64 random bits."""
    while True:  # another thread may take what this one drew
        try:
            return _noise.pop()
        except IndexError:
            _noise.extend(array("Q", os.urandom(8 * 128)))


def moment_of(id: UUID) -> datetime:
    """The moment a UUIDv7 was made for, in UTC, to the millisecond."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def first_of(at: datetime) -> UUID:
    """The least UUIDv7 of a moment: what was made from then on has greater ones."""
    return UUID(int=((int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF) << 80) | _VERSION | _VARIANT)

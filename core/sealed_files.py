"""Files that nobody reads from the disk: sealed in pieces, any of which can be opened without those before it.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as the age format has it: a key for each file, by
HKDF from the secret key with a salt drawn for the file; pieces of 64 KiB under ChaCha20-Poly1305 whose nonce is the
piece's number and whether it is the last. So a piece that was changed, left out, moved or cut off is noticed, and a
file shortened to whole pieces too: its end is looked at before anything else is given out.

    sealed file:  "1022s1" · salt (32 bytes) · piece · piece · … · last piece      piece: up to 64 KiB and a tag of 16
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from core.filestore import FileStore, key_of
from core.sealing import Unsealable, derived

PIECE: Final = 64 * 1024  # bytes, before sealing
_MAGIC: Final = b"1022s1"
_SALT: Final = 32
_HEAD: Final = len(_MAGIC) + _SALT
_TAG: Final = 16


def sealed_pieces(key: bytes, purpose: str, data: bytes) -> Iterator[bytes]:
    """`data` sealed, piece by piece; only the same `purpose` opens it again. Never twice the same."""
    salt = secrets.token_bytes(_SALT)
    cipher = _cipher(key, purpose, salt)
    yield _MAGIC + salt
    last = _last_piece(len(data))
    view = memoryview(data)
    for number in range(last + 1):
        yield cipher.encrypt(_nonce(number, last), view[number * PIECE : (number + 1) * PIECE], None)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file sealed in memory, and the key under which it will lie in the store."""

    key: str
    data: bytes

    @classmethod
    def of(cls, key: bytes, purpose: str, data: bytes) -> Self:
        """Seal `data`."""
        whole = b"".join(sealed_pieces(key, purpose, data))
        return cls(key_of(hashlib.sha256(whole).hexdigest()), whole)


class SealedFile:
    """A sealed file that is open for reading; a context manager. `size`: bytes of what was sealed."""

    def __init__(self, file: BinaryIO, key: bytes, purpose: str) -> None:
        """Unsealable when it was not sealed with this key for this purpose, or lacks its end. Takes over `file`."""
        self._file = file
        whole = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD)
        if len(head) < _HEAD or not head.startswith(_MAGIC):
            raise Unsealable("not a sealed file")
        pieces, rest = divmod(whole - _HEAD, PIECE + _TAG)
        if 0 < rest < _TAG or (pieces == 0 and rest == 0):
            raise Unsealable("the sealed file is cut off")
        self._last = pieces if rest else pieces - 1
        self.size = whole - _HEAD - (self._last + 1) * _TAG
        self._cipher = _cipher(key, purpose, head[len(_MAGIC) :])
        self._piece(self._last)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in pieces. Raises Unsealable at a piece that was changed."""
        end = self.size if end is None else min(end, self.size)
        for number in range(start // PIECE, -(-end // PIECE)):
            offset = number * PIECE
            if found := self._piece(number)[max(0, start - offset) : end - offset]:
                yield found

    def _piece(self, number: int) -> bytes:
        self._file.seek(_HEAD + number * (PIECE + _TAG))
        try:
            return self._cipher.decrypt(_nonce(number, self._last), self._file.read(PIECE + _TAG), None)
        except InvalidTag:
            raise Unsealable("the sealed file was changed, or sealed with another key or for another purpose") from None


async def open_sealed(store: FileStore, at: str, key: bytes, purpose: str) -> SealedFile:
    """A sealed file of the store, open. Raises FileNotFoundError and Unsealable."""
    file = await store.open(at)
    try:
        return await asyncio.to_thread(SealedFile, file, key, purpose)
    except BaseException:
        file.close()
        raise


def _last_piece(size: int) -> int:
    """The number of the last piece: it is full when the size is a multiple, and empty only in an empty file."""
    return max(0, -(-size // PIECE) - 1)


def _nonce(number: int, last: int) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if number == last else b"\x00")


def _cipher(key: bytes, purpose: str, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derived(key, f"file:{purpose}", salt))

"""A sealed file gives back what was put in, whole or any part of it, or says that something is wrong with it."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.filestore import LocalStore
from core.sealed_files import PIECE, Sealed, SealedFile, open_sealed, sealed_pieces
from core.sealing import Unsealable

KEY = b"k" * 32
HEAD, TAG = 6 + 32, 16
SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 77)


def data_of(size: int) -> bytes:
    """Bytes of which no piece is like another."""
    return b"".join(hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(size // 32 + 1))[:size]


def opened(sealed: bytes, key: bytes = KEY, purpose: str = "p") -> SealedFile:
    return SealedFile(io.BytesIO(sealed), key, purpose)


def whole(sealed: bytes) -> bytes:
    with opened(sealed) as file:
        return b"".join(file.read())


def sealed_of(size: int) -> bytes:
    return b"".join(sealed_pieces(KEY, "p", data_of(size)))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_can_be_opened_and_its_size_is_known(size: int) -> None:
    sealed = sealed_of(size)
    assert whole(sealed) == data_of(size)
    assert opened(sealed).size == size
    assert len(sealed) == HEAD + size + TAG * max(1, -(-size // PIECE))


@settings(max_examples=60)
@given(st.sampled_from(SIZES), st.integers(0, 4 * PIECE), st.integers(0, 4 * PIECE))
def test_any_part_can_be_read_alone(size: int, start: int, end: int) -> None:
    assert b"".join(opened(sealed_of(size)).read(start, end)) == data_of(size)[start:end]


def test_the_same_bytes_never_look_the_same() -> None:
    assert len({sealed_of(100)[HEAD:] for _ in range(10)}) == 10


@settings(max_examples=60)
@given(st.integers(0, 3 * PIECE), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, by: int) -> None:
    sealed = bytearray(sealed_of(2 * PIECE + 500))
    sealed[at % len(sealed)] ^= by
    with pytest.raises(Unsealable):
        whole(bytes(sealed))


@pytest.mark.parametrize("size", [PIECE, 2 * PIECE, 2 * PIECE + 500])
@pytest.mark.parametrize("left", ["a piece less", "a byte less", "the tag less", "the head alone", "nothing"])
def test_a_file_that_was_cut_off_is_noticed_before_a_byte_is_given_out(size: int, left: str) -> None:
    sealed = sealed_of(size)
    full = (len(sealed) - HEAD - 1) // (PIECE + TAG)  # whole pieces before the last
    keep = {
        "a piece less": HEAD + full * (PIECE + TAG),
        "a byte less": len(sealed) - 1,
        "the tag less": len(sealed) - TAG,
        "the head alone": HEAD,
        "nothing": 0,
    }[left]
    with pytest.raises(Unsealable):
        opened(sealed[:keep])


def test_pieces_that_changed_places_are_noticed() -> None:
    sealed = sealed_of(3 * PIECE)
    step = PIECE + TAG
    first, second, rest = sealed[HEAD : HEAD + step], sealed[HEAD + step : HEAD + 2 * step], sealed[HEAD + 2 * step :]
    with pytest.raises(Unsealable):
        whole(sealed[:HEAD] + second + first + rest)
    with pytest.raises(Unsealable):
        whole(sealed[:HEAD] + first + first + rest)


def test_a_piece_more_and_a_piece_of_another_file_are_noticed() -> None:
    sealed, other = sealed_of(2 * PIECE), sealed_of(2 * PIECE)
    with pytest.raises(Unsealable):
        opened(sealed + sealed[-(PIECE + TAG) :])
    with pytest.raises(Unsealable):
        whole(sealed[: HEAD + PIECE + TAG] + other[HEAD + PIECE + TAG :])
    with pytest.raises(Unsealable):
        whole(sealed[:HEAD] + other[HEAD:])


@pytest.mark.parametrize(("key", "purpose"), [(b"o" * 32, "p"), (KEY, "q"), (KEY, "")])
def test_another_key_or_purpose_does_not_open(key: bytes, purpose: str) -> None:
    with pytest.raises(Unsealable):
        opened(sealed_of(10), key, purpose)


@pytest.mark.parametrize("junk", [b"", b"1022s1", b"x" * 200, b"ID3" + b"\x00" * 500])
def test_what_was_never_sealed_is_refused(junk: bytes) -> None:
    with pytest.raises(Unsealable):
        opened(junk)


def lying_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("*/*") if path.is_file()]


async def test_the_store_keeps_what_nobody_can_read_there(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sealed = Sealed.of(KEY, "p", data_of(PIECE + 9))
    await store.put(sealed.key, sealed.data)
    lying = lying_in(tmp_path)
    assert len(lying) == 1
    assert data_of(64) not in lying[0]
    with await open_sealed(store, sealed.key, KEY, "p") as file:
        assert b"".join(file.read()) == data_of(PIECE + 9)
    with pytest.raises(Unsealable):
        await open_sealed(store, sealed.key, KEY, "q")
    await store.delete(sealed.key)
    with pytest.raises(FileNotFoundError):
        await open_sealed(store, sealed.key, KEY, "p")

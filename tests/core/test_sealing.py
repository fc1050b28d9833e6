"""What is sealed opens with the same key for the same purpose, and in no other way."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sealing import Unsealable, checksum, derived, seal, unseal

KEY = b"k" * 32


@given(st.text(max_size=200), st.text(max_size=20))
def test_what_is_sealed_can_be_opened(text: str, purpose: str) -> None:
    assert unseal(KEY, purpose, seal(KEY, purpose, text)) == text


def test_the_same_text_never_looks_the_same_and_never_shows() -> None:
    sealed = [base64.urlsafe_b64decode(seal(KEY, "p", "a secret of some length")[2:]) for _ in range(20)]
    assert len({each[:12] for each in sealed}) == 20, "the nonces"
    assert len({each[12:] for each in sealed}) == 20, "what they hide"
    assert not any(b"secret" in each for each in sealed)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, by: int) -> None:
    sealed = seal(KEY, "p", "a secret")
    raw = bytearray(base64.urlsafe_b64decode(sealed[2:]))
    raw[at % len(raw)] ^= by
    with pytest.raises(Unsealable):
        unseal(KEY, "p", "1." + base64.urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize("left", range(0, 36, 5))
def test_a_text_that_was_cut_off_is_noticed(left: int) -> None:
    raw = base64.urlsafe_b64decode(seal(KEY, "p", "a secret")[2:])
    assert len(raw) == 36
    with pytest.raises(Unsealable):
        unseal(KEY, "p", "1." + base64.urlsafe_b64encode(raw[:left]).decode())


@pytest.mark.parametrize("sealed", ["", "1.", "1.AAAA", "2.AAAA", "1.!!!", "đ", "1." + "A" * 64, "1." + "A" * 200])
def test_what_was_never_sealed_is_refused(sealed: str) -> None:
    with pytest.raises(Unsealable):
        unseal(KEY, "p", sealed)


def test_another_key_or_purpose_does_not_open() -> None:
    sealed = seal(KEY, "p", "a secret")
    for key, purpose in ((b"other" * 8, "p"), (KEY, "q"), (KEY, "")):
        with pytest.raises(Unsealable):
            unseal(key, purpose, sealed)


def test_a_text_of_another_way_of_sealing_is_refused() -> None:
    sealed = seal(KEY, "p", "a secret")
    with pytest.raises(Unsealable):
        unseal(KEY, "p", "2" + sealed[1:])


def test_a_checksum_knows_its_text_again() -> None:
    assert checksum(KEY, "p", "a") == checksum(KEY, "p", "a")
    assert (
        len({checksum(KEY, "p", "a"), checksum(KEY, "p", "b"), checksum(KEY, "q", "a"), checksum(b"x", "p", "a")}) == 4
    )


def test_every_use_has_a_key_of_its_own() -> None:
    keys = {derived(KEY, "a"), derived(KEY, "b"), derived(b"x", "a"), derived(KEY, "a", b"salt"), KEY}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}

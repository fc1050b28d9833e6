"""One form for what people type."""

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import MOST_MARKS, fold, nfc


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("Đường Trần Phú", "duong tran phu"),
        (unicodedata.normalize("NFD", "Đường Trần Phú"), "duong tran phu"),
        ("  ổ gà\n\ttrên  đường ", "o ga tren duong"),
        ("BÙ GIA MẬP", "bu gia map"),
        ("Đăk Ơ", "dak o"),
        ("ủy ban, uỷ ban", "uy ban, uy ban"),
        ("22/4 hẻm 7", "22/4 hem 7"),
        ("", ""),
    ],
)
def test_words_are_compared_without_case_marks_and_spacing(typed: str, folded: str) -> None:
    assert fold(typed) == folded


def test_composed_and_decomposed_letters_become_one() -> None:
    assert nfc(unicodedata.normalize("NFD", "Đồng Xoài")) == "Đồng Xoài"
    assert nfc("plain") == "plain"


@pytest.mark.parametrize("form", [nfc, fold])
def test_marks_without_end_on_one_letter_are_cut(form: Callable[[str], str]) -> None:
    begun = time.process_time()
    made = form("a" + "\u0301\u0323" * 50_000 + "b")
    assert time.process_time() - begun < 0.5  # sorting them takes many seconds
    assert len(made) <= MOST_MARKS + 2
    assert made.endswith("b")
    assert nfc("e" + "\u0323\u0302") == "ệ"


@given(st.text())
def test_both_forms_are_final(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert nfc(nfc(text)) == nfc(text)
    assert fold(nfc(text)) == fold(text)

"""Fields suggested from a text: how often rightly, and that phrases are found as people write them."""

import json
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import fold
from routing.seeds import seed_fields
from routing.suggesting import LONGEST_READ, Phrases, Suggestion, offered, suggest

FIELDS = seed_fields()
ALL = Phrases.of({code: field.keywords for code, field in FIELDS.items()})
DATA = Path(__file__).parents[1] / "data"
Texts = list[tuple[str, str]]


def texts(file: str, field: str) -> Texts:
    """Texts and the field a person gave them."""
    return [(row["text"], row[field]) for row in map(json.loads, (DATA / file).read_text().splitlines())]


SAMPLES = texts("sample-reports.jsonl", "category")
SENTENCES = texts("field-sentences.jsonl", "field")  # written apart from the phrases, which were not fitted to them


def right(rows: Texts, limit: int) -> int:
    """Of how many texts the field is among the first `limit`."""
    return sum(field in [each.code for each in suggest(text, ALL, limit)] for text, field in rows)


def unmarked(rows: Texts) -> Texts:
    return [(fold(text), field) for text, field in rows]


# ---- how good it is


@pytest.mark.parametrize(
    ("rows", "first", "three"),
    [
        # as measured: what falls below has become worse
        pytest.param(SAMPLES, 38, 40, id="40 samples as written"),
        pytest.param(unmarked(SAMPLES), 38, 40, id="40 samples without marks"),
        pytest.param(SENTENCES, 55, 56, id="60 other sentences as written"),
        pytest.param(unmarked(SENTENCES), 55, 56, id="60 other sentences without marks"),
    ],
)
def test_it_is_as_often_right_as_was_measured(rows: Texts, first: int, three: int) -> None:
    assert (len(rows), len({text for text, _ in rows})) in {(40, 40), (60, 60)}
    assert right(rows, 1) >= first
    assert right(rows, 3) >= three


@pytest.mark.parametrize(
    "text",
    [
        "Xin chào tổng đài",
        "Tôi muốn hỏi một việc",
        "xin chao cho hoi",
        "12345",
        "Hôm nay trời đẹp quá",
        "?",
    ],
)
def test_where_nothing_is_known_nothing_is_suggested(text: str) -> None:
    assert suggest(text, offered(FIELDS.values(), date(2026, 11, 20))) == []


def test_a_text_takes_no_millisecond() -> None:
    for text, _ in SAMPLES:  # warm
        suggest(text, ALL)
    best = float("inf")
    for _ in range(3):  # the quickest of three: the machine does other things too
        began = time.process_time()
        for text, _ in SAMPLES:
            suggest(text, ALL)
        best = min(best, (time.process_time() - began) / len(SAMPLES))
    assert best < 0.001


# ---- how phrases are found

PHRASES = Phrases.of(
    {
        "water": ["nước", "nước máy", "mất nước"],
        "waste": ["nước thải", "rác"],
        "price": ["giá", "tăng giá"],
        "road": ["ổ gà", "vá đường"],
        "peace": ["hòa giải"],
        "both": ["rác"],
    }
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mất nước từ sáng", {"water": "mất nước"}),
        ("MẤT  NƯỚC!", {"water": "mất nước"}),
        ("mat nuoc tu sang", {"water": "mất nước"}),
        ("Nước thải chảy ra đường", {"waste": "nước thải"}),  # the longer phrase; "nước" is part of it
        ("Nước thải và nước máy", {"waste": "nước thải", "water": "nước máy"}),
        ("Gia đình tôi ở đây lâu rồi", {}),  # marks differ: not "giá"
        ("gia dinh toi o day", {"price": "giá"}),  # without marks nobody can tell
        ("Hoà giải ở tổ dân phố", {"peace": "hòa giải"}),  # the tone on either letter
        ("Hòa giải ở tổ dân phố", {"peace": "hòa giải"}),
        ("Ổ gà", {"road": "ổ gà"}),
        ("co o ga to", {"road": "ổ gà"}),
        ("hổ gàn", {}),  # whole words only
        ("Đống rác", {"waste": "rác", "both": "rác"}),  # of two fields
        ("", {}),
        ("!!! 123", {}),
    ],
)
def test_what_is_found(text: str, found: dict[str, str]) -> None:
    assert {each.code: each.phrase for each in suggest(text, PHRASES)} == found


def score(text: str, code: str) -> float:
    return next((each.score for each in suggest(text, PHRASES) if each.code == code), 0.0)


@pytest.mark.parametrize(
    ("more", "less", "code"),
    [
        ("Mất nước", "Nước", "water"),  # two words are surer than one
        ("Mất nước, nước máy yếu", "Mất nước", "water"),  # phrases add up
        ("Mất nước rồi", "mat nuoc roi", "water"),  # marks are surer than none
        ("Nước thải", "Rác", "waste"),  # a phrase of one field is surer than that of two
    ],
)
def test_what_is_surer(more: str, less: str, code: str) -> None:
    assert score(more, code) > score(less, code)


def test_said_twice_is_not_twice_as_sure() -> None:
    assert score("Mất nước. Mất nước. Mất nước!", "water") == score("Mất nước", "water")


def test_there_are_no_more_than_asked_for_and_the_best_is_first() -> None:
    many = suggest("Nước thải, rác, tăng giá, ổ gà, hòa giải", PHRASES, limit=3)
    assert len(many) == 3
    assert [each.score for each in many] == sorted((each.score for each in many), reverse=True)


def test_only_the_beginning_is_read() -> None:
    assert suggest("Xin chào " * (LONGEST_READ // 9 + 1) + "mất nước", PHRASES) == []


@given(st.text(max_size=300), st.integers(min_value=0, max_value=5))
def test_any_text_gives_scores_between_nothing_and_certainty(text: str, limit: int) -> None:
    found = suggest(text, ALL, limit)
    assert len(found) <= limit
    assert all(0 < each.score < 1 and each.code in FIELDS for each in found)


@pytest.mark.parametrize(("code", "phrase"), [(c, p) for c, field in FIELDS.items() for p in field.keywords])
def test_every_phrase_shipped_can_be_found_with_and_without_marks(code: str, phrase: str) -> None:
    assert found(suggest(phrase, ALL, 10), code, phrase)
    assert found(suggest(fold(phrase), ALL, 10), code, phrase)


def found(suggestions: Iterable[Suggestion], code: str, phrase: str) -> bool:
    return any(each.code == code and fold(each.phrase) == fold(phrase) for each in suggestions)


# ---- what everybody is offered


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("Cán bộ nhũng nhiễu, vòi tiền, hối lộ", "admin.corruption"),
        ("Có sòng bạc tài xỉu", "security.gambling"),
        ("Hút chích ma túy", "security.drug"),
        ("alo nhầm số", "feedback.none"),
        ("Tin khuyến mãi vay nhanh", "feedback.spam"),
    ],
)
def test_denunciations_crime_tips_and_rubbish_are_never_suggested_to_everybody(text: str, never: str) -> None:
    assert never in [each.code for each in suggest(text, ALL, 10)]
    today = date(2026, 11, 20)
    assert never not in [each.code for each in suggest(text, offered(FIELDS.values(), today), 10)]
    assert never in [each.code for each in suggest(text, offered(FIELDS.values(), today, to_everybody=False), 10)]


def test_only_fields_that_are_alive_are_offered() -> None:
    text, gone = "Xin gói hỗ trợ cho lao động tự do", "social.covid_support"
    assert gone in [each.code for each in suggest(text, offered(FIELDS.values(), date(2024, 1, 1)))]
    assert gone not in [each.code for each in suggest(text, offered(FIELDS.values(), date(2026, 1, 1)))]

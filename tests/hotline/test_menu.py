"""The menu as data: what may stand in it, and what is found wrong before anybody hears it."""

import copy
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cases.states import Status
from hotline.menu import ACTIONS, SEED, SPOKEN, BadMenu, menu_of, parse_menu, shipped_menu

SHIPPED = yaml.safe_load((SEED / "menu.yaml").read_text(encoding="utf-8"))


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(SHIPPED)
    change(document)
    return document


def put(value: Any, *path: str) -> dict[str, Any]:
    def change(document: dict[str, Any]) -> None:
        for key in path[:-1]:
            document = document.setdefault(key, {})
        document[path[-1]] = value

    return changed(change)


def test_the_shipped_menu_says_everything_in_both_languages() -> None:
    menu = shipped_menu()
    assert menu.languages == ("vi", "en")
    assert set(menu.statuses) == set(map(str, Status))
    assert all(set(words) == {"vi", "en"} for words in (*menu.prompts.values(), *menu.statuses.values()))
    assert menu.voices["vi"].language == "vi-VN"


def test_the_shipped_menu_tells_of_the_recording_first_and_offers_every_action() -> None:
    menu = shipped_menu()
    assert "ghi âm" in menu.prompts["notice"]["vi"].text
    assert "recorded" in menu.prompts["notice"]["en"].text
    offered = {choice.do for page in menu.pages.values() for choice in page.choices.values()}
    assert offered >= set(ACTIONS) - {"goodbye"}


@pytest.mark.parametrize("page", ["main", "after_hours"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_key_of_the_shipped_menu_is_named_in_its_prompt(page: str, language: str) -> None:
    menu = shipped_menu()
    text = menu.prompts[menu.pages[page].prompt][language].text
    spoken = {"*": ("phím sao", "press star")}
    for key in menu.pages[page].choices:
        assert any(name in text for name in spoken.get(key, (f"phím {key}", f"press {key}")))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))


OFFICE = put({"week": {"mon-fri": ["07:00-11:30", "13:30-17:00"]}, "holidays": "vn"}, "hours")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-03T06:59:59", False),
        ("2026-03-03T07:00:00", True),
        ("2026-03-03T11:29:59", True),
        ("2026-03-03T11:30:00", False),  # the closing minute is closed: nobody answers any more
        ("2026-03-03T14:00:00", True),
        ("2026-03-07T09:00:00", False),  # Saturday
        ("2026-04-30T09:00:00", False),  # a public holiday
    ],
)
def test_opening_hours_are_those_of_a_calendar(moment: str, is_open: bool) -> None:
    assert parse_menu(OFFICE).is_open(at(moment)) is is_open


def test_the_hour_is_the_local_one_and_without_hours_it_is_always_open() -> None:
    assert parse_menu(OFFICE).is_open(datetime.fromisoformat("2026-03-03T00:00:00+00:00"))
    assert not parse_menu(OFFICE).is_open(datetime.fromisoformat("2026-03-03T10:00:00+00:00"))
    assert parse_menu(put(None, "hours")).is_open(at("2026-03-07T03:00:00"))
    assert shipped_menu().is_open(at("2026-03-07T23:59:59"))


def test_json_is_read_as_yaml_is() -> None:
    import json

    assert parse_menu(json.dumps(SHIPPED)).pages == shipped_menu().pages


def test_a_prompt_may_be_a_recording_of_ours() -> None:
    words = parse_menu(put({"say": "Xin chào", "play": "/static/voice/vi.mp3"}, "prompts", "notice", "vi"))
    assert words.prompts["notice"]["vi"].audio == "/static/voice/vi.mp3"


WRONG: dict[str, tuple[Any, str]] = {
    "no mapping": ([], "mapping"),
    "no YAML": ("a: [", "YAML"),
    "an empty text": ("", "mapping"),
    "an unknown key": (put(1, "colour"), "colour: unknown key"),
    "no languages": (put([], "languages"), "languages"),
    "a language twice": (put(["vi", "vi"], "languages"), "languages"),
    "a language that YAML reads as a truth": (put(["vi", False], "languages"), "languages"),
    "a language nobody speaks": (put(["vi", "en", "km"], "languages"), "voices.km"),
    "a voice without its tag": (put({"language": "vi"}, "voices", "vi"), "voices.vi"),
    "a voice with an unknown key": (put({"language": "vi-VN", "speed": 2}, "voices", "vi"), "voices.vi.speed"),
    "hours that no day has": (put({"week": {"mon": ["08:00-25:00"]}}, "hours"), "hours."),
    "no open menu": (put("nowhere", "open"), "open"),
    "no closed menu": (put(None, "closed"), "closed"),
    "a menu without choices": (put({}, "menus", "main", "choices"), "menus.main.choices"),
    "a menu without a prompt": (put("nothing", "menus", "main", "prompt"), "menus.main.prompt"),
    "a menu that is none": (put("x", "menus", "main"), "menus.main"),
    "a menu with a name for an address": (put(SHIPPED["menus"]["main"], "menus", "a~b"), "menus.a~b"),
    "a key that no phone has": (put("report", "menus", "main", "choices", "x"), "choices.x"),
    "the key that ends input": (put("report", "menus", "main", "choices", "#"), "choices.#"),
    "two keys at once": (put("report", "menus", "main", "choices", "12"), "choices.12"),
    "an action nobody knows": (put("dance", "menus", "main", "choices", "5"), "choices.5"),
    "a way to no menu": (put({"menu": "nowhere"}, "menus", "main", "choices", "5"), "choices.5.menu"),
    "words that are no prompt": (put({"say": "nothing"}, "menus", "main", "choices", "5"), "choices.5.say"),
    "another language where there is none": (put(["vi"], "languages"), "choices.9"),
    "a prompt left out": (changed(lambda d: d["prompts"].pop("closed")), "prompts.closed: is missing"),
    "a prompt in one language": (changed(lambda d: d["prompts"]["closed"].pop("en")), "prompts.closed.en"),
    "a prompt of spaces": (put("  ", "prompts", "closed", "vi"), "prompts.closed.vi"),
    "a prompt with control characters": (put("a\x07b", "prompts", "closed", "vi"), "prompts.closed.vi"),
    "a prompt that is a number": (put(5, "prompts", "closed", "vi"), "prompts.closed.vi"),
    "a prompt without end": (put("a" * 2000, "prompts", "closed", "vi"), "longer"),
    "a value where there is none": (put("số {code}", "prompts", "closed", "vi"), "{code}"),
    "a look into a value": (put("{code.x}", "prompts", "found", "vi"), "{code.x}"),
    "an open brace": (put("a { b", "prompts", "found", "vi"), "prompts.found.vi"),
    "a recording at no address": (put({"say": "x", "play": "vi.mp3"}, "prompts", "closed", "vi"), "play"),
    "a status left out": (changed(lambda d: d["statuses"].pop("merged")), "statuses.merged: is missing"),
    "a status there is not": (put({"vi": "a", "en": "b"}, "statuses", "gone"), "statuses.gone"),
    "no patience at all": (put(0, "patience", "tries"), "patience.tries"),
    "patience that is a truth": (put(True, "patience", "seconds"), "patience.seconds"),
    "patience without end": (put("repeat", "patience", "after_wrong"), "for ever"),
    "a voicemail without end": (put(7200, "voicemail", "longest"), "voicemail.longest"),
}


@pytest.mark.parametrize(("document", "named"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(document: Any, named: str) -> None:
    with pytest.raises(BadMenu) as bad:
        parse_menu(document)
    assert any(named in problem for problem in bad.value.problems), bad.value.problems


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(BadMenu) as bad:
        parse_menu({})
    assert len(bad.value.problems) > len(SPOKEN) + len(Status)


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


PATHS: list[tuple[str, ...]] = [(key,) for key in SHIPPED]
PATHS += [(key, name) for key, part in SHIPPED.items() if isinstance(part, dict) for name in part]
PATHS += [("menus", "main", "prompt"), ("menus", "main", "choices"), ("menus", "main", "choices", "1")]


@given(path=st.sampled_from(PATHS), value=JSON_VALUES)
def test_no_value_anywhere_makes_it_fail_otherwise(path: tuple[str, ...], value: Any) -> None:
    with suppress(BadMenu):
        assert parse_menu(put(value, *path)).pages


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"menus: [", "not readable as YAML"),
        (b"languages: [vi]", "voices.vi"),
    ],
)
def test_a_menu_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    file = tmp_path / "menu.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadMenu, match=wrong) as bad:
        menu_of(file)
    assert all(problem.startswith(str(file)) for problem in bad.value.problems)


def test_without_a_file_the_shipped_menu_speaks_and_with_one_that_file(tmp_path: Path) -> None:
    file = tmp_path / "menu.yaml"
    file.write_text((SEED / "menu.yaml").read_text(encoding="utf-8").replace("tries: 3", "tries: 2"), encoding="utf-8")
    assert (menu_of(None), menu_of(file).tries) == (shipped_menu(), 2)

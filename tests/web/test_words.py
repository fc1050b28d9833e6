"""Every sentence on a page has its English, and no translation lies around unused."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from web import rendering
from web.names import CHANNEL_ICON, NAMES, STATUS_ICON, STATUS_TONE

WEB = Path(rendering.__file__).parent
SAYERS = {"say", "_"}  # functions and methods that take a Vietnamese sentence to be translated


def in_templates() -> Iterator[tuple[str, str]]:
    environment = rendering._environments["vi"]
    for path in sorted((WEB / "templates").rglob("*.html")):
        for _, _, message in environment.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            yield path.relative_to(WEB).as_posix(), message if isinstance(message, str) else message[0]


def in_code() -> Iterator[tuple[str, str]]:
    for path in sorted(WEB.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in SAYERS:
                for argument in node.args[:2]:
                    if (
                        isinstance(argument, ast.Constant)
                        and isinstance(argument.value, str)
                        and argument.value not in ("vi", "en")
                    ):
                        yield path.relative_to(WEB).as_posix(), argument.value


SENTENCES = [*in_templates(), *in_code()]


def test_there_are_sentences_at_all():
    assert len(SENTENCES) > 50


def test_no_sentence_is_translated_in_two_ways():
    known: dict[str, tuple[str, str]] = {}
    for path in sorted((WEB / "words").glob("*.yaml")):
        for vi, en in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            first = known.setdefault(vi, (en, path.name))
            assert first[0] == en, f"{vi}: {first} and {(en, path.name)}"


def test_every_sentence_has_its_english():
    missing = sorted({f"{where}: {text}" for where, text in SENTENCES if text not in rendering.ENGLISH})
    assert not missing, "\n".join(missing)


def test_no_translation_is_unused():
    used = {text for _, text in SENTENCES}
    source = "\n".join(path.read_text(encoding="utf-8") for path in WEB.rglob("*.py"))
    unused = sorted(text for text in rendering.ENGLISH if text not in used and text not in source)
    assert not unused, "\n".join(unused)


@pytest.mark.parametrize("vi", sorted(rendering.ENGLISH))
def test_a_translation_fills_in_the_same_members(vi: str):
    """A member that only one language names would be an error on the page of the other."""
    members = re.compile(r"%\((\w+)\)")
    assert set(members.findall(vi)) == set(members.findall(rendering.ENGLISH[vi]))


def test_every_status_and_channel_has_a_name_a_tone_and_an_icon():
    assert set(NAMES["status"]) == set(STATUS_TONE) == set(STATUS_ICON) == set(NAMES["citizen_status"])
    assert set(NAMES["channel"]) == set(CHANNEL_ICON)

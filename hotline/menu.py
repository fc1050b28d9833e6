"""The menu a caller hears, as data: what is said in which language, which key does what, when the centre is open.

Pure but for reading the shipped menu beside it. How a call walks through it is in `steps.py`, how that sounds to Twilio
in `twiml.py`. The shape of the YAML is told at `parse_menu`; every problem is found before a menu is used, because a
wrong one is heard by everybody who calls.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Final

import yaml

from cases.states import Status
from core.errors import Unusable
from routing.calendars import BadCalendar, parse_calendar
from routing.working_time import Calendar

SEED = Path(__file__).parent / "seed"

ACTIONS: Final = ("report", "status", "agent", "language", "repeat", "goodbye")
SPOKEN: Final[Mapping[str, frozenset[str]]] = {  # prompts every menu has → what may stand in them in braces
    "notice": frozenset(),  # greeting, and that the call is recorded: before anything else
    "closed": frozenset(),  # after the notice, outside opening hours
    "wrong": frozenset(),
    "silence": frozenset(),
    "report": frozenset(),  # before the tone
    "agent": frozenset(),
    "agent_closed": frozenset(),
    "agent_unreachable": frozenset(),  # the caller shows no number that could be called back
    "code": frozenset(),
    "wrong_code": frozenset(),
    "not_found": frozenset(),
    "unavailable": frozenset(),
    "found": frozenset({"code"}),  # before the sentence of the status
    "nothing_recorded": frozenset(),
    "recorded": frozenset(),
    "recorded_agent": frozenset(),
    "goodbye": frozenset(),
}
LONGEST_WORDS: Final = 1_500  # characters of one prompt: more than a minute of speech

_KEY = re.compile(r"[0-9*]")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


class BadMenu(Unusable, ValueError):
    """A menu that cannot be used; `problems` names each key and what is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks a language: its tag, and the carrier's name of a voice where one is chosen."""

    language: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """One prompt in one language: read out, or played where there is a recording of it."""

    text: str
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key does: one of ACTIONS, `menu` (another menu) or `say` (a prompt, then the same menu again)."""

    do: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One menu: its prompt and its keys."""

    prompt: str
    choices: Mapping[str, Choice]


@dataclass(frozen=True)
class Menu:
    """The whole menu. `languages`: the first is spoken until the caller chooses another."""

    languages: tuple[str, ...]
    voices: Mapping[str, Voice]
    pages: Mapping[str, Page]
    open: str  # the page while the centre is open
    closed: str  # and while it is not
    prompts: Mapping[str, Mapping[str, Words]]
    statuses: Mapping[str, Mapping[str, Words]]
    hours: Calendar | None  # None: always open
    seconds: int  # to wait for a key
    tries: int  # wrong or missing keys in a row before `after_wrong` or `after_silence`
    after_wrong: Choice
    after_silence: Choice
    longest: int  # seconds of a voicemail
    shortest: int  # below that it is a slip

    def is_open(self, at: datetime) -> bool:
        """Whether people are there at this moment: from an opening until just before the closing."""
        if self.hours is None:
            return True
        local = at.astimezone(self.hours.zone)
        minute = (local - local.replace(hour=0, minute=0, second=0, microsecond=0)) // timedelta(minutes=1)
        return any(span.start_minute <= minute < span.end_minute for span in self.hours.windows(local.date()))


@cache
def shipped_menu() -> Menu:
    """The menu a fresh installation starts with."""
    return parse_menu((SEED / "menu.yaml").read_text(encoding="utf-8"))


def menu_of(file: Path | None) -> Menu:
    """The menu of this installation: its own file, or the shipped one. BadMenu also for a file that cannot be read."""
    if file is None:
        return shipped_menu()
    try:
        return parse_menu(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadMenu([f"{file}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadMenu([f"{file}: is not UTF-8 text"]) from None
    except BadMenu as bad:
        raise BadMenu([f"{file}: {problem}" for problem in bad.problems]) from None


def parse_menu(source: str | Mapping[Any, Any]) -> Menu:
    """Read a menu from YAML or JSON text or from a mapping. BadMenu lists everything that is wrong.

    `languages`: codes, the first is the usual one; `voices`: `language` and perhaps `voice` of each; `hours`: a
    calendar as in a rule set, absent: always open; `open`, `closed`: names of menus; `menus`: each with `prompt` and
    `choices`, key → action, `{menu: name}` or `{say: prompt}`; `patience`: `seconds`, `tries`, `after_wrong`,
    `after_silence`; `voicemail`: `longest`, `shortest` in seconds; `prompts` and `statuses`: name → language → text, or
    `{say: text, play: address}`.
    """
    document = _load(source) if isinstance(source, str) else source
    if not isinstance(document, Mapping):
        raise BadMenu(["the menu must be a mapping"])
    return _Reader(document).menu()


def _load(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadMenu([f"not readable as YAML: {' '.join(str(error).split())}"]) from None


_KEYS = (
    "languages", "voices", "hours", "open", "closed", "menus", "patience", "voicemail", "prompts", "statuses",
)  # fmt: skip


class _Reader:
    """Reads one menu, and collects every problem before it gives up."""

    def __init__(self, document: Mapping[Any, Any]) -> None:
        self.document = document
        self.problems: list[str] = []

    def menu(self) -> Menu:
        self._known("", self.document, _KEYS)
        languages = self._languages()
        prompts, statuses = self._prompts("prompts", languages), self._prompts("statuses", languages)
        self._spoken(prompts, statuses)
        pages = {name: self._page(name, part, prompts) for name, part in self._part("menus").items()}
        for name, page in pages.items():
            for key, choice in page.choices.items():
                self._target(f"menus.{name}.choices.{key}", choice, pages, languages)
        patience, voicemail = self._part("patience"), self._part("voicemail")
        self._known("patience.", patience, ("seconds", "tries", "after_wrong", "after_silence"))
        self._known("voicemail.", voicemail, ("longest", "shortest"))
        after = {name: self._choice(f"patience.{name}", patience.get(name, "goodbye"), prompts)
                 for name in ("after_wrong", "after_silence")}  # fmt: skip
        for name, choice in after.items():
            self._target(f"patience.{name}", choice, pages, languages)
            if choice.do in ("repeat", "language", "say", "menu", "status"):
                self.problems.append(f"patience.{name}: would go on for ever; use report, agent or goodbye")
        menu = Menu(
            languages,
            self._voices(languages),
            pages,
            self._named("open", pages),
            self._named("closed", pages),
            prompts,
            statuses,
            self._hours(),
            self._whole("patience.seconds", patience.get("seconds", 6), 1, 30),
            self._whole("patience.tries", patience.get("tries", 3), 1, 9),
            after["after_wrong"],
            after["after_silence"],
            self._whole("voicemail.longest", voicemail.get("longest", 180), 10, 3600),
            self._whole("voicemail.shortest", voicemail.get("shortest", 2), 1, 10),
        )
        if self.problems:
            raise BadMenu(self.problems)
        return menu

    def _part(self, key: str) -> Mapping[str, Any]:
        part = self.document.get(key) or {}
        if isinstance(part, Mapping):
            return {str(name): value for name, value in part.items()}
        self.problems.append(f"{key}: must be a mapping")
        return {}

    def _known(self, prefix: str, part: Mapping[Any, Any], known: Sequence[str]) -> None:
        self.problems += [
            f"{prefix}{key}: unknown key; known are {', '.join(known)}" for key in part if key not in known
        ]

    def _languages(self) -> tuple[str, ...]:
        given = self.document.get("languages")
        found = tuple(given) if isinstance(given, list) else ()
        if not found or len(set(map(str, found))) < len(found):
            self.problems.append("languages: must be a list of different languages, such as [vi, en]")
        if any(not isinstance(each, str) or not re.fullmatch(r"[a-z]{2}", each) for each in found):
            self.problems.append("languages: each is two small letters; quote what YAML reads as something else")
        return tuple(each for each in found if isinstance(each, str))

    def _voices(self, languages: Sequence[str]) -> dict[str, Voice]:
        part, found = self._part("voices"), {}
        self._known("voices.", part, languages)
        for language in languages:
            given = part.get(language)
            tag = given.get("language") if isinstance(given, Mapping) else None
            if (
                not isinstance(given, Mapping)
                or not isinstance(tag, str)
                or not re.fullmatch(r"[a-z]{2}-[A-Z]{2}", tag)
            ):
                self.problems.append(f"voices.{language}: needs its language, such as vi-VN")
                continue
            self._known(f"voices.{language}.", given, ("language", "voice"))
            name = given.get("voice")
            found[language] = Voice(tag, str(name) if name else None)
        return found

    def _hours(self) -> Calendar | None:
        if self.document.get("hours") is None:
            return None
        try:
            return parse_calendar(self._part("hours"), code="menu")
        except BadCalendar as bad:
            self.problems += [f"hours.{problem}" for problem in bad.problems]
            return None

    def _prompts(self, key: str, languages: Sequence[str]) -> dict[str, dict[str, Words]]:
        found: dict[str, dict[str, Words]] = {}
        for name, part in self._part(key).items():
            where = f"{key}.{name}"
            if not _NAME.fullmatch(name) or not isinstance(part, Mapping):
                self.problems.append(f"{where}: must be a simple name with words for each language")
                continue
            self._known(f"{where}.", part, languages)
            may = SPOKEN.get(name, frozenset()) if key == "prompts" else frozenset()
            words = {each: self._words(f"{where}.{each}", part.get(each), may) for each in languages}
            found[name] = {language: said for language, said in words.items() if said is not None}
        return found

    def _words(self, where: str, given: Any, may: frozenset[str]) -> Words | None:
        part = given if isinstance(given, Mapping) else {"say": given}
        self._known(f"{where}.", part, ("say", "play"))
        text, audio = part.get("say"), part.get("play")
        if not isinstance(text, str) or not text.strip() or not text.replace("\n", " ").isprintable():
            self.problems.append(f"{where}: says nothing")
            return None
        if len(text) > LONGEST_WORDS:
            self.problems.append(f"{where}: is longer than {LONGEST_WORDS} characters")
        if audio is not None and not (isinstance(audio, str) and re.fullmatch(r"(https://|/)[^\s]+", audio)):
            self.problems.append(f"{where}.play: must be an address that begins with https:// or /")
        try:
            named = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError:
            named = {"{"}
        if odd := sorted(named - may):
            self.problems.append(f"{where}: nothing can stand for {{{odd[0]}}} there")
        return Words(" ".join(text.split()), audio if isinstance(audio, str) else None)

    def _spoken(self, prompts: Mapping[str, Any], statuses: Mapping[str, Any]) -> None:
        self.problems += [f"prompts.{name}: is missing" for name in SPOKEN if name not in prompts]
        self.problems += [f"statuses.{status}: is missing" for status in Status if status not in statuses]
        known = set(map(str, Status))
        self.problems += [f"statuses.{name}: there is no such status" for name in statuses if name not in known]

    def _page(self, name: str, part: Any, prompts: Mapping[str, Any]) -> Page:
        where = f"menus.{name}"
        if not _NAME.fullmatch(name) or not isinstance(part, Mapping):
            self.problems.append(f"{where}: must be a simple name with prompt and choices")
            return Page("", {})
        self._known(f"{where}.", part, ("prompt", "choices"))
        prompt, choices = str(part.get("prompt")), part.get("choices")
        if prompt not in prompts:
            self.problems.append(f"{where}.prompt: there is no prompt {prompt}")
        if not isinstance(choices, Mapping) or not choices:
            self.problems.append(f"{where}.choices: offers nothing")
            choices = {}
        found = {}
        for key, given in choices.items():
            if not _KEY.fullmatch(str(key)):
                self.problems.append(f"{where}.choices.{key}: a key is one of 0 to 9 and *")
            found[str(key)] = self._choice(f"{where}.choices.{key}", given, prompts)
        return Page(prompt, found)

    def _choice(self, where: str, given: Any, prompts: Mapping[str, Any]) -> Choice:
        if given in ACTIONS:
            return Choice(str(given))
        if isinstance(given, Mapping) and len(given) == 1 and next(iter(given)) in ("menu", "say"):
            do, target = next(iter(given.items()))
            if do == "say" and str(target) not in prompts:
                self.problems.append(f"{where}.say: there is no prompt {target}")
            return Choice(do, str(target))
        self.problems.append(f"{where}: must be one of {', '.join(ACTIONS)}, or menu or say with a name")
        return Choice("goodbye")

    def _target(self, where: str, choice: Choice, pages: Mapping[str, Page], languages: Sequence[str]) -> None:
        if choice.do == "menu" and choice.target not in pages:
            self.problems.append(f"{where}.menu: there is no menu {choice.target}")
        if choice.do == "language" and len(languages) < 2:
            self.problems.append(f"{where}: there is no other language")

    def _named(self, key: str, pages: Mapping[str, Page]) -> str:
        name = str(self.document.get(key))
        if name not in pages:
            self.problems.append(f"{key}: must name one of the menus")
        return name

    def _whole(self, where: str, given: Any, least: int, most: int) -> int:
        if isinstance(given, int) and not isinstance(given, bool) and least <= given <= most:
            return given
        self.problems.append(f"{where}: must be a whole number from {least} to {most}")
        return least

"""How a call walks through the menu: one function from where it stands and what happened to where it stands then.

Pure. It keeps nothing: where a call stands travels in the address that the carrier asks next, which the carrier signs.
So any process can answer any step, twice if asked twice, and the shipped menu answers while the database is down.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from cases.codes import damm
from channels.message import InboundMessage
from hotline.menu import Choice, Menu, Words
from hotline.states import OVER

At = Literal["start", "menu", "code", "looking", "record", "ended"]
Wish = Literal["", "report", "agent"]
Outcome = Literal["", "missed", "served", "callback", "voicemail"]
OUTCOMES: Final = get_args(Outcome)  # what came of a call, the least first

MOST_STEPS: Final = 60  # somebody who plays with the keys is not let go on for ever
CODE_LENGTH: Final = range(9, 21)  # digits of a case code: two of the year, six or more of the number, one to check


# ---- what happens


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call has come in. `reachable`: it shows a number that can be called back."""

    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Keys:
    """What was pressed; nothing at all is silence."""

    pressed: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The caller has spoken after the tone, for so many seconds; None: the carrier does not say for how long."""

    seconds: int | None


@dataclass(frozen=True, slots=True)
class HungUp:
    """The call is over at the caller's end."""


@dataclass(frozen=True, slots=True)
class Found:
    """The case that was asked for, by the digits of its code, and its status."""

    digits: str
    status: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no such case, or none that may be spoken of."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nobody can say now."""


Event = Arrived | Keys | Recorded | HungUp | Found | NotFound | Unavailable


def event_of(message: InboundMessage) -> Event | None:
    """What an event of the channel `voice` is to the menu; None for one that asks for no answer and ends nothing."""
    thread = message.thread
    match thread.get("event"):
        case "incoming":
            return Arrived(message.sender is not None and message.sender.scheme == "phone")
        case "digits":
            return Keys(thread.get("digits", ""))
        case "step":
            return Keys()
        case "recorded":
            return Recorded(thread.get("recording", {}).get("duration"))
        case "status" if message.status in OVER:
            return HungUp()
    return None


# ---- what is done about it


@dataclass(frozen=True, slots=True)
class Say:
    """Words read out."""

    text: str
    language: str
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class Play:
    """A recording of ours."""

    address: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Words that a key interrupts. `digits`: how many keys; None: until #."""

    prompts: tuple[Say | Play, ...]
    digits: int | None
    seconds: int


@dataclass(frozen=True, slots=True)
class Record:
    """A tone, then what the caller says."""

    longest: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """Ask again at the same address: nobody pressed or said anything."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The end."""


@dataclass(frozen=True, slots=True)
class Look:
    """Not for the carrier: find this case, then take the step again with Found, NotFound or Unavailable."""

    digits: str


Act = Say | Play | Gather | Record | Redirect | Hangup | Look


# ---- where a call stands


@dataclass(frozen=True, slots=True)
class State:
    """Where a call stands. `n` counts the steps, so that no two of them have the same address."""

    at: At = "start"
    page: str = ""
    language: str = ""
    silences: int = 0
    wrong: int = 0
    n: int = 0
    wish: Wish = ""
    outcome: Outcome = ""
    reachable: bool = True

    def token(self) -> str:
        """As it stands in an address; no part of it says anything about the caller."""
        parts = (self.at, self.page, self.language, self.silences, self.wrong, self.n, self.wish, self.outcome)
        return "~".join((*map(str, parts), "1" if self.reachable else "0"))


def state_of(menu: Menu, token: str) -> State:
    """The state behind a token; a call whose token is none, or of a menu that has changed since, begins again."""
    parts = token.split("~")
    if len(parts) != 9 or not all(re.fullmatch(r"[0-9]{1,4}", part, re.ASCII) for part in parts[3:6]):
        return State()
    at, page, language, silences, wrong, n, wish, outcome, reachable = parts
    words = at in get_args(At) and wish in get_args(Wish) and outcome in OUTCOMES
    if not words or language not in menu.languages or page not in menu.pages:
        return State()
    counts = (int(silences), int(wrong), int(n))
    return State(at, page, language, *counts, wish, outcome, reachable == "1")  # type: ignore[arg-type]  # words: checked


def further(one: Outcome, other: Outcome) -> Outcome:
    """The outcome that holds when both were heard of: a voicemail is more than a missed call, whichever came first."""
    return max(one, other, key=OUTCOMES.index)


def step(menu: Menu, state: State, event: Event, now_open: bool) -> tuple[State, list[Act]]:
    """Where the call stands after this event, and what the caller hears. The same for the same, always."""
    walk = _Walk(menu, replace(state, n=state.n + 1), now_open)
    if isinstance(event, HungUp):
        return walk.hung_up(), []
    if isinstance(event, Recorded) and (event.seconds is None or event.seconds >= menu.shortest):
        return walk.recorded()
    if state.at == "ended":
        return state, [Hangup()]
    if isinstance(event, Arrived) or state.at == "start":
        return walk.arrived(event.reachable if isinstance(event, Arrived) else state.reachable)
    if state.n >= MOST_STEPS:
        return walk.goodbye()
    if state.at == "looking":
        return walk.looked(event)
    pressed = event.pressed if isinstance(event, Keys) else ""
    match state.at:
        case "menu":
            return walk.chosen(pressed)
        case "code":
            return walk.code(pressed)
        case _:
            return walk.nothing_recorded()


@dataclass(frozen=True, slots=True)
class _Walk:
    """One step."""

    menu: Menu
    state: State
    now_open: bool

    def arrived(self, reachable: bool) -> tuple[State, list[Act]]:
        page = self.menu.open if self.now_open else self.menu.closed
        state = State("menu", page, self.menu.languages[0], n=self.state.n, reachable=reachable)
        heard = ("notice",) if self.now_open else ("notice", "closed")
        walk = replace(self, state=state)
        return walk._ask((), first=[walk._say(name) for name in heard])

    def chosen(self, key: str) -> tuple[State, list[Act]]:
        choice = self.menu.pages[self.state.page].choices.get(key)
        if choice is None:
            return self._missed_key("menu", key)
        return replace(self, state=replace(self.state, silences=0, wrong=0))._do(choice)

    def code(self, keys: str) -> tuple[State, list[Act]]:
        if "*" in keys:
            return self.again()
        digits = re.sub(r"[^0-9]", "", keys)
        if not digits:
            return self._missed_key("code", "")
        if len(digits) not in CODE_LENGTH or damm(digits) != 0:
            return self._missed_key("code", digits, "wrong_code")
        return replace(self.state, at="looking"), [Look(digits)]

    def looked(self, event: Event) -> tuple[State, list[Act]]:
        if isinstance(event, NotFound):
            return self._missed_key("code", "-", "not_found")
        status = self.menu.statuses.get(event.status) if isinstance(event, Found) else None
        if status is None or not isinstance(event, Found):
            return self.again("unavailable")
        state = replace(self.state, at="menu", silences=0, wrong=0, outcome=further(self.state.outcome, "served"))
        walk = replace(self, state=state)
        spelled = ", ".join(event.digits)  # read out one by one
        return walk._ask((walk._say("found", code=spelled), walk._words(status)))

    def recorded(self) -> tuple[State, list[Act]]:
        """It may be told after the caller has hung up, which is how most people end a message."""
        state = replace(self.state, at="ended", outcome="voicemail", silences=0, wrong=0)
        walk = replace(self, state=state if state.language else replace(state, language=self.menu.languages[0]))
        return walk.state, [walk._say("recorded_agent" if state.wish == "agent" else "recorded"), Hangup()]

    def nothing_recorded(self) -> tuple[State, list[Act]]:
        if self.state.silences:
            return self.goodbye()
        state = replace(self.state, silences=1)
        return state, [self._say("nothing_recorded"), Record(self.menu.longest), Redirect()]

    def again(self, before: str = "") -> tuple[State, list[Act]]:
        """Back to the menu."""
        walk = replace(self, state=replace(self.state, at="menu", silences=0, wrong=0))
        return walk._ask((walk._say(before),) if before else ())

    def goodbye(self) -> tuple[State, list[Act]]:
        return self.hung_up(), [self._say("goodbye"), Hangup()]

    def hung_up(self) -> State:
        """A caller who asked for a person is called back; one who got nothing at all is a missed call."""
        wanted: Outcome = "callback" if self.state.wish == "agent" and self.state.reachable else "missed"
        return replace(self.state, at="ended", outcome=further(self.state.outcome, wanted))

    def _do(self, choice: Choice) -> tuple[State, list[Act]]:
        menu, state = self.menu, self.state
        match choice.do:
            case "menu":
                return replace(self, state=replace(state, at="menu", page=choice.target))._ask(())
            case "say":
                return self.again(choice.target)
            case "language":
                following = menu.languages.index(state.language) + 1
                language = menu.languages[following % len(menu.languages)]
                return replace(self, state=replace(state, language=language)).again()
            case "status":
                return replace(self, state=replace(state, at="code"))._ask_code(())
            case "report" | "agent":
                return self._record("report" if choice.do == "report" else "agent")
            case "goodbye":
                return self.goodbye()
            case _:
                return self.again()

    def _record(self, wish: Wish) -> tuple[State, list[Act]]:
        """Until there is a queue, whoever wants a person leaves word and is called back."""
        state = replace(self.state, at="record", wish=wish, silences=0, wrong=0)
        prompt = "report"
        if wish == "agent":
            prompt = "agent" if self.now_open else "agent_closed"
        said: list[Act] = [self._say(prompt)]
        if wish == "agent" and not state.reachable:
            said.append(self._say("agent_unreachable"))
        return state, [*said, Record(self.menu.longest), Redirect()]

    def _missed_key(self, at: At, key: str, why: str = "wrong") -> tuple[State, list[Act]]:
        """A wrong key or none: asked again, so many times in a row."""
        state = replace(self.state, at=at)
        if key:
            state, after = replace(state, wrong=state.wrong + 1, silences=0), self.menu.after_wrong
        else:
            state, after, why = replace(state, silences=state.silences + 1), self.menu.after_silence, "silence"
        if max(state.wrong, state.silences) >= self.menu.tries:
            return replace(self, state=replace(state, silences=0, wrong=0))._do(after)
        walk = replace(self, state=state)
        return walk._ask((walk._say(why),)) if at == "menu" else walk._ask_code((walk._say(why),))

    def _ask(self, said: Sequence[Say | Play], first: Sequence[Say | Play] = ()) -> tuple[State, list[Act]]:
        """The page's prompt. A key interrupts it and what is `said` before it, but not what has to be heard `first`."""
        prompt = self._say(self.menu.pages[self.state.page].prompt)
        return self.state, [*first, Gather((*said, prompt), 1, self.menu.seconds), Redirect()]

    def _ask_code(self, said: Sequence[Say | Play]) -> tuple[State, list[Act]]:
        return self.state, [Gather((*said, self._say("code")), None, self.menu.seconds), Redirect()]

    def _say(self, name: str, **values: str) -> Say | Play:
        return self._words(self.menu.prompts[name], **values)

    def _words(self, prompt: Mapping[str, Words], **values: str) -> Say | Play:
        words, voice = prompt[self.state.language], self.menu.voices[self.state.language]
        return Play(words.audio) if words.audio else Say(words.text.format(**values), voice.language, voice.name)

"""A call walks through the menu: every key, silence, wrong keys, and a caller who hangs up anywhere."""

import inspect
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml import voice_response

from cases.states import Status
from channels.message import Address, InboundMessage
from hotline.menu import Menu, parse_menu, shipped_menu
from hotline.steps import (
    MOST_STEPS,
    OUTCOMES,
    Act,
    Arrived,
    Event,
    Found,
    Gather,
    Hangup,
    HungUp,
    Keys,
    Look,
    NotFound,
    Play,
    Record,
    Recorded,
    Redirect,
    Say,
    State,
    Unavailable,
    event_of,
    further,
    state_of,
    step,
)
from hotline.twiml import twiml
from tests.hotline.test_menu import put

MENU = shipped_menu()
CODE = "260482134"  # BP-26-0482134
TO = "https://1022.example.vn/webhooks/twilio/voice/step?state=x&n=1"
PROMPTS = {words["vi"].text: name for name, words in MENU.prompts.items()} | {
    words["en"].text: f"{name} in English" for name, words in MENU.prompts.items()
}


def walk(
    *events: Event, is_open: bool = True, menu: Menu = MENU, state: State | None = None
) -> tuple[State, list[Act]]:
    """Where a call stands after these events, and what was heard at the last; each state goes through its token."""
    state = state or State()
    acts: list[Act] = []
    for event in events:
        state, acts = step(menu, state_of(menu, state.token()), event, is_open)
    return state, acts


def heard(acts: list[Act]) -> list[str]:
    """Names of the prompts that are said, in order."""
    said = [each for act in acts for each in (act.prompts if isinstance(act, Gather) else (act,))]
    return [PROMPTS.get(each.text, each.text) for each in said if isinstance(each, Say)]


IN = Arrived()


# ---- every branch


def test_the_notice_comes_first_and_cannot_be_skipped() -> None:
    state, acts = walk(IN)
    assert heard(acts) == ["notice", "main"]
    assert isinstance(acts[0], Say)
    assert acts[1:] == [Gather(acts[1].prompts, 1, 6), Redirect()]  # type: ignore[union-attr]
    assert (state.at, state.page, state.language) == ("menu", "main", "vi")


def test_outside_opening_hours_the_caller_is_told_and_hears_the_other_menu() -> None:
    state, acts = walk(IN, is_open=False)
    assert heard(acts) == ["notice", "closed", "after_hours"]
    assert state.page == "after_hours"


@pytest.mark.parametrize(
    ("key", "at", "said"),
    [
        ("1", "record", ["report"]),
        ("2", "code", ["code"]),
        ("3", "menu", ["emergency", "main"]),
        ("9", "menu", ["main in English"]),
        ("0", "record", ["agent"]),
        ("*", "menu", ["main"]),
    ],
)
def test_each_key_does_what_it_says(key: str, at: str, said: list[str]) -> None:
    state, acts = walk(IN, Keys(key))
    assert (state.at, heard(acts)) == (at, said)
    assert isinstance(acts[-1], Redirect)


def test_keys_of_the_menu_after_hours_and_who_asks_for_a_person_then() -> None:
    state, acts = walk(IN, Keys("0"), is_open=False)
    assert (state.wish, heard(acts)) == ("agent", ["agent_closed"])


def test_a_caller_without_a_number_is_asked_to_say_one() -> None:
    assert heard(walk(Arrived(reachable=False), Keys("0"))[1]) == ["agent", "agent_unreachable"]
    assert heard(walk(Arrived(reachable=False), Keys("1"))[1]) == ["report"]


def test_the_language_goes_round_and_stays() -> None:
    _, acts = walk(IN, Keys("9"))
    assert acts[0].prompts[0].language == "en-US"  # type: ignore[union-attr]
    assert heard(walk(IN, Keys("9"), Keys("1"))[1]) == ["report in English"]
    assert walk(IN, Keys("9"), Keys("9"))[0].language == "vi"


def test_a_report_is_recorded_and_thanked_for() -> None:
    _, acts = walk(IN, Keys("1"))
    assert acts[1:] == [Record(180), Redirect()]
    state, acts = walk(IN, Keys("1"), Recorded(20))
    assert (state.at, state.outcome, heard(acts), acts[-1]) == ("ended", "voicemail", ["recorded"], Hangup())


def test_word_left_for_a_person_is_answered_with_a_call() -> None:
    state, acts = walk(IN, Keys("0"), Recorded(20))
    assert (state.wish, state.outcome, heard(acts)) == ("agent", "voicemail", ["recorded_agent"])


def test_a_recording_of_unknown_length_counts() -> None:
    assert walk(IN, Keys("1"), Recorded(None))[0].outcome == "voicemail"


@pytest.mark.parametrize("nothing", [Keys(), Recorded(0), Recorded(1), Keys("5")])
def test_nothing_said_is_asked_for_once_more(nothing: Event) -> None:
    state, acts = walk(IN, Keys("1"), nothing)
    assert (state.at, heard(acts), acts[1]) == ("record", ["nothing_recorded"], Record(180))
    state, acts = walk(IN, Keys("1"), nothing, nothing)
    assert (state.outcome, heard(acts), acts[-1]) == ("missed", ["goodbye"], Hangup())
    assert walk(IN, Keys("1"), nothing, Recorded(5))[0].outcome == "voicemail"


def test_goodbye_as_a_choice_ends_the_call() -> None:
    menu = parse_menu(put("goodbye", "menus", "main", "choices", "7"))
    state, acts = walk(IN, Keys("7"), menu=menu)
    assert (state.at, heard(acts), acts[-1]) == ("ended", ["goodbye"], Hangup())


def test_a_menu_leads_to_another() -> None:
    menu = parse_menu(put({"menu": "after_hours"}, "menus", "main", "choices", "7"))
    state, acts = walk(IN, Keys("7"), menu=menu)
    assert (state.page, heard(acts)) == ("after_hours", ["after_hours"])


# ---- status by code


def test_a_code_is_looked_for_and_its_status_told() -> None:
    state, acts = walk(IN, Keys("2"), Keys(CODE))
    assert (state.at, acts) == ("looking", [Look(CODE)])
    state, acts = walk(IN, Keys("2"), Keys(CODE), Found(CODE, "in_progress"))
    assert heard(acts) == ["Phản ánh mã số 2, 6, 0, 4, 8, 2, 1, 3, 4.", "Đơn vị đang xử lý phản ánh.", "main"]
    assert (state.at, state.outcome) == ("menu", "served")


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("language", [(), (Keys("9"),)])
def test_every_status_has_its_words(status: Status, language: tuple[Event, ...]) -> None:
    _, acts = walk(IN, *language, Keys("2"), Keys(CODE), Found(CODE, status))
    assert MENU.statuses[status]["en" if language else "vi"].text in heard(acts)


@pytest.mark.parametrize("keys", ["260482135", "1", "26", "9" * 40, CODE[:-1], CODE * 3])
def test_digits_that_are_no_code_are_not_looked_for(keys: str) -> None:
    state, acts = walk(IN, Keys("2"), Keys(keys))
    assert (state.at, state.wrong, heard(acts)) == ("code", 1, ["wrong_code", "code"])


def test_star_goes_back_to_the_menu() -> None:
    assert heard(walk(IN, Keys("2"), Keys("*"))[1]) == ["main"]
    assert heard(walk(IN, Keys("2"), Keys("12*"))[1]) == ["main"]


def test_a_case_that_is_not_there_may_be_asked_for_again() -> None:
    state, acts = walk(IN, Keys("2"), Keys(CODE), NotFound())
    assert (state.at, heard(acts)) == ("code", ["not_found", "code"])
    three = (Keys(CODE), NotFound()) * 3
    assert heard(walk(IN, Keys("2"), *three)[1]) == ["agent"]


@pytest.mark.parametrize("nobody", [Unavailable(), Found(CODE, "a status of tomorrow"), Keys("1"), Keys()])
def test_when_nobody_can_say_the_menu_comes_again(nobody: Event) -> None:
    state, acts = walk(IN, Keys("2"), Keys(CODE), nobody)
    assert (state.at, state.outcome, heard(acts)) == ("menu", "", ["unavailable", "main"])


# ---- silence and wrong keys


@pytest.mark.parametrize("key", ["5", "#", "12", "x", "ä"])
def test_the_third_wrong_key_in_a_row_leads_to_word_for_a_person(key: str) -> None:
    assert heard(walk(IN, Keys(key))[1]) == ["wrong", "main"]
    assert heard(walk(IN, Keys(key), Keys(key))[1]) == ["wrong", "main"]
    state, acts = walk(IN, Keys(key), Keys(key), Keys(key))
    assert (state.at, state.wish, heard(acts)) == ("record", "agent", ["agent"])


def test_so_does_silence_and_then_the_line_is_given_up() -> None:
    assert heard(walk(IN, Keys())[1]) == ["silence", "main"]
    state, acts = walk(IN, Keys(), Keys(), Keys())
    assert (state.at, heard(acts)) == ("record", ["agent"])
    state, acts = walk(IN, *(Keys(),) * 5)
    assert (state.at, state.outcome, heard(acts)) == ("ended", "callback", ["goodbye"])


def test_a_right_key_in_between_begins_the_count_anew() -> None:
    assert heard(walk(IN, Keys("5"), Keys("5"), Keys("*"), Keys("5"), Keys("5"))[1]) == ["wrong", "main"]
    assert heard(walk(IN, Keys(), Keys(), Keys("5"), Keys(), Keys())[1]) == ["silence", "main"]


def test_three_wrong_codes_and_three_silences_at_the_code() -> None:
    assert heard(walk(IN, Keys("2"), Keys("1"), Keys("1"))[1]) == ["wrong_code", "code"]
    assert heard(walk(IN, Keys("2"), Keys("1"), Keys("1"), Keys("1"))[1]) == ["agent"]
    assert heard(walk(IN, Keys("2"), Keys())[1]) == ["silence", "code"]
    assert heard(walk(IN, Keys("2"), Keys(), Keys(), Keys())[1]) == ["agent"]


def test_what_comes_after_is_data() -> None:
    menu = parse_menu(put({"tries": 1, "after_wrong": "report", "after_silence": "goodbye"}, "patience"))
    assert heard(walk(IN, Keys("5"), menu=menu)[1]) == ["report"]
    assert heard(walk(IN, Keys(), menu=menu)[1]) == ["goodbye"]


def test_somebody_who_plays_with_the_keys_is_let_go() -> None:
    state, acts = walk(IN, *(Keys("*"),) * MOST_STEPS)
    assert (state.at, heard(acts)) == ("ended", ["goodbye"])


# ---- hanging up

STEPS: dict[str, tuple[tuple[Event, ...], str]] = {
    "before anything": ((), "missed"),
    "in the notice": ((IN,), "missed"),
    "in the notice, without a number": ((Arrived(reachable=False),), "missed"),
    "after a wrong key": ((IN, Keys("5")), "missed"),
    "after silence": ((IN, Keys()), "missed"),
    "in another language": ((IN, Keys("9")), "missed"),
    "at the emergency numbers": ((IN, Keys("3")), "missed"),
    "before the tone": ((IN, Keys("1")), "missed"),
    "after saying nothing": ((IN, Keys("1"), Keys()), "missed"),
    "at the code": ((IN, Keys("2")), "missed"),
    "after a wrong code": ((IN, Keys("2"), Keys("1")), "missed"),
    "while it is looked for": ((IN, Keys("2"), Keys(CODE)), "missed"),
    "having heard a status": ((IN, Keys("2"), Keys(CODE), Found(CODE, "replied")), "served"),
    "waiting for a person": ((IN, Keys("0")), "callback"),
    "a person, without a number": ((Arrived(reachable=False), Keys("0")), "missed"),
    "having heard a status, waiting for a person": (
        (IN, Keys("2"), Keys(CODE), Found(CODE, "replied"), Keys("0")),
        "callback",
    ),
    "after three silences": ((IN, Keys(), Keys(), Keys()), "callback"),
    "after a report": ((IN, Keys("1"), Recorded(9)), "voicemail"),
    "after word for a person": ((IN, Keys("0"), Recorded(9)), "voicemail"),
}


@pytest.mark.parametrize(("events", "outcome"), STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("is_open", [True, False])
def test_a_caller_may_hang_up_anywhere_and_it_counts_once(
    events: tuple[Event, ...], outcome: str, is_open: bool
) -> None:
    state, acts = walk(*events, HungUp(), is_open=is_open)
    assert (state.at, state.outcome, acts) == ("ended", outcome, [])
    again, _ = walk(HungUp(), state=state, is_open=is_open)
    assert replace(again, n=0) == replace(state, n=0)
    assert walk(Keys("1"), state=state, is_open=is_open)[1] == (
        [Hangup()] if state.language else walk(IN, is_open=is_open)[1]
    )


def test_a_message_ended_by_hanging_up_is_a_voicemail_in_either_order() -> None:
    asked = (IN, Keys("1"))
    assert walk(*asked, HungUp(), Recorded(9))[0].outcome == "voicemail"
    assert walk(*asked, Recorded(9), HungUp())[0].outcome == "voicemail"
    assert walk(*asked, HungUp(), Recorded(1))[0].outcome == "missed"
    assert walk(HungUp(), Recorded(9))[0].outcome == "voicemail"


def test_of_two_outcomes_the_further_holds() -> None:
    for one in OUTCOMES:
        for other in OUTCOMES:
            assert further(one, other) == further(other, one)
            assert further(further(one, other), other) == further(one, other)
    assert further("missed", "voicemail") == "voicemail"
    assert further("served", "missed") == "served"


# ---- whatever happens

EVENTS = st.one_of(
    st.builds(Arrived, st.booleans()),
    st.builds(Keys, st.one_of(st.sampled_from(["", *"0123456789*#", CODE]), st.text(max_size=12))),
    st.builds(Recorded, st.one_of(st.none(), st.integers(0, 400))),
    st.builds(Found, st.just(CODE), st.one_of(st.sampled_from(Status), st.text(max_size=5))),
    st.sampled_from([HungUp(), NotFound(), Unavailable()]),
)


@given(st.lists(st.tuples(EVENTS, st.booleans()), max_size=25))
def test_whatever_happens_the_caller_hears_valid_twiml_and_is_never_left_in_silence(events: list) -> None:
    state = State()
    for event, is_open in events:
        before = state_of(MENU, state.token())
        state, acts = step(MENU, before, event, is_open)
        assert step(MENU, before, event, is_open) == (state, acts)  # asked twice, answered alike
        assert state_of(MENU, state.token()) == state or state.at in ("start", "ended")
        assert OUTCOMES.index(state.outcome) >= OUTCOMES.index(before.outcome) or isinstance(event, Arrived)
        if isinstance(event, HungUp):
            assert acts == []
        elif acts == [Look(CODE)]:
            assert state.at == "looking"
        else:
            assert isinstance(acts[-1], Redirect | Hangup)
            assert isinstance(acts[-1], Hangup) == (state.at == "ended")
            valid(twiml(acts, to=TO, recordings=TO))


@given(st.text(max_size=60))
def test_a_token_of_anybodys_making_begins_the_call_anew(token: str) -> None:
    assert state_of(MENU, token) == State() or token.count("~") == 8


@pytest.mark.parametrize(
    "token",
    [
        "",
        "menu~nowhere~vi~0~0~1~~~1",
        "menu~main~km~0~0~1~~~1",
        "menu~main~vi~0~0~-1~~~1",
        "menu~main~vi~0~0~99999~~~1",
        "menu~main~vi~0~0~1~gold~~1",
        "menu~main~vi~0~0~1~~rich~1",
        "queue~main~vi~0~0~1~~~1",
        "menu~main~vi~0~0~1~~~1~1",
        "menu~main~vi~٣~0~1~~~1",
    ],
)
def test_so_does_one_of_a_menu_that_has_changed(token: str) -> None:
    assert state_of(MENU, token) == State()
    assert heard(walk(Keys("1"), state=state_of(MENU, token))[1]) == ["notice", "main"]


def test_a_token_fits_an_address_and_says_nothing_of_the_caller() -> None:
    state, _ = walk(IN, Keys("2"), Keys(CODE))
    assert re.fullmatch(r"[A-Za-z0-9_~-]+", state.token())
    assert CODE not in state.token()


def test_no_two_steps_of_a_call_have_the_same_address() -> None:
    state, seen = State(), set()
    for event in (IN, *(Keys("*"),) * 20):
        state, _ = step(MENU, state, event, True)
        seen.add(state.token())
    assert len(seen) == 21


# ---- what Twilio's events are to the menu


def an_event(event: str, scheme: str = "phone", status: str | None = "in-progress", **thread: object) -> InboundMessage:
    return InboundMessage(
        "voice", "1022", "CA1", "call", Address(scheme, "x"), status=status, thread={"event": event, **thread}
    )


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (an_event("incoming"), Arrived()),
        (an_event("incoming", "anonymous"), Arrived(reachable=False)),
        (an_event("digits", digits="1"), Keys("1")),
        (an_event("digits", digits=""), Keys()),
        (an_event("step"), Keys()),
        (an_event("recorded", recording={"sid": "RE1", "duration": 7}), Recorded(7)),
        (an_event("recorded", recording={"sid": "RE1"}), Recorded(None)),
        (an_event("status", status="completed"), HungUp()),
        (an_event("status", status="no-answer"), HungUp()),
        (an_event("status", status="ringing"), None),
        (an_event("recording"), None),
        (an_event("dial"), None),
    ],
)
def test_an_event_of_the_channel_is_one_of_the_menu(message: InboundMessage, event: Event | None) -> None:
    assert event_of(message) == event


# ---- TwiML


def verbs_of(cls: type) -> dict[str, tuple[set[str], set[str]]]:
    """Verb → its attributes and the verbs that may stand in it, as the vendor's own library knows them."""
    table: dict[str, tuple[set[str], set[str]]] = {}
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if name.startswith("_") or name in ("append", "comment", "add_text", "add_child", "nest", "to_xml"):
            continue
        named = [each for each in inspect.signature(method).parameters if each not in ("self", "kwargs")]
        camel = {re.sub(r"_(.)", lambda m: m[1].upper(), each.rstrip("_")) for each in named}
        inner = getattr(voice_response, name.capitalize(), None)
        children = (
            set() if inner is None else {n.capitalize() for n, _ in inspect.getmembers(inner, inspect.isfunction)}
        )
        table[name.capitalize()] = (camel, children)
    return table


VERBS = verbs_of(voice_response.VoiceResponse)
ADDRESSES = {"action", "recordingStatusCallback"}


def valid(document: str) -> None:
    root = ElementTree.fromstring(document)
    assert root.tag == "Response"
    assert len(document.encode()) < 64_000
    for verb in root:
        attributes, children = VERBS[verb.tag]
        assert set(verb.attrib) <= attributes, verb.attrib
        assert {child.tag for child in verb} <= children
        for child in verb:
            assert set(child.attrib) <= VERBS[child.tag][0]
        assert all(value.startswith("https://") for name, value in verb.attrib.items() if name in ADDRESSES)


def test_the_table_of_verbs_refuses_what_twilio_would() -> None:
    for wrong in (
        "<Response><Shout>x</Shout></Response>",
        '<Response><Say loud="1">x</Say></Response>',
        "<Response><Gather><Record/></Gather></Response>",
    ):
        with pytest.raises((AssertionError, KeyError)):
            valid(wrong)


def test_a_menu_as_twiml() -> None:
    _, acts = walk(IN)
    root = ElementTree.fromstring(twiml(acts, to=TO))
    assert [verb.tag for verb in root] == ["Say", "Gather", "Redirect"]
    assert root[0].attrib == {"language": "vi-VN", "voice": "Google.vi-VN-Wavenet-A"}
    assert root[1].attrib == {
        "input": "dtmf",
        "action": TO,
        "method": "POST",
        "timeout": "6",
        "numDigits": "1",
        "finishOnKey": "",
        "actionOnEmptyResult": "true",
    }
    assert root[2].text == TO


def test_a_code_ends_with_the_hash_key() -> None:
    root = ElementTree.fromstring(twiml(walk(IN, Keys("2"))[1], to=TO))
    assert root[0].get("finishOnKey") == "#"
    assert root[0].get("numDigits") is None


def test_a_recording_asks_to_be_told_when_it_is_ready_or_empty() -> None:
    root = ElementTree.fromstring(twiml(walk(IN, Keys("1"))[1], to=TO, recordings="https://x/events"))
    assert root[1].attrib == {
        "action": TO,
        "method": "POST",
        "timeout": "5",
        "maxLength": "180",
        "finishOnKey": "#",
        "playBeep": "true",
        "recordingStatusCallback": "https://x/events",
        "recordingStatusCallbackMethod": "POST",
        "recordingStatusCallbackEvent": "completed absent",
    }


def test_a_recording_of_ours_is_played_from_beside_the_next_step() -> None:
    menu = parse_menu(put({"say": "Xin chào", "play": "/static/voice/vi.mp3"}, "prompts", "notice", "vi"))
    _, acts = walk(IN, menu=menu)
    assert acts[0] == Play("/static/voice/vi.mp3")
    assert ElementTree.fromstring(twiml(acts, to=TO))[0].text == "https://1022.example.vn/static/voice/vi.mp3"


def test_signs_of_xml_in_words_stay_words() -> None:
    document = twiml([Say('5 < 6 & "Đường"', "vi-VN"), Hangup()], to=TO)
    valid(document)
    assert ElementTree.fromstring(document)[0].text == '5 < 6 & "Đường"'


def test_a_case_still_looked_for_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="looked for"):
        twiml([Look(CODE)], to=TO)

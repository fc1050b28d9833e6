"""What Zalo's webhook says, and whether it is Zalo that says it. The events are files: a new one needs no code."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.adapter import BadSignature, Failure, Hook
from channels.message import Address
from channels.zalo import signature
from channels.zalo.codes import REFRESH, failure_of
from channels.zalo.events import WITHDRAWN, parse

HERE = Path(__file__).parent / "fixtures" / "zalo"
PAYLOADS = sorted(path for path in HERE.glob("*.json") if not path.name.endswith(".expected.json"))
BODIES = [path.read_bytes() for path in PAYLOADS]
KINDS = {
    "message", "comment", "call", "postback", "delivery", "read", "rating", "reaction", "referral", "follow",
    "unfollow", "contact_shared", "echo", "edited", "deleted", "bounce", "unknown",
}  # fmt: skip
APP, OA, SECRET = "360846524940903967", "388613280878808645", "the-oa-secret-key"


def hook(body: bytes | dict[str, Any], **headers: str) -> Hook:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Hook(raw, {name.replace("_", "-"): value for name, value in headers.items()}, {})


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_every_payload_has_its_normal_form(path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    assert [message.form() for message in parse(hook(path.read_bytes()))] == expected


def test_every_expected_form_belongs_to_a_payload() -> None:
    forms = {path.name.removesuffix(".expected.json") for path in HERE.glob("*.expected.json")}
    assert forms == {path.stem for path in PAYLOADS}


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_what_is_kept_of_an_event_is_read_again_to_the_same_event(path: Path) -> None:
    [message] = parse(hook(path.read_bytes()), "our-oa")
    assert parse(Hook(message.raw.encode(), {}, {}), "our-oa") == [message]


def test_events_about_one_message_are_events_of_their_own() -> None:
    ids = [parse(hook(body))[0].external_id for body in BODIES]
    assert len(set(ids)) == len(ids)


def test_a_repeated_event_has_the_same_id_however_it_is_written() -> None:
    for body in BODIES[:-1]:
        try:
            again = json.dumps(dict(reversed(json.loads(body).items()))).encode()
        except ValueError:
            continue
        if json.loads(body).get("event_name"):
            assert parse(hook(again))[0].external_id == parse(hook(body))[0].external_id


@pytest.mark.parametrize(
    ("sender", "recipient", "account", "person"),
    [
        (OA, "u1", "", "u1"),  # the vendor's pages: the account sends
        (OA, "u1", OA, "u1"),
        ("u1", OA, OA, "u1"),  # some dumps: the person does
        ("u1", OA, "", OA),  # nobody says which is ours
    ],
)
def test_a_receipt_may_name_either_end_first(sender: str, recipient: str, account: str, person: str) -> None:
    body = {
        "event_name": "user_seen_message",
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "message": {"msg_id": "o1"},
    }
    [message] = parse(hook(body), account)
    assert message.sender == Address("zalo", person)
    assert message.refs == ("o1",)


def test_a_person_who_claims_the_rights_of_a_data_subject_is_told_apart_from_one_who_leaves() -> None:
    [left] = parse(hook((HERE / "unfollow.json").read_bytes()))
    [withdrawn] = parse(hook((HERE / "user_withdraw.json").read_bytes()))
    assert (left.kind, left.status) == ("unfollow", None)
    assert (withdrawn.kind, withdrawn.status, withdrawn.ignore_reason) == ("unfollow", WITHDRAWN, None)


def test_a_deep_payload_is_read_or_kept_unread() -> None:
    """At some depth it can just be read and not be written again."""
    kinds = set()
    for depth in (*range(200, 1100), 50_000):
        deep = b'{"event_name":"follow","x":' + b"[" * depth + b"]" * depth + b"}"
        kinds.add(parse(hook(deep))[0].kind)
    assert kinds == {"follow", "unknown"}


def test_a_broken_address_is_still_an_attachment() -> None:
    payload = {"url": "https://[", "name": "a.pdf"}
    body = {"event_name": "user_send_file", "message": {"attachments": [{"type": "file", "payload": payload}]}}
    [message] = parse(hook(body))
    assert [file.name for file in message.attachments] == ["a.pdf"]


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_stop_the_parser(body: bytes) -> None:
    [message] = parse(hook(body), "our-oa")
    assert message.kind in KINDS
    assert message.ignore_reason or message.kind != "unknown"


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=20), st.just("\ud800"),
    st.lists(st.text(max_size=3), max_size=2), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from(["{", '{"phone": []}', "http://[", "https://a.zdn.vn/\ud800.jpg", "9" * 400, 10**400, {"id": []}]),
)  # fmt: skip


def members(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, each in inside for found in [(*path, name), *members(each, (*path, name))]]


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_no_oddity_of_a_payload_stops_the_parser(data: st.DataObject) -> None:
    body = json.loads(data.draw(st.sampled_from([each for each in BODIES if each.startswith(b"{")])))
    for _ in range(data.draw(st.integers(1, 3))):
        places = members(body)
        if not places:
            break
        *path, last = data.draw(st.sampled_from(places))
        at = body
        for name in path:
            at = at[name]
        if data.draw(st.booleans()):
            at[last] = data.draw(ODD)
        else:
            del at[last]
    [message] = parse(hook(json.dumps(body).encode()), "our-oa")
    assert message.kind in KINDS
    json.dumps(message.form(), ensure_ascii=False).encode()  # a database takes it: no half of a character pair
    assert parse(Hook(message.raw.encode(), {}, {}), "our-oa") == [message]


# Signatures


def signed(body: bytes, *, id: str = APP, timestamp: str = "1765432100123", secret: str = SECRET) -> str:
    return hashlib.sha256(id.encode() + body + timestamp.encode() + secret.encode()).hexdigest()


BODY = b'{"event_name":"follow", "timestamp" : "1765432100123", "t":"\xc4\x91"}'
NUMBER = b'{"timestamp":1765432100123}'


def test_the_vector_of_a_public_client_fits() -> None:
    mac = "2f1ef5aabe67e8396a459ca89562e108ad541f82ba5022c85f645bd6b7220cb9"
    assert signature.verify(hook(b"BODY", X_ZEvent_Signature=mac, X_ZEvent_Timestamp="1234567890"), "X", "", "Y")


@pytest.mark.parametrize(
    ("body", "mac", "headers"),
    [
        (BODY, f"mac={signed(BODY)}", {}),
        (BODY, f"mac = {signed(BODY)}", {}),
        (BODY, signed(BODY), {}),
        (BODY, f"mac={signed(BODY).upper()}", {}),
        (NUMBER, f"mac={signed(NUMBER)}", {}),
        (BODY, f"mac={signed(BODY, id=OA)}", {}),
        (BODY, f"mac={signed(BODY, timestamp='5')}", {"X_ZEvent_Timestamp": "5"}),
    ],
    ids=["mac=", "spaces", "bare", "capitals", "time as number", "id of the account", "time in a header"],
)
def test_every_way_zalo_signs_is_known(body: bytes, mac: str, headers: dict[str, str]) -> None:
    assert signature.verify(hook(body, X_ZEvent_Signature=mac, **headers), APP, OA, SECRET)
    assert signature.verify(hook(body, x_zevent_signature=mac, **headers), APP, OA, SECRET)


@pytest.mark.parametrize(
    ("body", "mac"),
    [
        (BODY, None),
        (BODY, ""),
        (BODY, "mac="),
        (BODY, "mac=" + "0" * 64),
        (BODY, f"mac={signed(BODY)}0"),
        (BODY + b" ", f"mac={signed(BODY)}"),  # other bytes
        (BODY.replace(b"1765432100123", b"1765432100124"), f"mac={signed(BODY)}"),  # another time
        (BODY, f"mac={signed(BODY, secret='the-app-secret')}"),
        (BODY, f"mac={signed(BODY, id='another-app')}"),
        (BODY, f"mac={signed(BODY, id='')}"),
        (b"{}", f"mac={signed(b'{}', timestamp='')}"),  # no time at all
        (b"\xff", "mac=" + "a" * 64),
    ],
)
def test_anything_else_is_refused(body: bytes, mac: str | None) -> None:
    headers = {} if mac is None else {"X_ZEvent_Signature": mac}
    with pytest.raises(BadSignature):
        signature.verify(hook(body, **headers), APP, OA, SECRET)


def test_without_a_secret_or_an_id_nothing_is_believed() -> None:
    for mac, oa, secret in ((signed(BODY, secret=""), OA, ""), (signed(BODY, id=""), "", SECRET)):
        with pytest.raises(BadSignature):
            signature.verify(hook(BODY, X_ZEvent_Signature=mac), APP, oa, secret)


def test_the_trying_of_the_address_is_answered_and_events_are_not() -> None:
    assert signature.greet(hook(b"{}")) is not None
    assert signature.greet(hook(b" {}\n")) is not None
    assert signature.greet(hook(b"{}", X_ZEvent_Signature="mac=1")) is None
    assert signature.greet(hook(b"")) is None
    assert signature.greet(hook(BODY)) is None
    assert signature.greet(Hook(b"", {}, {"hub.challenge": "1158201444"})) == "1158201444"
    assert signature.greet(Hook(b"", {}, {"hub.challenge": "<script>"})) is None
    assert signature.greet(Hook(BODY, {}, {"hub.challenge": "1"})) is None


# Error numbers


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (-32, Failure.RATE_LIMITED),
        (-200, Failure.RETRYABLE),
        (-211, Failure.RATE_LIMITED),
        (-144, Failure.RATE_LIMITED),
        (-133, Failure.RETRYABLE),
        (-234, Failure.RETRYABLE),
        (-230, Failure.WINDOW_CLOSED),
        (-232, Failure.WINDOW_CLOSED),
        *((code, Failure.REAUTHORISE) for code in (-204, -205, -209, -212, -219, -221, -223, -224, -320, -321, -115)),
        *((code, Failure.FINAL) for code in (-201, -210, -213, -227, -244, -248, -108, -131, -114, -1121)),
        (-99999, Failure.FINAL),
    ],
)
def test_every_error_number_has_one_meaning(code: int, failure: Failure) -> None:
    raised = failure_of(code)
    assert raised.failure == failure
    assert str(code) in raised.reason
    assert code not in REFRESH

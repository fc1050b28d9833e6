"""Files of many payloads, and the command that shows them: what each of them is, and what is only one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from channels.dumps import bodies

FIRST = b"From an@b.example Mon Oct 20 08:00:00 2025\nFrom: an@b.example\nSubject: mot\n\nMot.\n"
SECOND = b"From binh@b.example Mon Oct 20 09:00:00 2025\nFrom: binh@b.example\nSubject: hai\n\nHai.\n"


@pytest.mark.parametrize(
    ("channel", "file", "count"),
    [
        ("email", FIRST, 1),
        ("email", FIRST + b"\n" + SECOND, 2),
        ("email", b"\xef\xbb\xbf\r\n" + (FIRST + b"\n" + SECOND).replace(b"\n", b"\r\n"), 2),
        ("email", FIRST + SECOND, 1),  # no blank line before it: a line of the text
        ("email", FIRST + b"\nFrom now on Mon 08:00 in 2025\nI write no more.\n", 1),  # nor a header behind it
        ("email", FIRST[FIRST.index(b"From:") :] + b"\n" + SECOND, 1),  # no mailbox file: one mail that quotes another
        ("telegram", b'[{"update_id": 1}, {"update_id": 2}]', 2),
        ("telegram", b'{"ok": true, "result": [{"update_id": 1}, {"update_id": 2}]}', 2),
        ("telegram", b'{"update_id": 1, "result": [{}, {}]}', 1),
        ("zalo", b'{"event_name": "follow", "result": [{}, {}]}', 1),
        ("zalo", b'{"event_name": "follow"}\r\n\r\n{"event_name": "unfollow"}\r\n', 2),
        ("zalo", b'{"event_name": "follow"}\nno JSON\n', 1),
        ("zalo", b'{\n"event_name": "follow"\n}', 1),
        ("zalo", b"[]", 1),
        ("zalo", b"[1, 2]", 1),
        ("zalo", b"[" * 100_000, 1),
        ("facebook", '\ufeff[{"object": "page"}]'.encode(), 1),
        ("sms", b"MessageSid=SM1&Body=a\nMessageSid=SM2&Body=b\n", 2),
        ("sms", b"MessageSid=SM1&\nBody=b\n", 1),  # one form that somebody broke
        ("voice", b'[{"CallSid": "CA1"}, {"CallSid": "CA2"}]', 2),
        ("sms", b"", 1),
    ],
)
def test_a_file_of_many_is_taken_apart_and_a_file_of_one_is_left(channel: str, file: bytes, count: int) -> None:
    found = bodies(channel, file)
    assert len(found) == count
    if count == 1:
        assert found == [file] or json.loads(found[0]) == json.loads(file.decode("utf-8-sig"))[0]


def test_nothing_of_a_mailbox_file_is_lost() -> None:
    file = FIRST + b"\n" + SECOND + b"\n" + FIRST
    assert b"".join(bodies("email", file)) == file


def shown(channel: str, file: Path) -> tuple[int, list[dict[str, object]], str]:
    """The exit status of `parse`, what it prints and what it says went wrong."""
    import main

    done = CliRunner().invoke(main.cli, ["parse", channel, str(file)])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_parse_prints_each_of_many_mails(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(FIRST + b"\n" + SECOND)
    status, events, _ = shown("email", tmp_path / "box")
    assert (status, [each["subject"] for each in events]) == (0, ["mot", "hai"])


def test_parse_says_why_of_what_nobody_can_read_and_ends_well(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\x00")
    for channel in ("zalo", "facebook", "telegram", "email", "sms", "voice"):
        status, (event,), _ = shown(channel, tmp_path / "x")
        assert (status, event["kind"]) == (0, "unknown")
        assert event["ignore_reason"]


def test_parse_refuses_a_folder_and_a_channel_there_is_not(tmp_path: Path) -> None:
    status, events, why = shown("email", tmp_path)
    assert (status, events, why) == (1, [], f"error: Cannot read {tmp_path}: it is a folder; parse takes one file.\n")
    assert shown("email", tmp_path / "gone")[0] == 1
    assert shown("fax", tmp_path)[0] == 1

"""Mail to citizens: it threads, it can be answered, and it says of itself whether a person wrote it."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import Failure, SendFailed
from channels.mail.composing import MOST_FILES, compose
from channels.mail.replying import CUT_LINE, LOOP_HEADER, reply_address, reply_key, token_of
from channels.mail.sending import Answers, Mail
from channels.mail.smtp import Relay
from channels.message import Address, FileRef, OutboundMessage
from core.ids import uuid7
from core.settings import Settings
from tests.mailing import SENDER, Sink, sink

AT = datetime(2026, 3, 3, 1, 15, tzinfo=UTC)
KEY = reply_key(b"s" * 32)
CODE = "BP-26-0482134"
OURS = Answers("1022@tinh.example", KEY)
FILES = {hashlib.sha256(data).hexdigest(): data for data in (b"%PDF-1.7 \x00\xff" * 1000, b"x" * (MOST_FILES - 5000))}
PDF, LARGE = (FileRef(f"Biên bản “số {n}”.pdf", "application/pdf", sha256=sha) for n, sha in enumerate(FILES, 1))


async def read(sha256: str) -> bytes:
    try:
        return FILES[sha256]
    except KeyError:
        raise FileNotFoundError(sha256) from None


def a_message(**members: Any) -> OutboundMessage:
    plain: dict[str, Any] = {
        "id": uuid7(AT),
        "channel": "email",
        "to": Address("email", "dan@example.vn"),
        "text": "Đã vá ổ gà.",
        "purpose": "answer",
        "reference": CODE,
        "title": f"Trả lời phản ánh {CODE}",
    }
    return OutboundMessage(**{**plain, **members})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    with sink(tmp_path_factory.mktemp("sink")) as running:
        yield running


@pytest.fixture
def mail(server: Sink) -> Mail:
    server.forget()
    return Mail(Relay("127.0.0.1", server.port, "none"), SENDER, answers=OURS, read=read)


async def sent(mail: Mail, server: Sink, **members: Any) -> EmailMessage:
    await mail.send(a_message(**members))
    return server.mails()[-1]


# ---- who wrote it, and may it be answered


@pytest.mark.parametrize(
    ("members", "submitted", "precedence", "envelope", "answerable"),
    [
        ({}, None, None, "FROM:<1022@tinh.example>", True),  # an officer's answer
        ({"purpose": "question"}, None, None, "FROM:<1022@tinh.example>", True),
        ({"purpose": "receipt"}, "auto-replied", "bulk", "FROM:<>", True),
        ({"purpose": "receipt", "automatic": True}, "auto-replied", "bulk", "FROM:<>", True),
        ({"purpose": "progress", "automatic": True}, "auto-generated", "bulk", "FROM:<>", True),
        ({"purpose": "answer", "automatic": True}, "auto-generated", "bulk", "FROM:<>", True),
        ({"purpose": "unit.forwarded"}, "auto-generated", None, "FROM:<1022@tinh.example>", False),
        ({"purpose": "unit.chased", "automatic": True}, "auto-generated", None, "FROM:<1022@tinh.example>", False),
    ],
)
async def test_a_mail_says_whether_a_person_wrote_it(
    mail: Mail,
    server: Sink,
    members: dict[str, Any],
    submitted: str | None,
    precedence: str | None,
    envelope: str,
    answerable: bool,
) -> None:
    got = await sent(mail, server, **members)
    assert (got["Auto-Submitted"], got["Precedence"]) == (submitted, precedence)
    assert (got["X-Auto-Response-Suppress"] is None) is (submitted is None)
    assert server.taken()[-1]["from"] == envelope
    assert got["From"] == "Tổng đài 1022 <1022@tinh.example>"
    assert got[LOOP_HEADER] == "tinh.example"
    text = got.get_content().replace("\r\n", "\n")
    assert text == (f"{CUT_LINE}\n\n" if answerable else "") + "Đã vá ổ gà.\n"
    if answerable:
        (address,) = got["Reply-To"].addresses
        assert token_of(KEY, address.addr_spec) == CODE
    else:
        assert got["Reply-To"] is None


async def test_a_mail_without_a_case_cannot_be_answered_to_one(mail: Mail, server: Sink) -> None:
    got = await sent(mail, server, reference=None)
    assert (got["Reply-To"], got["References"], CUT_LINE in got.get_content()) == (None, None, False)


async def test_a_server_that_wants_a_sender_gets_ours(tmp_path: Any, server: Sink) -> None:
    with sink(tmp_path, say={"mail": "550 5.7.1 no null sender"}) as strict:
        with pytest.raises(SendFailed) as failed:  # told so of ours as well
            await Mail(Relay("127.0.0.1", strict.port, "none"), SENDER).send(a_message(purpose="receipt"))
        assert failed.value.failure is Failure.REAUTHORISE
    with sink(tmp_path, no_null=True) as picky:
        await Mail(Relay("127.0.0.1", picky.port, "none"), SENDER).send(a_message(purpose="receipt"))
        assert [each["from"] for each in picky.taken()] == ["FROM:<1022@tinh.example>"]


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, None),  # nobody fetches answers
        ({"imap_host": "m.example", "imap_user": "1022@b.vn", "imap_password": "s3cret"}, "1022@b.vn"),
        ({"imap_host": "m.example", "imap_user": "me", "imap_password": "s3cret"}, "no-reply@b.vn"),
        ({"imap_host": "m.example", "imap_user": "1022@b.vn", "imap_password": "s3cret", "imap_plus": False}, None),
    ],
)
def test_mail_can_be_answered_where_its_answers_are_fetched(given: dict[str, Any], address: str | None) -> None:
    settings = Settings(smtp_host="m.example", smtp_from="no-reply@b.vn", secret_key="s" * 32, **given)
    answers = Mail.from_settings(settings).answers
    assert (answers and answers.address) == address
    assert answers is None or answers.key == KEY


# ---- threads


@pytest.mark.parametrize(
    ("thread", "in_reply_to", "references"),
    [
        ({}, f"<{CODE}@tinh.example>", f"<{CODE}@tinh.example>"),
        ({"message_id": "c@d"}, "<c@d>", "<c@d>"),
        ({"message_id": "c@d", "in_reply_to": "b@d"}, "<c@d>", "<b@d> <c@d>"),
        (
            {"message_id": "c@d", "in_reply_to": "b@d", "references": ["a@d", "b@d"]},
            "<c@d>", "<a@d> <b@d> <c@d>",
        ),
        ({"in_reply_to": "<b@d>", "references": ["<a@d>", "<b@d>"]}, "<b@d>", "<a@d> <b@d>"),
        ({"message_id": "<c@d>\r\nBcc: x@y.vn", "references": ["a b", "<a\n@d>", 7]}, f"<{CODE}@tinh.example>",
         f"<{CODE}@tinh.example>"),
        ({"message_id": "0123456789abcdef0123"}, f"<{CODE}@tinh.example>", f"<{CODE}@tinh.example>"),
    ],
)  # fmt: skip
def test_an_answer_lies_under_the_mail_it_answers(thread: dict[str, Any], in_reply_to: str, references: str) -> None:
    flat = compose(a_message(thread=thread), SENDER)
    headers = flat.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").decode().split("\r\n")
    assert f"In-Reply-To: {in_reply_to}" in headers
    assert f"References: {references}" in headers
    assert not any(header.startswith("Bcc") for header in headers)


def test_a_long_thread_keeps_its_beginning_and_its_end() -> None:
    ids = [f"{n}@d" for n in range(200)]
    flat = compose(a_message(thread={"references": ids, "message_id": "last@d"}), SENDER).decode("ascii")
    references = " ".join(flat.partition("References: ")[2].partition("X-")[0].split()).split()
    assert references[0] == "<0@d>"
    assert references[-2:] == ["<199@d>", "<last@d>"]
    assert len(references) == 20


# ---- reply addresses


def test_a_reply_address_is_read_back_however_it_was_written() -> None:
    made = reply_address(KEY, "1022@tinh.example", CODE)
    assert made is not None
    assert made.startswith("1022+bp-26-0482134.")
    for written in (made, made.upper(), f"Tổng đài <{made}>", f"<{made}>"):
        assert token_of(KEY, written) == CODE


@pytest.mark.parametrize(
    "forged",
    [
        "1022@tinh.example",
        "1022+bp-26-0482134@tinh.example",
        "1022+bp-26-0482134.aaaaaaaaaaaaaaaa@tinh.example",
        "1022+bp-26-0482134.@tinh.example",
        "1022+bp-26-0482134.aaaaaaaaaaaaaaaaaaaaaa@tinh.example",
        "",
    ],
)
def test_a_code_somebody_typed_is_no_token(forged: str) -> None:
    assert token_of(KEY, forged) is None


def test_a_token_is_of_one_code_and_one_key() -> None:
    made = reply_address(KEY, "1022@tinh.example", CODE) or ""
    assert token_of(reply_key(b"other" * 8), made) is None
    assert token_of(KEY, made.replace("0482134", "0482135")) is None


@given(local=st.from_regex(r"[a-z0-9.+_-]{1,64}", fullmatch=True), code=st.text(max_size=50))
def test_a_reply_address_is_right_or_there_is_none(local: str, code: str) -> None:
    made = reply_address(KEY, f"{local}@tinh.example", code)
    if made is not None:
        assert token_of(KEY, made) == code.upper()
        assert len(made.rpartition("@")[0]) <= 64
        assert made.isascii()


def test_a_long_mailbox_name_has_no_reply_addresses_and_mail_goes_all_the_same() -> None:
    assert reply_address(KEY, f"{'x' * 60}@tinh.example", CODE) is None


# ---- files


async def test_files_travel_with_the_text(mail: Mail, server: Sink) -> None:
    got = await sent(mail, server, attachments=(PDF,))
    text, file = got.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == f"{CUT_LINE}\n\nĐã vá ổ gà.\n"
    assert (file.get_filename(), file.get_content_type()) == (PDF.name, "application/pdf")
    assert file.get_content() == FILES[PDF.sha256 or ""]
    assert got["Subject"] == f"Trả lời phản ánh {CODE}"


async def test_each_try_of_a_mail_with_files_is_the_same_to_the_byte(mail: Mail, server: Sink) -> None:
    message = a_message(attachments=(PDF,))
    for _ in range(2):
        await mail.send(message)
    first, second = server.taken()
    assert first == second


async def test_files_that_are_too_large_together_are_named(mail: Mail, server: Sink) -> None:
    got = await sent(mail, server, attachments=(LARGE, PDF, PDF))
    text, file = got.iter_parts()
    assert f"Tệp kèm theo ({PDF.name}, {PDF.name}) xem tại trang theo dõi phản ánh." in text.get_content()
    assert file.get_content() == FILES[LARGE.sha256 or ""]


async def test_a_file_that_is_gone_is_a_matter_for_a_person(mail: Mail, server: Sink) -> None:
    with pytest.raises(SendFailed, match="not kept here") as failed:
        await mail.send(a_message(attachments=(FileRef("a.pdf", "application/pdf", sha256="0" * 64),)))
    assert failed.value.failure is Failure.FINAL
    assert server.taken() == []


async def test_files_of_a_mail_that_came_in_are_taken_from_it(mail: Mail) -> None:
    raw = compose(a_message(), SENDER, files=[(PDF, FILES[PDF.sha256 or ""])])
    digest = hashlib.sha256(raw).hexdigest()
    FILES[digest] = raw
    wanted = replace(PDF, vendor_id=digest)
    assert b"".join([piece async for piece in mail.fetch(wanted)]) == FILES[PDF.sha256 or ""]
    for missing in (replace(wanted, sha256="0" * 64), replace(wanted, vendor_id="0" * 64)):
        with pytest.raises(SendFailed) as failed:
            [piece async for piece in mail.fetch(missing)]
        assert failed.value.failure is Failure.FINAL


@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=80), kind=st.text(max_size=40))
def test_no_name_of_a_file_becomes_a_header(name: str, kind: str) -> None:
    flat = compose(a_message(), SENDER, files=[(FileRef(f"{name}\r\nBcc: x", kind), b"data")])
    assert flat.isascii()
    assert b"\nBcc" not in flat
    assert base64.b64encode(b"data") in flat

"""E-mail through a mail server in a process of its own: what is sent, what its answers mean, what stays unknown."""

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32, default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlmodel import select

from channels import outbox, waiting
from channels.adapter import Failure, SendDoubtful, SendFailed
from channels.mail import sending as mail
from channels.mail import smtp
from channels.mail.composing import compose
from channels.mail.replying import LOOP_HEADER
from channels.mail.sending import Mail
from channels.mail.smtp import Relay
from channels.message import Address, OutboundMessage
from channels.models import DeliveryAttempt, Outgoing
from core.db import Database
from core.doctor import settings_table
from core.ids import uuid7
from core.settings import Settings
from tests.channels import delivering
from tests.mailing import SENDER, Sink, certificate, sink

AT = datetime(2026, 3, 3, 1, 15, tzinfo=UTC)
TEXT = (
    "Kính gửi Sở Xây dựng,\n.dòng bắt đầu bằng dấu chấm\n\n" + "dài " * 400 + "\nhttps://1022.example/console/cases/x"
)


def a_message(**members: Any) -> OutboundMessage:
    plain: dict[str, Any] = {
        "id": uuid7(AT),
        "channel": "email",
        "to": Address("email", "so-xd@tinh.example"),
        "text": TEXT,
        "purpose": "unit.forwarded",
        "reference": "BP-26-0482134",
        "title": "BP-26-0482134: Phản ánh mới, chủ trì xử lý",
    }
    return OutboundMessage(**{**plain, **members})


def mail_to(server: Sink, **relay: Any) -> Mail:
    return Mail(Relay(relay.pop("host", "127.0.0.1"), server.port, **{"tls": "none", **relay}), SENDER)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    with sink(tmp_path_factory.mktemp("plain")) as running:
        yield running


@pytest.fixture(scope="module")
def localhost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "localhost")


async def failure(adapter: Mail, message: OutboundMessage | None = None) -> SendFailed:
    with pytest.raises(SendFailed) as failed:
        await adapter.send(message or a_message())
    return failed.value


# ---- what is sent


async def test_a_mail_arrives_as_it_was_written(plain: Sink) -> None:
    plain.forget()
    message = a_message()
    assert await mail_to(plain).send(message) == f"{message.id}@tinh.example"
    (got,) = plain.mails()
    assert got.get_content().replace("\r\n", "\n") == TEXT + "\n"
    assert got["Subject"] == message.title
    assert (got["From"], got["To"]) == ("Tổng đài 1022 <1022@tinh.example>", "so-xd@tinh.example")
    assert got["Message-ID"] == f"<{message.id}@tinh.example>"
    assert got["Date"].datetime == AT
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["References"] == "<BP-26-0482134@tinh.example>"
    (taken,) = plain.taken()
    assert (taken["from"], taken["to"]) == ("FROM:<1022@tinh.example>", ["TO:<so-xd@tinh.example>"])


async def test_each_try_of_a_message_is_the_same_mail_to_the_byte(plain: Sink) -> None:
    plain.forget()
    message = a_message()
    for _ in range(2):
        await mail_to(plain).send(message)
    first, second = plain.taken()
    assert first == second


async def test_a_mail_without_a_title_is_known_by_the_case(plain: Sink) -> None:
    plain.forget()
    await mail_to(plain).send(a_message(title=None))
    assert [got["Subject"] for got in plain.mails()] == ["BP-26-0482134"]


@pytest.mark.parametrize(
    ("handle", "wire"),
    [
        ("a@đại-học.vn", "a@xn--i-hc-zua2256b5ia.vn"),
        (" so.xd+1022@tinh.example ", "so.xd+1022@tinh.example"),
        ("a@b.vn\r\nBcc: c@d.vn", None),
        ("a@b.vn, c@d.vn", None),
        ("a@b.vn>\r\nDATA", None),
        ("<a@b.vn>", None),
        ("a(note)@b.vn", None),
        ("a b@c.vn", None),
        ("đại@c.vn", None),  # needs a server that knows SMTPUTF8
        ("a@b@c.vn", None),
        ("a@" + "x" * 80 + ".vn", None),
        ("a@", None),
        ("", None),
    ],
)
async def test_only_one_plain_address_is_written_to(plain: Sink, handle: str, wire: str | None) -> None:
    plain.forget()
    message = a_message(to=Address("email", handle))
    if wire is None:
        assert (await failure(mail_to(plain), message)).failure is Failure.FINAL
        assert plain.taken() == []
    else:
        await mail_to(plain).send(message)
        assert [each["to"] for each in plain.taken()] == [[f"TO:<{wire}>"]]


HEADERS = {
    "message-id", "date", "from", "to", "subject", "in-reply-to", "references", "auto-submitted",
    "x-auto-response-suppress", LOOP_HEADER.lower(), "content-type", "content-transfer-encoding", "mime-version",
}  # fmt: skip
TRICKS = st.sampled_from(
    ["\r\nBcc: x@evil.vn", "\n\n<script>", "\u2028Bcc: x", "\x00", "\x85", "=?utf-8?q?=0D=0ABcc:?="]
)
WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | TRICKS, max_size=5).map("".join)


@given(title=WORDS, name=WORDS, text=WORDS, sender=WORDS)
def test_no_word_of_ours_becomes_a_header(title: str, name: str, text: str, sender: str) -> None:
    message = a_message(title=title, text=text, to=Address("email", "so-xd@tinh.example", name))
    flat = compose(message, (sender, "1022@tinh.example"))
    assert flat.isascii()
    read = message_from_bytes(flat, policy=default)
    assert {header.lower() for header in read} == HEADERS
    assert len(read.keys()) == len(HEADERS)
    assert [each.addr_spec for each in read["To"].addresses] == ["so-xd@tinh.example"]
    assert max(len(line) for line in flat.splitlines()) <= 78


def test_what_looks_like_an_encoded_word_is_not_decoded() -> None:
    trick = "=?utf-8?q?=0D=0ABcc:_x@evil.vn?="
    flat = compose(a_message(title=trick, to=Address("email", "so-xd@tinh.example", trick)), (trick, "1022@b.vn"))
    for header, raw in message_from_bytes(flat, policy=compat32).items():
        assert "\n" not in str(make_header(decode_header(str(raw)))).replace("\n ", " "), header
        assert "evil" not in raw or "=?" not in raw, header


def test_a_long_domain_keeps_the_ids_whole() -> None:
    domain = "thu-dien-tu.trung-tam-dich-vu-cong-1022.tinh-binh-phuoc.gov.example"
    flat = compose(a_message(), ("1022", f"1022@{domain}"))
    read = message_from_bytes(flat, policy=default)
    assert str(read["References"]).strip() == f"<BP-26-0482134@{domain}>"
    assert str(read["Message-ID"]).strip().endswith(f"@{domain}>")


# ---- what the server's answers mean


@pytest.mark.parametrize(
    ("told", "wanted", "said"),
    [
        ({"say": {"rcpt": "450 4.2.0 <so-xd@tinh.example> later"}}, Failure.RETRYABLE, "450 4.2.0"),
        ({"say": {"rcpt": "550 5.1.1 <so-xd@tinh.example> unknown"}}, Failure.FINAL, "550 5.1.1"),
        ({"say": {"mail": "553 5.7.1 not your sender"}}, Failure.REAUTHORISE, "553 5.7.1"),  # of every mail
        ({"say": {"mail": "421 4.7.0 too many"}}, Failure.RETRYABLE, "421 4.7.0"),
        ({"say": {"mail": "530 5.7.0 sign in"}}, Failure.REAUTHORISE, "530 5.7.0"),
        ({"say": {"data": "451 later"}}, Failure.RETRYABLE, "451"),
        ({"say": {"end": "452 4.3.1 disk full"}}, Failure.RETRYABLE, "452 4.3.1"),
        ({"say": {"end": "554 5.7.1 looks like spam"}}, Failure.FINAL, "554 5.7.1"),
        ({"say": {"connect": "554 5.3.2 go away"}}, Failure.RETRYABLE, "554 5.3.2"),  # not about this mail
        ({"drop": "connect"}, Failure.RETRYABLE, "closed"),
        ({"drop": "rcpt"}, Failure.RETRYABLE, "closed"),
        ({"drop": "data"}, Failure.RETRYABLE, "closed"),
    ],
)
async def test_what_an_answer_means(tmp_path: Path, told: dict[str, Any], wanted: Failure, said: str) -> None:
    with sink(tmp_path, **told) as server:
        failed = await failure(mail_to(server))
        assert server.taken() == []
    assert failed.failure is wanted
    assert said in failed.reason
    assert "so-xd" not in failed.reason


async def test_a_check_finds_a_sender_the_server_does_not_take_and_sends_nothing(tmp_path: Path, plain: Sink) -> None:
    with sink(tmp_path, say={"mail": "550 5.7.1 not your sender"}) as server, pytest.raises(SendFailed) as failed:
        await mail_to(server).check()
    assert failed.value.failure is Failure.REAUTHORISE
    plain.forget()
    await mail_to(plain).check()
    assert plain.taken() == []


async def test_no_server_there_is_worth_another_try() -> None:
    failed = await failure(Mail(Relay("127.0.0.1", 9, "none"), SENDER))
    assert (failed.failure, failed.reason) == (
        Failure.RETRYABLE,
        "no connection to the mail server: ConnectionRefusedError",
    )


@pytest.mark.parametrize("told", [{"drop": "end"}, {"hang": "end"}, {"say": {"end": "354 what?"}}])
async def test_no_clear_word_after_the_mail_leaves_doubt(
    tmp_path: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "STEP", 1.0)
    with sink(tmp_path, **told) as server, pytest.raises(SendDoubtful):
        await mail_to(server).send(a_message())


async def test_a_slow_server_is_left_in_time_and_what_was_not_offered_is_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "CONVERSATION", 0.5)
    with sink(tmp_path, hang="data") as server:
        started = time.monotonic()
        assert (await failure(mail_to(server))).failure is Failure.RETRYABLE
        assert time.monotonic() - started < 5
        assert server.taken() == []


async def test_what_was_given_up_while_connecting_is_not_sent_when_the_connection_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "CONVERSATION", 0.3)
    with sink(tmp_path, slow="connect") as server:
        assert (await failure(mail_to(server))).failure is Failure.RETRYABLE
        await asyncio.sleep(1.5)  # the server has answered by now
        assert server.taken() == []


async def test_a_slow_server_that_has_the_mail_leaves_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "CONVERSATION", 0.5)
    with sink(tmp_path, hang="end") as server, pytest.raises(SendDoubtful):
        await mail_to(server).send(a_message())


async def test_who_finds_no_free_connection_in_time_may_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TURN", 0.3)
    monkeypatch.setattr(mail, "CONVERSATION", 1.5)
    with sink(tmp_path, hang="data") as server:
        adapter = mail_to(server)
        tries = [adapter.send(a_message()) for _ in range(mail.AT_ONCE + 3)]
        results = await asyncio.gather(*tries, return_exceptions=True)
    reasons = [result.reason for result in results if isinstance(result, SendFailed)]
    assert len(reasons) == len(tries)
    assert sum("no connection became free" in reason for reason in reasons) == 3


async def test_connections_are_given_back(plain: Sink) -> None:
    plain.forget()
    adapter = mail_to(plain)
    await asyncio.gather(*(adapter.send(a_message()) for _ in range(3 * mail.AT_ONCE)))
    assert len(plain.taken()) == 3 * mail.AT_ONCE


# ---- encryption and account


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_encryption_with_a_certificate_that_is_trusted(
    tmp_path: Path, localhost: Path, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(localhost))
    with sink(tmp_path, tls=tls, certificate=str(localhost), account=["me", "s3cret"]) as server:
        adapter = mail_to(server, tls=tls, host="localhost", user="me", password="s3cret")
        await adapter.check()
        await adapter.send(a_message())
        assert [(each["tls"], each["account"]) for each in server.taken()] == [(True, "me")]
        wrong = await failure(mail_to(server, tls=tls, host="localhost", user="me", password="guess"))
        assert (wrong.failure, "535 5.7.8" in wrong.reason) == (Failure.REAUTHORISE, True)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_nobody_vouches_for_or_of_another_name_is_refused(
    tmp_path: Path, localhost: Path, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sink(tmp_path, tls=tls, certificate=str(localhost)) as server:
        unknown = await failure(mail_to(server, tls=tls, host="localhost"))
        monkeypatch.setenv("SSL_CERT_FILE", str(localhost))
        other = await failure(mail_to(server, tls=tls, host="127.0.0.1"))
        assert server.taken() == []
    assert [each.failure for each in (unknown, other)] == [Failure.RETRYABLE] * 2
    assert "certificate is not trusted" in unknown.reason
    assert "certificate is not trusted" in other.reason


async def test_without_starttls_nothing_is_sent_in_the_open(plain: Sink) -> None:
    plain.forget()
    failed = await failure(mail_to(plain, tls="starttls"))
    assert (failed.failure, "STARTTLS" in failed.reason) == (Failure.RETRYABLE, True)
    assert plain.taken() == []


async def test_a_server_without_accounts_cannot_take_ours(plain: Sink) -> None:
    failed = await failure(mail_to(plain, user="me", password="s3cret"))
    assert failed.failure is Failure.REAUTHORISE


def test_the_password_is_in_no_description_of_it() -> None:
    assert "s3cret" not in repr(Relay("h", 25, "none", "me", "s3cret"))


# ---- through the outbox


async def queue(database: Database, purpose: str = "answer") -> Any:
    id = uuid7(AT)
    async with database.transaction() as session:
        await outbox.enqueue(
            session, subject_id=id, entry_id=id, purpose=purpose, to=Address("email", "dan@example.vn"), text="Đã vá.",
            channel="email", reference="BP-26-0482134", at=AT, title="Trả lời",
        )  # fmt: skip
    return id


async def fate(database: Database, subject: Any) -> tuple[str, str | None, list[str]]:
    async with database.transaction() as session:
        row = (await session.exec(select(Outgoing).where(Outgoing.subject_id == subject))).one()
        tries = await session.exec(select(DeliveryAttempt.outcome).where(DeliveryAttempt.outgoing_id == row.id))
        return row.state, row.last_error, list(tries)


async def nobody(session: Any, outgoing: Outgoing, at: datetime) -> None:
    """Nothing follows."""


@pytest.mark.parametrize(("purpose", "state"), [("answer", "unknown"), ("receipt", "dropped")])
async def test_a_connection_lost_after_the_mail_is_not_tried_again_by_itself(
    database: Database, tmp_path: Path, purpose: str, state: str
) -> None:
    with sink(tmp_path, drop="end", once=True) as server:
        adapters = {"email": mail_to(server)}
        subject = await queue(database, purpose)
        for minutes in (0, 1, 60):
            await outbox.deliver_due(database, adapters, AT + timedelta(minutes=minutes), on_sent=nobody)
        assert (await fate(database, subject))[0] == state
        assert (await fate(database, subject))[2] == ["unknown"]
        assert len(server.taken()) == 1  # it did have it
        if state == "unknown":
            (row,) = [row for row in await unsent(database) if row.subject_id == subject]
            async with database.transaction() as session:
                await waiting.resend(session, row.id, AT)
            await outbox.deliver_due(database, adapters, AT, on_sent=nobody)
            first, second = server.taken()
            assert first == second  # a mail program takes the two for one


async def unsent(database: Database) -> list[Outgoing]:
    async with database.transaction() as session:
        return await waiting.not_delivered(session)


async def test_a_server_that_is_away_for_a_while_gets_the_mail_once(database: Database, tmp_path: Path) -> None:
    with sink(tmp_path, say={"rcpt": "451 4.3.0 later"}, once=True) as server:
        adapters = {"email": mail_to(server)}
        subject = await queue(database)
        await outbox.deliver_due(database, adapters, AT, on_sent=nobody)
        assert (await fate(database, subject))[0] == "queued"
        await outbox.deliver_due(database, adapters, AT + timedelta(minutes=1), on_sent=nobody)
        assert (await fate(database, subject))[::2] == ("sent", ["retryable", "sent"])
        assert len(server.taken()) == 1


async def test_a_worker_killed_between_the_mail_and_its_note_sends_it_once(database: Database, plain: Sink) -> None:
    plain.forget()
    subject = await queue(database)
    worker = multiprocessing.get_context("forkserver").Process(
        target=delivering.die_after_the_mail, args=(database.dsn, plain.port, AT)
    )
    worker.start()
    await asyncio.to_thread(worker.join)
    assert worker.exitcode == -signal.SIGKILL
    assert (await fate(database, subject))[0] == "sending"
    assert len(plain.taken()) == 1
    for leases in (2, 50):
        later = AT + leases * outbox.LEASE
        await outbox.deliver_due(database, {"email": mail_to(plain)}, later, on_sent=nobody)
        assert (await fate(database, subject))[0] == "unknown"
    assert len(plain.taken()) == 1


# ---- settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"smtp_host": "mail.example"}, "SMTP_FROM"),
        ({"smtp_host": "mail.example:25", "smtp_from": "a@b.vn"}, "SMTP_PORT"),
        ({"smtp_host": "smtp://mail.example", "smtp_from": "a@b.vn"}, "host name alone"),
        ({"smtp_host": "mail.example", "smtp_from": "a@b.vn, c@d.vn"}, "one address"),
        ({"smtp_host": "mail.example", "smtp_from": "1022\r\nBcc: a@b.vn"}, "one address"),
        ({"smtp_host": "mail.example", "smtp_from": "a@b.vn", "smtp_user": "me"}, "belong together"),
        ({"smtp_host": "mail.example", "smtp_from": "a@b.vn", "smtp_password": "s3cret"}, "belong together"),
        (
            {"smtp_host": "mail.example", "smtp_from": "a@b.vn", "smtp_user": "me", "smtp_password": "s3cret",
             "smtp_tls": "none"},
            "in the open",
        ),
        ({"smtp_host": "mail.example", "smtp_from": "a@b.vn", "smtp_user": "me", "smtp_password": "mật"}, "ASCII"),
        ({"smtp_tls": "ssl"}, "implicit"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as refused:
        Settings(**given)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "port"),
    [({}, 587), ({"smtp_tls": "implicit"}, 465), ({"smtp_tls": "none"}, 25), ({"smtp_port": 2525}, 2525)],
)
def test_the_port_follows_the_encryption(given: dict[str, Any], port: int) -> None:
    settings = Settings(smtp_host="mail.example", smtp_from="Tổng đài 1022 <1022@b.vn>", **given)
    adapter = Mail.from_settings(settings)
    assert (adapter.relay.port, adapter.sender) == (port, ("Tổng đài 1022", "1022@b.vn"))


def test_empty_settings_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "USER", "PASSWORD", "FROM", "TLS"):
        monkeypatch.setenv(f"HOTLINE_SMTP_{name}", "")
    settings = Settings()
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_tls) == (None, None, "starttls")


def test_doctor_shows_the_settings_and_not_the_password() -> None:
    table = settings_table(Settings(smtp_host="m.example", smtp_from="a@b.vn", smtp_user="me", smtp_password="s3cret"))
    shown = {line.split()[0]: line.split()[1] for line in table}
    assert (shown["HOTLINE_SMTP_HOST"], shown["HOTLINE_SMTP_PASSWORD"]) == ("m.example", "set")
    assert "s3cret" not in "".join(table)


def test_a_password_for_this_very_machine_may_go_unencrypted() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        Settings(smtp_host=host, smtp_from="a@b.vn", smtp_user="me", smtp_password="s3cret", smtp_tls="none")

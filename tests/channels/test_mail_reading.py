"""Reading mail: every fixture against its normal form, and the rules that no fixture shows alone."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.adapter import Hook
from channels.mail.charsets import decode, words
from channels.mail.files import contents, file_name
from channels.mail.plain import from_html, tidy
from channels.mail.quoting import written
from channels.mail.reading import parse
from channels.message import InboundMessage
from channels.reading import MOST_TEXT, kept

FIXTURES = Path(__file__).parent / "fixtures" / "email"
MAILS = sorted(FIXTURES.glob("*.eml"))
OURS = "1022@binhphuoc.example"
HEAD = b"From: an@b.example\r\nTo: 1022@binhphuoc.example\r\nMessage-ID: <1@b.example>\r\n"


def read(raw: bytes | str, account: str = "") -> InboundMessage:
    """The one message of a mail."""
    (message,) = parse(Hook(raw.encode() if isinstance(raw, str) else raw, {}, {}), account)
    return message


def mail(headers: str = "", body: str = "x") -> InboundMessage:
    """The message of a mail with these headers besides the usual ones."""
    return read(HEAD + headers.encode() + b"\r\n" + body.encode())


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_a_mail_becomes_its_normal_form(path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    assert [message.form() for message in parse(Hook(path.read_bytes(), {}, {}))] == expected


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_what_is_kept_of_a_mail_reads_again_to_the_same_message(path: Path) -> None:
    message = read(path.read_bytes())
    assert read(kept(message.raw)) == message


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_the_bytes_of_the_files_come_in_the_order_of_their_names(path: Path) -> None:
    raw = path.read_bytes()
    given_bytes = contents(raw)
    assert tuple(file for file, _ in given_bytes) == read(raw).attachments
    assert all(file.size == len(data) for file, data in given_bytes)


def test_the_account_is_the_mailbox_that_was_asked_and_only_then_what_the_mail_says() -> None:
    raw = HEAD + b"Delivered-To: 1022+bp-26-0482134.abcdefgh@tinh.example\r\n\r\nx"
    assert read(raw).account == "1022@tinh.example"
    assert read(raw, "hop-thu@tinh.example").account == "hop-thu@tinh.example"


@pytest.mark.parametrize(
    ("header", "handle", "name"),
    [
        ("Nguyễn An <an@b.example>", "an@b.example", "Nguyễn An"),  # raw UTF-8
        ("an@b.example (Nguyen An)", "an@b.example", "Nguyen An"),
        ('"An, Nguyen" <An.N@B.Example>', "An.N@b.example", "An, Nguyen"),
        ('"an@b.example" <an@b.example>', "an@b.example", None),  # a name that is only the address again
        ("=?utf-8?q?An_=3Can=40b=2Eexample=3E?=", "an@b.example", "An"),  # the address inside the encoded word
        ("An [mailto:an@b.example]", "an@b.example", "An"),
        ("An <an @ b.example>", "an@b.example", "An"),
        ("To 3: an@b.example, binh@b.example;", "an@b.example", None),  # a group
        ('"Nguyen \\"An\\"" <an@b.example>', "an@b.example", 'Nguyen "An"'),
        ("<an@b.example", "an@b.example", None),
        ("MAILER-DAEMON (Mail Delivery System)", "MAILER-DAEMON", "Mail Delivery System"),
    ],
)
def test_a_sender_is_found_in_whatever_people_write(header: str, handle: str, name: str | None) -> None:
    sender = read(f"From: {header}\r\nSubject: x\r\n\r\nx").sender
    assert sender is not None
    assert (sender.scheme, sender.handle, sender.name) == ("email", handle, name)


@pytest.mark.parametrize("header", ["", "nobody", "@", "<>", "undisclosed-recipients:;"])
def test_a_mail_from_nobody_has_no_sender(header: str) -> None:
    message = read(f"From: {header}\r\nSubject: x\r\n\r\nx")
    assert message.kind == "message"
    assert message.sender is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("To: 1022+BP-26-0482134.k3vxq2m7a5bcdefg@t.example", ("BP-26-0482134", "k3vxq2m7a5bcdefg")),
        ("Cc: x@y.example, A <1022+bp-26-0482134.k3vxq2m7a5bcdefg@t.example>", ("BP-26-0482134", "k3vxq2m7a5bcdefg")),
        ("X-Original-To: 1022+BP-26-0482134@t.example", ("BP-26-0482134", None)),  # nobody signed it
        ("Subject: Re: [BP-26-0482134] abc", ("BP-26-0482134", None)),
        ("Subject: Re: [bp 26 0482134] abc", ("BP-26-0482134", None)),
        ("Subject: ve BP-26-0482134, xin hoi", ("BP-26-0482134", None)),
        ("Subject: so 26-0482134", (None, None)),  # no prefix
        ("Subject: XBP-26-04821341234567890123", (None, None)),  # too long for a code
        ("To: 1022+tin-tuc@t.example", (None, None)),
    ],
)
def test_a_case_is_named_by_the_address_or_the_subject(headers: str, expected: tuple[str | None, str | None]) -> None:
    thread = mail(headers + "\r\n").thread
    assert (thread.get("case_token"), thread.get("reply_token")) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Mon, 20 Oct 2025 08:00:00 +0700", "2025-10-20T08:00:00+07:00"),
        ("20 Oct 25 08:00 GMT", "2025-10-20T08:00:00+00:00"),
        ("Mon, 20 Oct 2025 08:00:00", "2025-10-20T08:00:00+00:00"),  # no zone: Greenwich
        ("Mon, 20 Oct 2025 08:00:60 +0700", "2025-10-20T08:00:59+07:00"),  # a leap second
        ("Mon, 20 Oct 2025 08:00:00 +9900", "2025-10-20T08:00:00+00:00"),
        ("Thu, 1 Jan 1970 00:00:00 +0000", None),
        ("Mon, 20 Oct 9025 08:00:00 +0700", None),
        ("hôm nay", None),
        ("", None),
    ],
)
def test_a_date_is_taken_where_it_is_one(date: str, expected: str | None) -> None:
    sent_at = mail(f"Date: {date}\r\n").sent_at
    assert (sent_at.isoformat() if sent_at else None) == expected


def test_without_a_message_id_the_same_mail_has_the_same_id_and_another_one_another() -> None:
    first, again, other = (
        read(b"Received: by %b\r\nFrom: an@b.example\r\nSubject: x\r\n\r\n%b" % (way, text))
        for way, text in ((b"one", b"x"), (b"two", b"x"), (b"one", b"y"))
    )
    assert first.external_id == again.external_id != other.external_id


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ("Auto-Submitted: auto-generated", "auto"),
        ("Precedence: bulk", "bulk"),
        ("Precedence: list", "list"),
        ("List-Unsubscribe: <https://x.example>", "list"),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply", "auto"),
        ("X-Loop: yes", "auto"),
        ("Return-Path: <>", "auto"),
        ("X-Autoreply: yes", "auto"),
        ("Subject: Automatic reply: hello", "auto"),
        ("Subject: Out of Office: x", "out_of_office"),
        ("Subject: =?utf-8?b?VuG6r25nIG3hurd0IMSR4bq/biB0aOG7qSBTw6F1?=", "out_of_office"),
        ("Auto-Submitted: no", None),
        ("Precedence: first-class", None),
        ("X-Auto-Response-Suppress: DR", None),
        ("Return-Path: <an@b.example>", None),
        ("Subject: Re: Automatic reply: hello", None),
        ("Subject: Vang mat nap ho ga", None),
    ],
)
def test_automatic_mail_is_known_and_a_person_is_not_taken_for_a_machine(headers: str, why: str | None) -> None:
    message = mail(headers + "\r\n")
    assert (message.kind, message.automatic, message.thread.get("auto")) == ("message", why is not None, why)


@pytest.mark.parametrize("local", ["no-reply", "noreply", "donotreply", "postmaster"])
def test_mail_from_an_address_that_takes_no_answer_is_automatic(local: str) -> None:
    assert read(f"From: {local}@b.example\r\nSubject: hello\r\n\r\nx").automatic
    assert not read(f"From: {local}an@b.example\r\nSubject: hello\r\n\r\nx").automatic


def test_mail_from_our_own_mailbox_is_ignored_only_in_that_mailbox() -> None:
    raw = f"From: {OURS}\r\nTo: {OURS}\r\nSubject: x\r\n\r\nx"
    assert read(raw, OURS).ignore_reason == "from our own mailbox"
    assert read(raw, "khac@binhphuoc.example").ignore_reason is None


@pytest.mark.parametrize(
    ("sender", "subject", "text", "kind"),
    [
        ("MAILER-DAEMON@x.example", "Returned mail: Host unknown", "550 Host unknown", "bounce"),
        ("postmaster@x.example", "DELIVERY FAILURE: User an not listed", "Your message", "bounce"),
        ("System@x.example", "Undeliverable: x", "Your message did not reach the recipients", "bounce"),
        ("postmaster@x.example", "Недоставленное сообщение", "user unknown", "bounce"),
        ("postmaster@x.example", "Không thể gửi: x", "Hộp thư đầy", "bounce"),
        ("postmaster@x.example", "Thong bao bao tri", "He thong bao tri luc 22 gio", "message"),
        ("an@x.example", "Delivery problem", "Rác không được chuyển đi ba ngày nay", "message"),
        ("an@x.example", "Re: Undeliverable: x", "550 user unknown la gi vay?", "message"),
    ],
)
def test_a_server_s_notice_is_a_bounce_and_a_person_s_complaint_is_none(
    sender: str, subject: str, text: str, kind: str
) -> None:
    assert read(f"From: {sender}\r\nSubject: {subject}\r\n\r\n{text}").kind == kind


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [
        ("failed", "5.1.1", ("bounce", "failed", "5.1.1")),
        ("failed", "4.4.7", ("bounce", "failed", "4.4.7")),  # given up after days
        ("delayed", "4.4.1", ("bounce", "delayed", "4.4.1")),
        ("", "4.2.2", ("bounce", "delayed", "4.2.2")),  # no action: by the status
        ("", "5.2.2", ("bounce", "failed", "5.2.2")),
        ("expanded", "2.0.0", ("delivery", "delivered", None)),
    ],
)
def test_a_delivery_report_tells_what_became_of_our_mail(
    action: str, status: str, told: tuple[str, str, str | None]
) -> None:
    report = f"Final-Recipient: rfc822; an@x.example\r\nAction: {action}\r\nStatus: {status}"
    message = read(
        "From: x@x.example\r\nSubject: report\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"
        f"--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n{report}\r\n--b\r\n"
        "Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <m@t.example>\r\n--b--\r\n"
    )
    assert (message.kind, message.status, message.error) == told
    assert (message.refs, message.thread["recipient"]) == (("m@t.example",), "an@x.example")


def test_a_report_on_several_addressees_tells_of_the_worst_wherever_it_stands() -> None:
    told = [
        ("an@x.example", "relayed", "2.0.0"),
        ("binh@x.example", "failed", "5.2.2"),
        ("chi@x.example", "delayed", "4.0.0"),
    ]
    for order in (told, told[::-1]):
        blocks = "\r\n\r\n".join(
            f"Final-Recipient: rfc822; {who}\r\nAction: {what}\r\nStatus: {code}" for who, what, code in order
        )
        message = mail("Content-Type: message/delivery-status\r\n", blocks)
        assert (message.status, message.error, message.thread["recipient"]) == ("failed", "5.2.2", "binh@x.example")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Vâng\n\nVào 08:00, T.2, 20 Th10, 2025 1022 <a@b.vn>\nđã viết:\n\n> cũ", "Vâng"),
        ("Vâng\n\nVào Th 2, 20 thg 10, 2025 vào lúc 08:00\nTrung tâm\n1022 <a@b.vn>\nđã viết:\ncũ", "Vâng"),
        ("Vâng\n\nOn Mon, Oct 20, 2025 at 8:00 AM\nA <a@b.vn> wrote:\n\n> cũ", "Vâng"),
        ("Ok\n\nLe lun. 20 oct. 2025 à 08:00, A <a@b.vn> a écrit :\n\n> x", "Ok"),
        ("Ok\n\nAm Mo., 20. Okt. 2025 um 08:00 schrieb A <a@b.vn>:\n\nalt", "Ok"),
        ("Ok\n\nEl lun, 20 oct 2025 a las 8:00, A (<a@b.vn>) escribió:\n\n> x", "Ok"),
        ("Ok\n\n在 2025-10-20 08:00:00，1022 <a@b.vn> 写道：\n\n> x", "Ok"),
        ("Ok\n\n2025年10月20日(月) 8:00 1022 <a@b.vn>:\n\n> x", "Ok"),
        ("Ok\n\nпн, 20 окт. 2025 г. в 08:00, A <a@b.vn>:\n\n> x", "Ok"),
        ("Ok\n\n-----Thư gốc-----\nTừ: a\nGửi: 20/10\nTới: c\nChủ đề: d\n\ncũ", "Ok"),
        ("Ok\n\n*From:* A <a@b>\n*Sent:* x\n*To:* y\n*Subject:* z\n\ncũ", "Ok"),
        ("Ok\n\n-----Original Message-----\n> x\n\nThêm nữa", "Ok\n\n\nThêm nữa"),
        ("Ok\n\nĐã gửi từ điện thoại Samsung của tôi", "Ok"),
        ("Ok\n—— Vui lòng trả lời phía trên dòng này ——\ncũ", "Ok"),
        ("Ok\n-- \nAn\nTổ 5", "Ok"),
        ("Ok\n-- \nAn" + "\nTổ 5" * 20, "Ok"),  # the standard line, however long what stands below it
        ("> hỏi?\nĐáp.\n> hỏi nữa?\nĐáp nữa.", "Đáp.\nĐáp nữa."),
        ("On Mon, Oct 20, 2025 at 8:00 AM A <a@b.vn> wrote:\n> cũ\n\nTrả lời bên dưới", "Trả lời bên dưới"),
        ("> chỉ có trích dẫn", ""),
        # The person's own words, which only look like it.
        ("Hôm 20/10/2025 ông A đã viết:\nđơn xin", "Hôm 20/10/2025 ông A đã viết:\nđơn xin"),
        ("Gửi từ ngã tư đến cầu đều ngập", "Gửi từ ngã tư đến cầu đều ngập"),
        ("Một\n--\n" + "dòng\n" * 20, "Một\n--\n" + "dòng\n" * 19 + "dòng"),
        ("Từ: ngã tư A\nĐến: ngã tư B\nChủ đề: kẹt xe", "Từ: ngã tư A\nĐến: ngã tư B\nChủ đề: kẹt xe"),
    ],
)
def test_what_the_person_wrote_is_left_of_an_answer(text: str, expected: str) -> None:
    assert written(text, "Re: x", reply=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Xem giúp\n\n---------- Thư đã chuyển tiếp ----------\nTừ: B <b@c>\n\n> nội dung",
        "Bắt đầu thư được chuyển tiếp:\n\n> Từ: b\n> nội dung",
        "Vào lúc 8:00 20/10/2025 ông A đã viết:\nđơn xin",
        "> thơ\n> của tôi",
    ],
)
def test_a_mail_that_answers_nothing_keeps_what_it_passes_on(text: str) -> None:
    assert written(text, "xem giúp", reply=False) == text


@pytest.mark.parametrize(
    ("data", "declared", "expected"),
    [
        ("Đường".encode(), "utf-8", "Đường"),
        ("Đường".encode(), "us-ascii", "Đường"),  # the name is wrong
        ("Đường".encode(), "iso-8859-1", "Đường"),
        ("Đường".encode() + b"\xe1", "utf-8", "Đường\ufffd"),  # cut within a letter
        (b"\xd0\xfd\xf5\xccng bi\xf2 ng\xe2\xf2p", "windows-1258", "Đường bị ngập"),
        (b"n\xfd\xf5\xecc d\xe2ng c\xf4\xf2t c\xe2\xccu", None, "nước dâng cột cầu"),  # nobody said what it is
        ("été".encode("latin-1"), "ISO-8859-1", "été"),
        ("“x”".encode("cp1252"), "iso-8859-1", "“x”"),
        ("été, déjà à Noël".encode("latin-1"), "x-unknown", "été, déjà à Noël"),
        ("добрый день, у нас нет воды".encode("koi8-r"), None, "добрый день, у нас нет воды"),
        ("добрый день, у нас нет воды".encode("cp1251"), "8bit", "добрый день, у нас нет воды"),
        ("你好".encode("gb18030"), "gb2312", "你好"),
        ("道路の穴".encode("iso-2022-jp"), "iso-2022-jp", "道路の穴"),
        (b"abc", "base64", "abc"),  # a codec of Python's that is no charset
        (b"abc", "x" * 5000, "abc"),
        (b"vi\xd6t nam \xae\xad\xeang ph\xe8", "x-tcvn", "việt nam đường phố"),
        ("Vieät Nam ñöôøng phoá".encode("latin-1"), "x-vni", "Việt Nam đường phố"),
        ("für schöne Übung müßig".encode("latin-1"), "iso-8859-1", "für schöne Übung müßig"),
        ("não está português à você são".encode("latin-1"), None, "não está português à você são"),
    ],
)
def test_bytes_become_text_by_the_ladder(data: bytes, declared: str | None, expected: str) -> None:
    assert decode(data, declared) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"=?utf-8?Q?=C4=90=C6=B0=E1=BB?= =?UTF-8?Q?=9Dng?=", "Đường"),  # cut within a letter
        (b"=?utf-8?B?xJDGsOG7nW5n?=\r\n =?utf-8?B?IGjhu49uZw?=", "Đường hỏng"),  # no padding
        (b"a =?utf-8*vi?Q?b?= c", "a b c"),
        (b"=?utf-8?B?xJDGsOG7nW5n", "Đường"),  # no end
        (b"=?x-nonsense?Q?a=41?=", "aA"),
        ("Đường =?utf-8?Q?h=E1=BB=8Fng?=".encode(), "Đường hỏng"),
        (b"=?utf-8?X?abc?= 1 =? 2", "=?utf-8?X?abc?= 1 =? 2"),  # no encoded word
        (b"1 + 1 =?= 2", "1 + 1 =?= 2"),
    ],
)
def test_headers_are_read_however_they_are_encoded(raw: bytes, expected: str) -> None:
    assert words(raw) == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b", "a\nb"),
        ("<div>a<div>b</div></div>c", "a\nb\nc"),
        ("<ul><li>a<li>b</ul><ol><li>c</ol>", "- a\n- b\n\n1. c"),
        ("<table><tr><td>a<td>b</tr><tr><td><td>c</table>", "a | b\nc"),
        ("<a href='https://x.example/1'>đây</a>", "đây <https://x.example/1>"),
        ("<a href='https://x.example/'>x.example</a>", "x.example"),
        ("<a href='javascript:alert(1)'>a</a>", "a"),
        ("<style>a</style><script>b</script><title>c</title>d", "d"),
        ("<div style='display:none'>a<div>b</div></div>c", "c"),
        ("<div style='display:none'>a", "a"),  # never ends: rather too much than nothing
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("&lt;a&gt; &amp;&nbsp;&#7843; 1 < 2 &#99999999999;", "<a> & ả 1 < 2"),
        ("<blockquote type=cite>a<br>b</blockquote>c", "> a\n> b\n\nc"),
        ("<blockquote style='margin:0 0 0 40px'>a</blockquote>", "a"),  # only moved in
        ("<!-- a -->b<!-- c", "b"),
        ("a <b", "a <b"),
    ],
)
def test_html_becomes_the_lines_its_reader_sees(markup: str, expected: str) -> None:
    assert tidy(from_html(markup)) == expected


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("báo cáo.pdf", "báo cáo.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\tam\\don.doc", "don.doc"),
        ("..", ""),
        ("a\u202efdp.exe", "afdp.exe"),  # would read as …exe.pdf
        ("a\r\nb\x00.txt", "ab.txt"),
        ("x" * 300 + ".jpeg", "x" * 228 + ".jpeg"),
    ],
)
def test_a_file_s_name_is_only_a_name(given_name: str, expected: str) -> None:
    assert file_name(given_name) == expected


def test_a_picture_is_inline_only_where_the_html_shows_it() -> None:
    def with_html(markup: str) -> tuple[bool, ...]:
        picture = "Content-Type: image/png\r\nContent-ID: <p@x>\r\nContent-Disposition: inline\r\n\r\nx\r\n"
        head = "Content-Type: multipart/related; boundary=b\r\n"
        body = f"--b\r\nContent-Type: text/html\r\n\r\n{markup}\r\n--b\r\n{picture}--b--\r\n"
        return tuple(file.inline for file in mail(head, body).attachments)

    assert with_html("<img src='cid:p@x'>") == (True,)
    assert with_html("<img src='cid:other'>") == (False,)


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("Xin chào", "Xin chào"),
        (" \r\n ", "Chào HTML"),
        ("This message is in HTML. Please use an HTML viewer.", "Chào HTML"),
    ],
)
def test_plain_text_is_read_unless_it_says_nothing(plain: str, expected: str) -> None:
    head = "Content-Type: multipart/alternative; boundary=b\r\n"
    parts = (("text/plain", plain), ("text/html", "<p>Chào HTML</p>"))
    body = "".join(f"--b\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n{text}\r\n" for kind, text in parts)
    assert mail(head, f"{body}--b--\r\n").text == expected


def test_a_long_mail_has_its_text_cut_and_its_body_longer() -> None:
    message = mail("Content-Type: text/plain; charset=utf-8\r\n", "Đường hỏng. " * 5000)
    assert message.text is not None
    assert message.body is not None
    assert len(message.text) <= MOST_TEXT < len(message.body)


def _nested(depth: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(depth)
    )
    return opening + b"\r\nhello" + b"".join(b"\r\n--b%d--" % level for level in reversed(range(depth)))


def _parts(count: int, part: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + (b"--B\r\n" + part + b"\r\n") * count + b"--B--\r\n"


SIZE = 400_000
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
UTF8 = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
HOSTILE: dict[str, bytes] = {
    "quote signs": b"\r\n" + b">" * SIZE,
    "quoted lines": b"\r\n" + b">\r\n" * (SIZE // 3),
    "spaces": b"\r\n" + b" " * SIZE,
    "beginnings of attributions": UTF8 + "Vào ".encode() * (SIZE // 5),
    "lines like attributions": UTF8 + "Vào 10:00 2025\n".encode() * (SIZE // 16),
    "lines like headers": b"\r\n" + b"From: a\n" * (SIZE // 8),
    "signatures": b"\r\n" + b"--\n" * (SIZE // 3),
    "marks on one letter": UTF8 + b"a" + "\u0301\u0323".encode() * (SIZE // 4),
    "carriage returns": b"\r\n" + b"\r" * SIZE,
    "parts in parts": _nested(1000),
    "parts": _parts(10_000, b"Content-Type: text/plain\r\n\r\nhi"),
    "files": _parts(10_000, b"Content-Type: image/png\r\nContent-Disposition: attachment\r\n\r\nhi"),
    "mails in it": _parts(100, b"Content-Type: message/rfc822\r\n\r\n" + _nested(50)),
    "boundaries": b"Content-Type: multipart/mixed; boundary=-\r\n\r\n" + b"-" * SIZE,
    "headers": b"X-A: b\r\n" * (SIZE // 8) + b"\r\nx",
    "folded lines": b"Subject: a\r\n" + b" b\r\n" * (SIZE // 4) + b"\r\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?a" * (SIZE // 11) + b"\r\n\r\nx",
    "comments in comments": b"Cc: " + b"(" * SIZE + b"\r\n\r\nx",
    "references": b"References: " + b"<" * SIZE + b"\r\n\r\nx",
    "parameters": b"Content-Type: text/plain; " + b"a*0*=b;" * (SIZE // 7) + b"\r\n\r\nx",
    "tags": HTML + b"<div>" * (SIZE // 5),
    "open tags": HTML + b"<" * SIZE,
    "comments": HTML + b"<!--" * (SIZE // 4),
    "links": HTML + b"<a href=x>" * (SIZE // 10),
    "cells": HTML + b"a<td> " * (SIZE // 6),
    "numbers": HTML + b"&#" + b"9" * SIZE,
    "uuencoded": b"\r\n" + b"begin 644 a\r\nM\r\n" * (SIZE // 15),
    "objects in a TNEF": _parts(
        1, b"Content-Type: application/ms-tnef\r\n\r\n\x78\x9f\x3e\x22\0\0" + (b"\x01" + b"\0" * 10) * (SIZE // 4)
    ),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_mail_takes_no_long_time(hostile: bytes) -> None:
    begun = time.process_time()
    message = read(HEAD + hostile)
    assert time.process_time() - begun < 3  # seconds; what is quadratic takes minutes
    assert message.external_id == "1@b.example"
    assert message.ignore_reason is None


def test_a_mail_of_30_megabytes_is_read_in_one_go() -> None:
    attached = base64.encodebytes(bytes(range(256)) * 86_000)
    part = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + attached
    begun = time.process_time()
    message = read(HEAD + _parts(1, part))
    assert time.process_time() - begun < 3
    assert [file.size for file in message.attachments] == [256 * 86_000]


def _is_whole(message: InboundMessage) -> bool:
    """Whether a message can be printed and stored, and was made without the last resort."""
    text = json.dumps(message.form(), ensure_ascii=False)
    text.encode()
    return bool(message.external_id) and not (message.ignore_reason or "").startswith("the mail cannot be read")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_one_message(raw: bytes) -> None:
    assert _is_whole(read(raw))
    assert _is_whole(read(HEAD + raw))


_CHANGES = st.lists(
    st.tuples(st.integers(0, 5000), st.sampled_from(["cut", "drop", "put", "twice"]), st.binary(max_size=12)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(MAILS), _CHANGES)
def test_a_damaged_mail_is_one_message(path: Path, changes: list[tuple[int, str, bytes]]) -> None:
    raw = path.read_bytes()
    for at, change, extra in changes:
        place = at % (len(raw) + 1)
        made: dict[str, Any] = {
            "cut": raw[:place],
            "drop": raw[:place] + raw[place + 5 :],
            "put": raw[:place] + extra + raw[place:],
            "twice": raw[:place] + raw[place // 2 :],
        }
        raw = made[change]
    assert _is_whole(read(raw))
    assert [file for file, _ in contents(raw)] == list(read(raw).attachments)

"""Mails as other people's programs write them: the faults that mails collected elsewhere have shown."""

import pytest

from channels.adapter import Hook
from channels.mail.charsets import decode
from channels.mail.files import file_name
from channels.mail.quoting import written
from channels.mail.reading import parse
from channels.message import InboundMessage


def read(raw: str | bytes) -> InboundMessage:
    """The one message of a mail, written with plain line ends."""
    body = raw.encode() if isinstance(raw, str) else raw
    (message,) = parse(Hook(body.replace(b"\n", b"\r\n"), {}, {}))
    return message


@pytest.mark.parametrize(
    ("header", "handle", "name"),
    [
        ("Đào <đào@tỉnh.example>", "đào@tỉnh.example", "Đào"),  # an address beyond ASCII (RFC 6532)
        ("An <an@b.example> Binh <binh@b.example>", "an@b.example", "An"),  # no comma between them
        ("<an@b.example> An", "an@b.example", "An"),
        ('<"Nguyen An"@b.example>', '"Nguyen An"@b.example', None),  # its quotes belong to the address
        ('"an"@b.example', "an@b.example", None),
        ('An "Ba" Nguyen <an@b.example>', "an@b.example", "An Ba Nguyen"),  # quotes around a part of a name
        ("'An' <an@b.example>", "an@b.example", "An"),
        ("An <-> <an@b.example>", "an@b.example", "An"),
        ("An O' <an@b.example>", "an@b.example", "An O"),
    ],
)
def test_a_sender_is_read_whole(header: str, handle: str, name: str | None) -> None:
    sender = read(f"From: {header}\nSubject: x\n\nx").sender
    assert sender is not None
    assert (sender.handle, sender.name) == (handle, name)


@pytest.mark.parametrize(
    "begin",
    [" ", "\t", " " * 300 + "\n", "\n\n"],
    ids=["space", "tab", "a line of spaces", "blank lines"],
)
def test_what_stands_before_the_first_header_hides_none(begin: str) -> None:
    message = read(f"{begin}From: an@b.example\nSubject: hai\n\nx")
    assert (message.kind, message.sender and message.sender.handle, message.subject) == (
        "message",
        "an@b.example",
        "hai",
    )


FILE = """From: an@b.example
Subject: x
Content-Type: multipart/mixed; boundary=b

--b

Xem tệp.
--b
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="{name}"
Content-Transfer-Encoding: base64

{content}
--b{end}
"""


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (r"C:\Users\An\bao cao.doc", "bao cao.doc"),  # a path, no quoted characters
        (r"C:\\Users\\bao cao.doc", "bao cao.doc"),
        (r"bao \"cao\".doc", 'bao "cao".doc'),
        ("á" * 200 + ".doc", "á" * 200 + ".doc"),
    ],
)
def test_the_name_of_a_file_is_read_whole(given: str, name: str) -> None:
    assert [file.name for file in read(FILE.format(name=given, content="YWJj", end="--")).attachments] == [name]
    assert file_name("á" * 300 + ".doc") == "á" * 228 + ".doc"


@pytest.mark.parametrize("end", ["--", "-->\nWe sell things", "-- \nfoot", "--\t", ""])
def test_what_stands_behind_the_last_boundary_is_no_part_of_the_file(end: str) -> None:
    (file,) = read(FILE.format(name="a.bin", content="YWJj", end=end)).attachments
    assert file.size == 3


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Đường hỏng, xin sửa giúp.", "Đường hỏng, xin sửa giúp."),  # it says base64, and is not
        ("duong hong o kp 3 xin sua giup", "duong hong o kp 3 xin sua giup"),
        ("xJDGsOG7nW5nIGjhu49uZw==", "Đường hỏng"),
        ("xJDGsOG7\nnW5nIGjh\nu49uZw==\n_____\nAn's list\nhttps://b.example/list", "Đường hỏng"),  # a list's foot below
        ("xJDGsOG7 nW5nIGjh u49uZw==", "Đường hỏng"),
    ],
)
def test_base64_is_undone_where_it_is_base64(body: str, text: str) -> None:
    head = (
        "From: an@b.example\nSubject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n"
    )
    assert read(f"{head}\n{body}\n").text == text


def test_a_header_without_encoded_words_is_in_the_charset_of_the_first_part() -> None:
    head = "From: an@b.example\nSubject: 道路坏了，请修理\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    mail = f'{head}Content-Type: text/plain; charset="gb2312"\n\n道路\n--b--\n'.encode("gb2312")
    assert (read(mail).subject, read(mail).text) == ("道路坏了，请修理", "道路")


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (b"\x1b$B-!\x1b(B \x1b$B4]?t;z\x1b(B", "iso-2022-jp", "① 丸数字"),  # an encircled number, of Windows only
        (b"\x1b$B4]?t;z\x1b(B", None, "丸数字"),
        ("Test: ä ö ü...".encode("latin-1"), "iso-8859-1", "Test: ä ö ü..."),  # in TCVN3 that is ọ ử ỹ
        ("Gå på då".encode("latin-1"), "iso-8859-1", "Gå på då"),
        ("Größe für Köln".encode("latin-1"), None, "Größe für Köln"),
        ("道路に穴があります".encode("cp932") * 4, None, "道路に穴があります" * 4),  # nothing is declared
        ("道路に穴があります".encode("euc-jp"), None, "道路に穴があります"),
        ("道路坏了，请修理".encode("gbk"), None, "道路坏了，请修理"),
        ("도로가 파손되었습니다".encode("cp949"), None, "도로가 파손되었습니다"),
        ("Günaydın, yol bozuk şu çığ".encode("cp1254"), None, "Günaydın, yol bozuk şu çığ"),
        ("Vejen er ødelagt, Ærø å".encode("cp1252"), None, "Vejen er ødelagt, Ærø å"),
        ("тест тест".encode("koi8-r"), None, "тест тест"),  # in rows of Chinese signs, too
        (b"\xa7\xacn ph\xb6n \xb8nh", "iso-8859-1", "Đơn phản ánh"),  # TCVN3 all the same, by its signs
    ],
)
def test_text_is_read_in_the_charset_it_is_in(data: bytes, declared: str | None, text: str) -> None:
    assert decode(data, declared) == text


REPORT = """From: MAILER-DAEMON@b.example
To: 1022@tinh.example
Subject: {subject}
Content-Type: multipart/report; boundary=b

--b

{text}
--b
Content-Type: {kind}

{fields}
--b--
"""


@pytest.mark.parametrize(
    ("kind", "subject", "text", "fields", "expected"),
    [
        (  # a filter that rejects says so as a receipt
            "message/disposition-notification",
            "Automatically rejected mail",
            "Your message to <an@b.example> was automatically rejected:\nQuota exceeded",
            "Final-Recipient: rfc822; an@b.example\nDisposition: automatic-action/MDN-sent-automatically; deleted",
            ("bounce", "failed", "an@b.example"),
        ),
        (  # a person's program tells that it was deleted unread
            "message/disposition-notification",
            "Not read: Rejected?",
            "Your message was deleted without being read. It was not rejected.",
            "Final-Recipient: rfc822; an@b.example\nDisposition: automatic-action/MDN-sent-automatically; deleted",
            ("delivery", "delivered", "an@b.example"),
        ),
        (  # the address that was written to, not the one it is passed on to
            "message/delivery-status",
            "Undeliverable",
            "x",
            "Reporting-MTA: dns; b.example\n\nOriginal-Recipient: rfc822;an@b.example\n"
            "Final-Recipient: rfc822;box17@inner.b.example\nAction: failed\nStatus: 5.1.1",
            ("bounce", "failed", "an@b.example"),
        ),
    ],
)
def test_reports_of_servers_and_readers_are_told_apart(
    kind: str, subject: str, text: str, fields: str, expected: tuple[str, str, str]
) -> None:
    message = read(REPORT.format(kind=kind, subject=subject, text=text, fields=fields))
    assert (message.kind, message.status, message.thread.get("recipient")) == expected


@pytest.mark.parametrize(
    ("sender", "subject", "text", "expected"),
    [
        # whom it did not reach, out of several addresses; a version of a server is no status
        (
            "System <postmaster@b.example>",
            "Undeliverable: x",
            "Your message\n To: nhieu@b.example\ndid not reach the following recipient(s):\n\nan@b.example on Mon\n"
            " MSEXCH:IMS 2.0.12 (000C05A6) Unknown Recipient",
            ("failed", None, "an@b.example"),
        ),
        (
            "Mail Delivery System <mailer-daemon@b.example>",
            "Undeliverable",
            "An email 1022@tinh.example sent to\n-- an@b.example\ncould not be delivered. 4.4.4 server unavailable",
            ("failed", "4.4.4", "an@b.example"),
        ),
        (
            "postmaster@b.example",
            "Undeliverable",
            "p=B;dda:SMTP=an@b.example; unknown",
            ("failed", None, "an@b.example"),
        ),
        ("<>", "", "You sent mail to an@b.example. That's not a valid user here.", ("failed", None, "an@b.example")),
        (
            "postmaster@b.example",
            "Mail Delivery Warning",
            'Delivery to "an@b.example" has been postponed due to a full mailbox. We will continue to try.',
            ("delayed", None, "an@b.example"),
        ),
        (
            "gateway@b.example",
            "Delivery failure notification",
            "could not be delivered to the following recipients:\n\nan@b.example\n\nDelivery attempts will continue",
            ("delayed", None, "an@b.example"),
        ),
        (
            "MAILER-DAEMON@b.example",
            "Processing Error",
            "Intended recipient: an@b.example\n\nIt has been returned. The postmaster will attempt to contact them.",
            ("failed", None, "an@b.example"),
        ),
    ],
)
def test_a_notice_says_whom_a_mail_did_not_reach(
    sender: str, subject: str, text: str, expected: tuple[str, str | None, str]
) -> None:
    head = f"Return-Path: <>\nFrom: {sender}\nTo: 1022@tinh.example\nSubject: {subject}\n"
    message = read(f"{head}\n{text}\n")
    assert (message.kind, message.status, message.error, message.thread.get("recipient")) == ("bounce", *expected)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ("Subject: Cán bộ vắng mặt trong giờ làm việc", None),
        ("Subject: Trưởng ấp đi công tác, không ai ký giấy", None),
        ("Subject: Hỏi chế độ nghỉ phép của giáo viên", None),
        ("Subject: Vacation homes built on the dyke", None),
        ("Subject: Automatic response system of the hotline is broken", None),
        ("Subject: Auto: xe đỗ trái phép", None),
        ("Subject: Vắng mặt: Đường hỏng", None),
        ("Subject: Vắng mặt: Đường hỏng\nIn-Reply-To: <1@tinh.example>", "out_of_office"),
        ("Subject: Đi công tác\nAuto-Submitted: auto-replied", "out_of_office"),
        ("Subject: Nghỉ phép\nPrecedence: bulk", "out_of_office"),
        ("Subject: Tôi đang đi công tác", "out_of_office"),
        ("Subject: Vắng mặt từ 20/10", "out_of_office"),
        ("Subject: Out of office", "out_of_office"),
        ("Subject: OOO: back on Monday", "out_of_office"),
        ("Subject: An Nguyen is out of the office (returning 05/01/2026)", "out_of_office"),
        ("Subject: AUTO: An Nguyen is out of the office.", "out_of_office"),
        ("Subject: Abwesenheitsnotiz: hallo", "out_of_office"),
        ("Subject: Trả lời tự động: Đường hỏng", "auto"),
        ("Subject: Réponse automatique : x", "auto"),
        ("Subject: Respuesta automática: x\nPrecedence: list", "auto"),
    ],
)
def test_who_writes_of_an_absence_is_not_absent(headers: str, why: str | None) -> None:
    message = read(f"From: an@b.example\n{headers}\n\nx\n")
    assert (message.kind, message.automatic, message.thread.get("auto")) == ("message", why is not None, why)


@pytest.mark.parametrize(
    ("sender", "subject", "text", "kind"),
    [
        ("an@b.example", "Undeliverable parcel", "It could not be delivered to my house.", "message"),
        ("an@b.example", "Thư bị trả lại", "Bưu điện nói không tìm thấy địa chỉ của tôi.", "message"),
        ("an@b.example", "Mail delivery failed: help", "The commune office rejected my letter.", "message"),
        ("virus_gateway@b.example", "Delivery failure", "Your mail could not be delivered.", "bounce"),
        ("an@b.example", "Mail delivery failed", "It was rejected: 550 5.1.1 no such user", "bounce"),
        ("an@b.example", "Undelivered", "It was rejected.\n\nMessage-ID: <1@tinh.example>\nSubject: x", "bounce"),
    ],
)
def test_who_complains_of_a_letter_that_came_back_is_no_server(sender: str, subject: str, text: str, kind: str) -> None:
    assert read(f"From: {sender}\nSubject: {subject}\n\n{text}\n").kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "Vâng ạ\n\n---- An Nguyen wrote ----\n\n> hỏng\n",
        "Vâng ạ\n\n------On 29/12/2025 17:32, An Nguyen wrote-----\n\nhỏng\n",
        "Vâng ạ\n\n2025/4/7 An Nguyen <an@b.example>\n\n>  hỏng\n",
        "Vâng ạ\n\nOp 17-feb.-2025, om 13:18 heeft An <an@b.example> het volgende geschreven:\n\nhỏng\n",
        "Vâng ạ\n\n-----Antwort Nachricht-----\n\nhỏng\n",
        "Vâng ạ\n\n\u202bבתאריך יום ה׳, 8 בינו׳ 2025 ב-20:29 מאת \u202aAn <an@b.example>\u202c:\u202c\n\n> hỏng\n",
        "Vâng ạ On Wed, Apr 4, 2025 at 3:59 PM, an@b.example wrote:\n> hỏng\n",  # on one line with the answer
        "Vâng ạ--- On Wed, Apr 4, 2025 at 3:59 PM, an@b.example wrote:\n> hỏng\n",
    ],
)
def test_only_the_answer_is_left_of_a_reply(text: str) -> None:
    assert written(text, "Re: x", reply=True) == "Vâng ạ"


@pytest.mark.parametrize(
    "text",
    [
        "2025/4/7 An Nguyen <an@b.example>\nđã tới xem.",  # no quote follows
        "---- Tổ 3 ----\nĐường hỏng.",
        "Tôi viết On 4/4:\nĐường hỏng.",
        "Kính gửi Ủy ban\n---\nĐường hỏng trước chợ.\nĐề nghị sửa.",  # a line drawn, no signature
    ],
)
def test_words_that_look_like_it_stay(text: str) -> None:
    assert written(text, "Re: x", reply=True) == text


@pytest.mark.parametrize("foot", ["An Nguyen\n0912 345 678", "An\nan@b.example", "Cty Ba\nwww.b.example"])
def test_a_signature_below_a_line_goes(foot: str) -> None:
    assert written(f"Đường hỏng.\n\n---\n{foot}", None, reply=False) == "Đường hỏng."

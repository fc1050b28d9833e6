"""The whole road of e-mail: a real IMAP server, a mail server that keeps what it is given, the product in between."""

import hashlib
import re
import time
from base64 import encodebytes
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dovecot import Dovecot, dovecot, needed
from tests.house import PDF, House, house
from tests.mailing import Sink, sink
from tests.running import until

pytestmark = needed

DAN = "dan@example.vn"
US = "1022@tinh.example"
# 1258 has no letters with two marks: the tone follows its vowel as a character of its own.
WORDS = "Hẻm 12 đường Hùng Vương ngập nước mỗi khi mưa."
IN_1258 = "He\u0309m 12 đươ\u0300ng Hu\u0300ng Vương ngâ\u0323p nươ\u0301c mô\u0303i khi mưa."


class Post:
    """A house with a mailbox, and people who write to it."""

    def __init__(self, home: House, box: Dovecot, server: Sink) -> None:
        self.home, self.box, self.server = home, box, server
        self.agent = home.as_()

    def deliver(self, mail: bytes, sender: str = DAN) -> None:
        """Into our mailbox, as another server does it."""
        self.box.deliver(re.sub(rb"\r?\n", b"\r\n", mail), US, sender)

    def writes(self, id: str, text: str, *, sender: str = DAN, to: str = US, **headers: str) -> None:
        """A plain mail of somebody."""
        mail = EmailMessage()
        mail["Message-ID"], mail["From"], mail["To"] = f"<{id}>", sender, to
        for name, value in {"Subject": "Phản ánh", **headers}.items():
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        self.deliver(mail.as_bytes(), parseaddr(sender)[1])

    def mails(self, to: str, count: int) -> list[EmailMessage]:
        """What was sent to somebody, once that many have been."""
        until(lambda: len(self.server.mails(to)) >= count, f"{count} mails to {to}", 40)
        return self.server.mails(to)

    def cases(self, sender: str) -> list[dict[str, Any]]:
        """The cases of somebody, oldest first."""
        rows = self.home.rows(
            "SELECT c.code FROM cases c JOIN identities i USING (citizen_id) WHERE i.handle = $1 ORDER BY c.id", sender
        )
        return [dict(self.agent.get(f"/api/v1/cases/{row['code']}").json()) for row in rows]

    def said(self, code: str) -> list[str]:
        """What the citizen said in a case."""
        shown = self.agent.get(f"/api/v1/cases/{code}").json()
        return [line["text"] for line in shown["entries"] if line["kind"] in ("report", "message")]

    def quiet(self) -> None:
        """Everything that came has been taken in, and nothing waits to be sent."""
        taken = len(self.box.files())
        until(lambda: self.home.rows("SELECT count(*) AS n FROM received")[0]["n"] >= taken, "the mails", 40)
        self.home.calm()


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory, server_url: str, template: str) -> Iterator[Post]:
    """The house at work."""
    folder = tmp_path_factory.mktemp("mail")
    with dovecot() as box, sink(folder / "sink") as server:
        settings: dict[str, Any] = {
            "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_TLS": "none",
            "SMTP_FROM": f"Tổng đài 1022 <{US}>",
            "IMAP_HOST": "127.0.0.1", "IMAP_PORT": str(box.imap), "IMAP_TLS": "none", "IMAP_USER": US,
            "IMAP_PASSWORD": box.password,
        }  # fmt: skip
        with house(folder / "house", server_url, template, **settings) as home:
            yield Post(home, box, server)
            assert "Traceback" not in home.said()


def old_mail(id: str) -> bytes:
    """As a mail program of 2005 writes: windows-1258 in base64, a PDF beside it."""
    mail = EmailMessage()
    mail["Message-ID"], mail["From"], mail["To"] = f"<{id}>", f"Nguyễn Văn Dân <{DAN}>", US
    mail["Subject"] = "Ngập nước"
    mail.set_content("x")
    mail.add_attachment(PDF, maintype="application", subtype="pdf", filename="bản đồ.pdf")
    text = mail.get_payload()[0]  # type: ignore[index]
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        del text[name]  # type: ignore[union-attr]
    text["Content-Type"] = 'text/plain; charset="windows-1258"'  # type: ignore[index]
    text["Content-Transfer-Encoding"] = "base64"  # type: ignore[index]
    text.set_payload(encodebytes(IN_1258.encode("cp1258")).decode())  # type: ignore[union-attr]
    return mail.as_bytes()


def bounce(of: EmailMessage) -> bytes:
    """What the citizen's server says about a mail that it cannot put anywhere (RFC 3464)."""
    edge = "=_b"
    return f"""Return-Path: <>
From: Mail Delivery System <mailer-daemon@example.vn>
To: {US}
Subject: Undelivered Mail Returned to Sender
Message-ID: <dsn-1@example.vn>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="{edge}"

--{edge}
Content-Type: text/plain

<{DAN}>: mailbox unavailable

--{edge}
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.vn

Final-Recipient: rfc822; {DAN}
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 mailbox full

--{edge}
Content-Type: text/rfc822-headers

Message-ID: {of["Message-ID"]}
From: {US}
To: {DAN}

--{edge}--
""".encode()


def test_a_mail_becomes_a_case_and_is_answered_and_a_bounce_is_seen(post: Post) -> None:
    post.deliver(old_mail("1@dan.example.vn"))
    [receipt] = post.mails(DAN, 1)
    [case] = post.cases(DAN)
    assert WORDS in case["text"]
    assert case["channel"] == "email"
    post.quiet()
    [file] = post.agent.get(f"/api/v1/cases/{case['code']}").json()["attachments"]
    assert (file["name"], file["sha256"]) == ("bản đồ.pdf", hashlib.sha256(PDF).hexdigest())
    assert receipt["Auto-Submitted"] == "auto-replied"
    assert (receipt["In-Reply-To"], receipt["References"]) == ("<1@dan.example.vn>", "<1@dan.example.vn>")
    assert post.server.taken()[0]["from"] == "FROM:<>"
    assert case["code"] in receipt["Subject"] + receipt.get_content()
    assert re.search(rf"1022\+{case['code'].lower()}\.[a-z2-7]{{16}}@tinh\.example", receipt["Reply-To"])

    after = {"In_Reply_To": receipt["Message-ID"], "References": f"<1@dan.example.vn> {receipt['Message-ID']}"}
    post.writes("2@dan.example.vn", "Bổ sung: nước ngập tới đầu gối, xe chết máy.", to=receipt["Reply-To"], **after)
    until(lambda: len(post.said(case["code"])) == 2, "the further mail in the case", 40)
    assert len(post.cases(DAN)) == 1

    answer = "Xí nghiệp thoát nước sẽ nạo vét trong tuần này."
    done = post.agent.post(
        f"/api/v1/cases/{case['code']}/answer_directly",
        data={"reply": answer},
        files=[("attachments", ("kế hoạch.pdf", PDF + b"\n% ours\n", "application/pdf"))],
    )
    assert done.status_code == 200, done.text
    _, letter = post.mails(DAN, 2)
    assert answer in letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert (letter["Auto-Submitted"], letter["In-Reply-To"]) == (None, "<2@dan.example.vn>")
    [sent] = letter.iter_attachments()
    assert sent.get_filename() == "kế hoạch.pdf"
    assert sent.get_content() == PDF + b"\n% ours\n"

    def shown(path: str) -> Any:
        return post.agent.get(path).json()

    until(lambda: shown(f"/api/v1/cases/{case['code']}")["status"] == "replied", "the case is replied", 40)
    post.deliver(bounce(letter), "")
    waiting = httpx.Client(base_url=post.home.webs[0], headers=post.home.as_("supervisor").headers)
    with waiting:
        until(lambda: waiting.get("/api/v1/outbox").json()["items"], "the bounce in the list", 40)
        [undelivered] = waiting.get("/api/v1/outbox").json()["items"]
    assert (undelivered["case"], undelivered["purpose"], undelivered["state"]) == (case["code"], "answer", "failed")
    timeline = shown(f"/api/v1/cases/{case['code']}/timeline")["items"]
    assert "message.failed" in {each["kind"] for each in timeline}


def test_a_stranger_who_knows_a_code_opens_a_case_of_their_own(post: Post) -> None:
    post.writes("3@hoa.example.vn", "Đèn đường tắt.", sender="hoa@example.vn")
    post.mails("hoa@example.vn", 1)
    [case] = post.cases("hoa@example.vn")
    post.writes("4@la.example.vn", "Cho tôi xem nội dung.", sender="la@example.vn", Subject=f"Re: [{case['code']}]")
    post.mails("la@example.vn", 1)
    [own] = post.cases("la@example.vn")
    assert own["code"] != case["code"]
    assert len(post.said(case["code"])) == 1


@pytest.mark.parametrize("marked", [True, False], ids=["that says so", "that hides it"])
def test_a_mailbox_that_answers_everything_is_written_to_once(post: Post, marked: bool) -> None:
    robot = f"may-{marked}@example.vn".lower()
    post.writes(f"0@{robot}", "Cống nghẹt.", sender=robot)
    answered, quiet_since = 0, time.monotonic()
    while time.monotonic() - quiet_since < 2.5:
        for letter in post.server.mails(robot)[answered:]:
            answered += 1
            mark = {"Auto_Submitted": "auto-replied"} if marked else {}
            post.writes(
                f"{answered}@{robot}", "Tôi đang nghỉ phép, sẽ trả lời sau.", sender=robot, to=letter["Reply-To"],
                Subject=f"Re: {letter['Subject']}", In_Reply_To=letter["Message-ID"], **mark,
            )  # fmt: skip
            quiet_since = time.monotonic()
        if not answered:
            quiet_since = time.monotonic()
        assert answered < 5
        time.sleep(0.1)
    post.quiet()
    assert len(post.server.mails(robot)) == 1
    [case] = post.cases(robot)
    assert len(post.said(case["code"])) == (1 if marked else 2)


def test_two_hotlines_that_write_to_each_other_stop_at_once(post: Post, tmp_path: Path) -> None:
    other = "1022@huyen.example"
    post.writes(
        "r1@huyen.example", "Tổng đài 1022 đã nhận phản ánh. Mã: HU-26-0000001", sender=other,
        Auto_Submitted="auto-replied", X_Hotline_1022="huyen.example", Subject="Đã nhận",
    )  # fmt: skip
    post.quiet()
    time.sleep(0.5)
    assert post.server.mails(other) == []
    assert post.cases(other) == []

"""A person writes on a channel and hears back there: the whole system, vendors as processes of their own."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fakes.vendor import PIXEL
from tests.house import PDF, House, house
from tests.running import until

FILES = {"zalo": ("image", "file"), "facebook": ("image", "file"), "telegram": ("photo", "document")}
HANDLES = ("token", "attachment_id", "file_id")  # what messages of ours call their files
RECEIPTS = ("zalo", "facebook")  # Telegram tells bots nothing of what became of a message
OURS = PDF + b"% from the centre\n"
PATIENCE = 40.0


def sha256(content: bytes) -> str:
    """As the API shows it."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Desk:
    """The running system and an agent."""

    home: House
    agent: httpx.Client

    def case_of(self, channel: str, text: str) -> str:
        """The code of the case whose text this is, when it is there."""
        found: list[str] = []

        def there() -> bool:
            rows = self.agent.get("/api/v1/cases", params={"channel": channel}).json()["items"]
            found[:] = [row["code"] for row in rows if row["text"] == text]
            return bool(found)

        until(there, f"a case on {channel}", PATIENCE)
        return found[0]

    def case(self, code: str) -> dict[str, Any]:
        """All staff see of it."""
        return dict(self.agent.get(f"/api/v1/cases/{code}").json())

    def kinds(self, code: str) -> set[str]:
        """What has happened to it."""
        shown = self.agent.get(f"/api/v1/cases/{code}/timeline").json()
        return {each["kind"] for each in shown["items"]}

    def answer(self, code: str, text: str, *files: tuple[str, bytes, str]) -> None:
        """The agent answers at once."""
        path = f"/api/v1/cases/{code}/answer_directly"
        if files:
            done = self.agent.post(path, data={"reply": text}, files=[("attachments", file) for file in files])
        else:
            done = self.agent.post(path, json={"reply": text})
        assert done.status_code == 200, done.text

    def heard(self, channel: str, words: str) -> list[Any]:
        """What the vendor was given that says these words."""
        return [row for row in self.home.vendors[channel].control("sent") if words in str(row)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, server_url: str, template: str) -> Iterator[Desk]:
    """Everything started, and every vendor told where we are."""
    with house(
        tmp_path_factory.mktemp("channels"), server_url, template, "zalo", "facebook", "telegram", "sms"
    ) as home:
        yield Desk(home, home.as_("agent"))
        assert "Traceback" not in home.said()


@pytest.mark.parametrize("channel", FILES)
def test_a_message_with_files_becomes_a_case_and_the_answer_comes_back_with_one(desk: Desk, channel: str) -> None:
    vendor, text = desk.home.vendors[channel], f"Ổ gà lớn trước chợ, nhắn qua {channel}"
    picture, document = FILES[channel]
    said = vendor.control("say", user="501", text=text)
    assert said["status"] == 200, said
    vendor.control("say", user="501", kind=picture)
    pdf = {"name": "don.pdf", "type": "application/pdf", "base64": base64.b64encode(PDF).decode()}
    vendor.control("say", user="501", kind=document, **pdf)
    code = desk.case_of(channel, text)
    until(lambda: desk.heard(channel, code), "the receipt at the vendor", PATIENCE)
    until(lambda: len(desk.case(code)["attachments"]) == 2, "the files in the case", PATIENCE)
    files = {file["media_type"]: file for file in desk.case(code)["attachments"]}
    assert {*files} == {"image/jpeg", "application/pdf"}
    assert files["application/pdf"]["sha256"] == sha256(PDF)
    assert desk.agent.get(files["application/pdf"]["url"]).content == PDF
    originals = desk.home.rows("SELECT original_sha256 FROM attachments WHERE media_type = 'image/jpeg'")
    assert {row["original_sha256"] for row in originals} == {sha256(PIXEL)}

    answer = "Đội duy tu sẽ vá ổ gà trong ngày mai."
    desk.answer(code, answer, ("kế hoạch.pdf", OURS, "application/pdf"))
    until(lambda: desk.heard(channel, answer), "the answer at the vendor", PATIENCE)
    until(lambda: desk.case(code)["status"] == "replied", "the case is replied", PATIENCE)
    given, sent = vendor.control("files"), vendor.control("sent")
    mine = [given[row[name]] for row in sent for name in HANDLES if row.get(name) in given]
    assert mine == [sha256(OURS)]
    assert len(desk.heard(channel, answer)) == 1
    if channel in RECEIPTS:
        until(lambda: "message.read" in desk.kinds(code), "the vendor says that it was read", PATIENCE)


def test_a_text_message_is_answered_in_parts_and_their_fate_is_shown(desk: Desk) -> None:
    sms, somebody, text = desk.home.vendors["sms"], "+84912000501", "Mất nước cả khu phố 5, nhắn qua SMS"
    sms.control("sms", **{"from": somebody, "text": text})
    code = desk.case_of("sms", text)

    def theirs() -> list[dict[str, Any]]:
        ledger = httpx.get(f"{sms.url}/_control/ledger").json()
        return [row for row in ledger["messages"] if row["to"] == somebody]

    until(lambda: len(theirs()) == 1, "the receipt", PATIENCE)
    assert code in theirs()[0]["body"]
    answer = " ".join(f"Lịch cấp nước khu phố 5, đợt {number}: từ 6 giờ đến 9 giờ sáng." for number in range(40))
    desk.answer(code, answer)
    until(lambda: len(theirs()) == 3, "an answer of two parts", PATIENCE)
    parts = [row["body"] for row in theirs()[1:]]
    assert " ".join(parts) == answer
    assert all(len(part) <= 1600 for part in parts)

    def fates() -> set[str]:
        rows = desk.home.rows("SELECT state FROM outgoing JOIN cases c ON c.id = subject_id WHERE c.code = $1", code)
        return {row["state"] for row in rows}

    until(lambda: fates() == {"delivered"}, "Twilio says that all was delivered", PATIENCE)
    assert "message.delivered" in desk.kinds(code)


def test_who_stops_gets_no_more_text_messages(desk: Desk) -> None:
    sms, somebody, text = desk.home.vendors["sms"], "+84912000502", "Cống nghẹt ở hẻm 7, nhắn qua SMS"
    sms.control("sms", **{"from": somebody, "text": text})
    code = desk.case_of("sms", text)
    until(
        lambda: desk.home.rows("SELECT 1 FROM outgoing WHERE handle = $1 AND state = 'delivered'", somebody),
        "receipt",
        40,
    )
    sms.control("sms", **{"from": somebody, "text": "STOP"})
    desk.home.calm(of=["received"])
    cases = desk.home.rows(
        "SELECT c.code FROM cases c JOIN identities i USING (citizen_id) WHERE i.handle = $1", somebody
    )
    assert [row["code"] for row in cases] == [code]  # the word is no report
    desk.answer(code, "Đã thông cống.")
    desk.home.calm(of=["outgoing"])
    ledger = httpx.get(f"{sms.url}/_control/ledger").json()["messages"]
    assert len([row for row in ledger if row["to"] == somebody]) == 1  # the receipt; the answer stands on the page
    shown = desk.case(code)
    assert "Đã thông cống." in str(shown["entries"])


def test_the_app_sends_a_report_twice_and_follows_one_case(desk: Desk) -> None:
    body = {"text": "Đèn đường tắt ở phường Tân Phú", "source": "app"}
    headers = {"Idempotency-Key": "0c9c3b1e-6a68-4b4c-9a5e-5c1f6f1d1022"}
    first, again = (
        httpx.post(f"{desk.home.webs[0]}/api/v1/reports", json=body, headers=headers, timeout=30) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    receipt = first.json()
    assert desk.case(receipt["code"])["channel"] == "app"
    desk.answer(receipt["code"], "Đã thay bóng đèn.", ("ảnh.pdf", OURS, "application/pdf"))
    until(lambda: desk.case(receipt["code"])["status"] == "replied", "the case is replied", PATIENCE)
    key = {"Tracking-Key": receipt["tracking_key"]}
    page = httpx.get(f"{desk.home.webs[0]}/api/v1/reports/{receipt['code']}", headers=key, timeout=30).json()
    assert page["reply"] == "Đã thay bóng đèn."
    assert [file["sha256"] for file in page["attachments"]] == [sha256(OURS)]
    found = desk.home.rows("SELECT count(*) AS n FROM cases WHERE channel = 'app'")
    assert found[0]["n"] == 1

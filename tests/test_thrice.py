"""Every event of every vendor three times, shuffled, through two web processes to two workers: the same as once."""

import base64
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.factories import a_photo
from tests.house import House, house

SEED = 4
PEOPLE = {"zalo": 6, "facebook": 6, "telegram": 6, "sms": 2}  # Twilio takes one message a second from us
AT_ONCE = 8  # webhooks on their way
PHOTO = base64.b64encode(a_photo(16)).decode()
TYPED = "Dạ, đội quản lý đường bộ đã có mặt ạ."


@dataclass(frozen=True)
class Day:
    """What happens to one half of the town; `half` is 7 or 8, the first digit of everybody's number."""

    home: House
    half: int

    def name(self, channel: str, number: int) -> str:
        """How the vendor calls a person."""
        return f"+8491{self.half}000{number:03}" if channel == "sms" else f"{self.half}000{number:03}"

    def say(self, channel: str, number: int, **what: Any) -> dict[str, Any]:
        """That person says something."""
        vendor, name = self.home.vendors[channel], self.name(channel, number)
        if channel == "sms":
            vendor.control("sms", **{"from": name}, **what)
            return {}
        return dict(vendor.control("say", user=name, **what))

    def everybody_speaks(self) -> None:
        """A report each, and what people do besides: a photo, a place, an afterthought, a correction, a comment."""
        for channel, people in PEOPLE.items():
            for number in range(people):
                first = self.say(channel, number, text=f"Cống nghẹt trước nhà số {number + 1}, báo qua {channel}")
                if number == 1 and channel != "sms":
                    kind = "photo" if channel == "telegram" else "image"
                    self.say(channel, number, kind=kind, base64=PHOTO, type="image/png", name="cong.png")
                if number == 2:
                    self.say(channel, number, kind="location", latitude=11.5352, longitude=106.8832)
                if number == 3 or channel == "sms":
                    self.say(channel, number, text="Đã ba ngày nay rồi")
                if number == 4 and channel == "telegram":
                    self.say(channel, number, edit=first["message_id"], text="Cống nghẹt trước nhà số 50")
        self.home.vendors["facebook"].control(
            "comment", user=self.name("facebook", 901), text="Hố ga mất nắp ở đường Hùng Vương"
        )

    def staff_answer(self) -> None:
        """Somebody in the centre answers every other person; a colleague writes in the vendors' own inboxes."""
        agent = self.home.as_()
        for code, handle in self.cases():
            if int(handle) % 2 == 0:
                reply = {"reply": f"Đã thông cống cho người số {int(handle) % 1000}."}
                done = agent.post(f"/api/v1/cases/{code}/answer_directly", json=reply)
                assert done.status_code == 200, done.text
        self.home.vendors["zalo"].control("oa_says", user=self.name("zalo", 3), text=TYPED)
        self.home.vendors["facebook"].control("page_says", user=self.name("facebook", 3), text=TYPED)

    def people_react(self) -> None:
        """Stars for each answer on Zalo."""
        zalo = self.home.vendors["zalo"]
        for row in zalo.control("sent"):
            if row["to"].startswith(str(self.half)) and "Đã thông cống" in str(row):
                zalo.control("act", what="rate", user=row["to"], msg_id=row["id"], rate=5, note="Cảm ơn")

    def cases(self) -> list[tuple[str, str]]:
        """Code and reporter of each case of this half."""
        rows = self.home.rows("SELECT c.code, i.handle FROM cases c JOIN identities i USING (citizen_id)")
        return [(row["code"], row["handle"]) for row in rows if re.match(rf"(\+8491)?{self.half}000", row["handle"])]

    def pass_by(self, times: int) -> int:
        """The whole day, every webhook so many times; how many different ones there were."""
        events = 0
        for act in (self.everybody_speaks, self.staff_answer, self.people_react):
            act()
            events += carry(self.home, times)
        return events

    def outcome(self) -> dict[tuple[str, int], Any]:
        """Cases, lines, files and messages by whose they are, without ids, codes and times."""
        shown: dict[tuple[str, int], Any] = {}
        for code, handle in self.cases():
            case = what_became_of(self.home, code)
            shown.setdefault((case["case"][0], int(handle) % 1000), []).append(case)
        return {who: sorted(theirs, key=str) for who, theirs in shown.items()}


def what_became_of(home: House, code: str) -> dict[str, Any]:
    """A case as staff and citizen see it. Of two messages either may have come first, and so be called the report."""
    [case] = home.rows("SELECT id, channel, status, rating FROM cases WHERE code = $1", code)
    lines = home.rows(
        "SELECT replace(kind, 'report', 'message') AS kind, author_kind, to_citizen, text,"
        " ARRAY(SELECT original_sha256 FROM attachments WHERE entry_id = e.id) AS files"
        " FROM entries e WHERE case_id = $1",
        case["id"],
    )
    messages = home.rows("SELECT purpose, channel, state, text FROM outgoing WHERE subject_id = $1", case["id"])

    def plain(row: dict[str, Any]) -> tuple[Any, ...]:
        text = re.sub(rf"{code}|lúc \d\d:\d\d", "…", row.pop("text"))
        return (*row.values(), text)

    return {
        "case": (case["channel"], case["status"], case["rating"]),
        "lines": sorted(map(plain, lines)),
        "messages": sorted(map(plain, messages)),
    }


def carry(home: House, times: int) -> int:
    """Bring what vendors hold to us, each so many times, until they hold nothing more; how many there were."""
    chance, total = random.Random(SEED), 0
    while True:
        posts = []
        for channel, vendor in home.vendors.items():
            for each in vendor.control("take"):
                path = f"/webhooks/{channel}"
                if channel == "sms":
                    path = urlsplit(each["url"])._replace(scheme="", netloc="").geturl()
                posts.append((path, each["body"].encode(), each["headers"]))
        if not posts:
            return total
        total += len(posts)
        posts *= times
        if times > 1:
            chance.shuffle(posts)
        with httpx.Client(timeout=30, trust_env=False) as http, ThreadPoolExecutor(AT_ONCE if times > 1 else 1) as pool:

            def post(numbered: tuple[int, tuple[str, bytes, dict[str, str]]]) -> int:
                number, (path, body, headers) = numbered
                return http.post(home.webs[number % len(home.webs)] + path, content=body, headers=headers).status_code

            assert Counter(pool.map(post, enumerate(posts))) == {200: len(posts)}
        home.calm()


@pytest.mark.soak  # a minute on two cores
@pytest.mark.timeout(300)
def test_three_times_and_shuffled_is_the_same_as_once(tmp_path: Path, server_url: str, template: str) -> None:
    with house(tmp_path / "house", server_url, template, *PEOPLE, webs=2, workers=2) as home:
        for vendor in home.vendors.values():
            vendor.control("settings", hold=True)

        def kept() -> int:
            return int(home.rows("SELECT count(*) AS n FROM received")[0]["n"])

        events, once = Day(home, 7).pass_by(1), Day(home, 7).outcome()
        rows = kept()
        again, thrice = Day(home, 8).pass_by(3), Day(home, 8).outcome()
        assert {who: theirs for who, theirs in thrice.items() if theirs != once.get(who)} == {}
        assert thrice.keys() == once.keys()
        assert (again, kept() - rows) == (events, rows)
        assert not home.rows("SELECT 1 FROM received WHERE dead_at IS NOT NULL")
        assert "Traceback" not in home.said()
    cases = [case for theirs in once.values() for case in theirs]
    assert len(cases) == len(once) == sum(PEOPLE.values()) + 1
    assert {message[2] for case in cases for message in case["messages"]} == {"sent", "delivered", "read"}
    assert {line[0] for case in cases for line in case["lines"]} == {"message", "answer", "elsewhere"}
    assert {case["case"][2] for case in cases} == {None, 5}
    assert any(line[3] for case in cases for line in case["lines"])  # the photos

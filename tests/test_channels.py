"""A person writes on a vendor's channel and hears back there: the whole system, vendors as processes of their own."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fakes.starting import Fake, started
from tests.running import PASSWORD, System, until

PHOTOS = {"zalo": "image", "facebook": "image", "telegram": "photo"}
RECEIPTS = ("zalo", "facebook")  # Telegram tells bots nothing of what became of a message


@dataclass
class House:
    """The running system, its vendors, and an agent."""

    system: System
    vendors: dict[str, Fake]
    agent: httpx.Client

    def case_of(self, channel: str, text: str) -> dict[str, Any]:
        """The case whose text this is, when it is there."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            rows = self.agent.get("/api/v1/cases", params={"channel": channel}).json()["items"]
            found[:] = [row for row in rows if row["text"] == text]
            return bool(found)

        until(there, f"a case on {channel}", 40)
        return dict(self.agent.get(f"/api/v1/cases/{found[0]['code']}").json())

    def heard(self, channel: str, words: str) -> list[Any]:
        """What the vendor was given for somebody that says these words."""
        return [row for row in self.vendors[channel].control("sent") if words in str(row)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Everything started, and every vendor told where we are."""
    with ExitStack() as stack:
        zalo, graph, telegram = (stack.enter_context(started(name)) for name in ("zalo", "graph", "telegram"))
        at_zalo, page = zalo.control("settings"), graph.control("settings")
        grant = zalo.control("grant")
        system = System(
            tmp_path_factory.mktemp("channels") / "data",
            ZALO_APP_ID=at_zalo["app_id"], ZALO_APP_SECRET=at_zalo["app_secret"],
            ZALO_OA_ID=at_zalo["oa_id"], ZALO_OA_SECRET_KEY=at_zalo["oa_secret"],
            ZALO_REFRESH_TOKEN=grant["refresh_token"],
            ZALO_API_URL=zalo.url, ZALO_OAUTH_URL=zalo.url, ZALO_BUSINESS_URL=zalo.url,
            FACEBOOK_PAGE_ID=page["page"], FACEBOOK_PAGE_TOKEN=page["token"],
            FACEBOOK_APP_SECRET=page["app_secret"], FACEBOOK_VERIFY_TOKEN=page["verify_token"],
            FACEBOOK_GRAPH_URL=graph.url,
            TELEGRAM_TOKEN="1022:bot-token", TELEGRAM_SECRET_TOKEN="a-secret", TELEGRAM_API_URL=telegram.url,
        )  # fmt: skip
        stack.callback(system.destroy)
        system.start()
        system.wait_ready()
        vendors = {"zalo": zalo, "facebook": graph, "telegram": telegram}
        for channel, vendor in vendors.items():
            more = {"secret_token": "a-secret"} if channel == "telegram" else {}
            vendor.control("settings", webhook_url=f"{system.url}/webhooks/{channel}", **more)
        form = {"username": "agent@demo", "password": PASSWORD}
        token = httpx.post(f"{system.url}/api/v1/auth/token", data=form).json()["access_token"]
        agent = httpx.Client(base_url=system.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        with agent:
            yield House(system, vendors, agent)
        assert "Traceback" not in system.said()


@pytest.mark.parametrize("channel", PHOTOS)
def test_a_message_with_a_photo_becomes_a_case_and_the_answer_comes_back(house: House, channel: str) -> None:
    vendor, text = house.vendors[channel], f"Ổ gà lớn trước chợ, nhắn qua {channel}"
    said = vendor.control("say", user="501", text=text)
    assert said["status"] == 200, said
    vendor.control("say", user="501", kind=PHOTOS[channel])
    case = house.case_of(channel, text)
    until(lambda: house.heard(channel, case["code"]), "the receipt at the vendor", 40)

    def photo() -> list[Any]:
        return list(house.agent.get(f"/api/v1/cases/{case['code']}").json()["attachments"])

    until(photo, "the photo in the case", 40)
    assert [file["media_type"] for file in photo()] == ["image/jpeg"]

    answer = "Đội duy tu sẽ vá ổ gà trong ngày mai."
    done = house.agent.post(f"/api/v1/cases/{case['code']}/answer_directly", json={"reply": answer})
    assert done.status_code == 200, done.text
    until(lambda: house.heard(channel, answer), "the answer at the vendor", 40)
    assert len(house.heard(channel, answer)) == 1
    until(
        lambda: house.agent.get(f"/api/v1/cases/{case['code']}").json()["status"] == "replied",
        "the case is replied",
        40,
    )
    if channel in RECEIPTS:

        def kinds() -> set[str]:
            shown = house.agent.get(f"/api/v1/cases/{case['code']}/timeline").json()
            return {each["kind"] for each in shown["items"]}

        until(lambda: "message.read" in kinds(), "the vendor says that it was read", 40)

"""One living demo and one Chromium for all tests here; each brings its own reports, so their order does not matter."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.browsing import CHROMIUM, FLAGS, Site
from tests.running import System, running


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`main.py run --demo` with its stories told."""
    if not CHROMIUM.exists():
        pytest.skip(f"the browser tests need Debian's chromium at {CHROMIUM}: apt-get install chromium")
    with running(tmp_path_factory.mktemp("browser") / "data", DEMO_CASES="yes") as made:
        yield made
        assert "Traceback" not in made.said()


@pytest.fixture(scope="package")
async def chromium(system: System) -> AsyncIterator[Browser]:
    """The browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="package")
def everybody(system: System, chromium: Browser) -> Site:
    """The sign-ins all tests share."""
    return Site(system, chromium)


@pytest.fixture
async def site(everybody: Site) -> AsyncIterator[Site]:
    """The system in the browser; afterwards no page has had anything to complain about."""
    yield everybody
    await everybody.close()

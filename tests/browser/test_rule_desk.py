"""From "the council changed the limit for street lights" to "active from Monday", by who never saw the pages."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.browsing import Site

pytestmark = pytest.mark.timeout(400)


async def test_from_a_council_that_changed_a_limit_to_active_from_monday(site: Site) -> None:
    page = await site.page("admin", "/admin", width=390)
    # Nothing but what is written on the pages is used.
    await page.get_by_role("link", name="Quy tắc", exact=True).click()
    await page.get_by_role("link", name="Thay đổi từ ngày…").first.click()
    day = await page.get_by_label("Áp dụng từ ngày").input_value()
    year, month, number = day.split("-")
    await page.get_by_label(re.compile("Theo văn bản nào")).fill("NQ 12/NQ-HĐND")
    await page.get_by_role("button", name="Lập bản nháp").click()
    await page.get_by_role("link", name="Thêm thời hạn").click()
    await page.get_by_label("Phải xong trong: số").fill("2")
    await page.get_by_label("Lĩnh vực 1").select_option(label="Hạ tầng kỹ thuật: Chiếu sáng công cộng")
    await page.get_by_role("button", name="Lưu vào bản nháp").click()
    changes = page.locator("section", has=page.locator("#head-changes"))
    await expect(changes).to_contain_text("Chiếu sáng công cộng: 3 ngày làm việc → 2 ngày làm việc")
    await page.get_by_role("button", name="Kiểm tra", exact=True).click()
    await page.get_by_role("button", name=f"Áp dụng từ thứ Hai {number}/{month}/{year}").click()
    await expect(page.get_by_role("heading", level=2).first).to_have_text(
        f"Sẽ áp dụng từ thứ Hai {number}/{month}/{year}"
    )
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The others of this session find the rules as they were.
    await page.get_by_role("button", name="Rút lại thành bản nháp").click()
    await page.locator("summary", has_text="Xóa bản nháp").click()
    await page.get_by_role("button", name="Xóa hẳn").click()
    await expect(page.get_by_text("Đã xóa bản nháp.")).to_be_visible()

"""What is covered before a text is published, and what must not be: a table, and properties."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.masking import INSTEAD, KINDS, Span, masked, suggest, unconfirmed

# text → the text with what is suggested covered
COVERED = [
    # phones
    ("Liên hệ 0912345678 nhé", "Liên hệ [số điện thoại] nhé"),
    ("Gọi 0912 345 678.", "Gọi [số điện thoại]."),
    ("Gọi 0912.345.678, hoặc +84 912 345 678", "Gọi [số điện thoại], hoặc [số điện thoại]"),
    ("Điện thoại (0271) 3888 999", "Điện thoại [số điện thoại]"),
    ("Zalo 84912345678", "Zalo [số điện thoại]"),
    # plates
    ("Xe 93A-123.45 đậu sai", "Xe [biển số] đậu sai"),
    ("Xe 93C 12345 chở đất", "Xe [biển số] chở đất"),
    ("xe máy 93-H1 123.45", "xe máy [biển số]"),
    ("xe máy 93H1-1234", "xe máy [biển số]"),
    ("xe 51f-123.45", "xe [biển số]"),
    ("xe 29LD-00123", "xe [biển số]"),
    # mail and papers
    ("Thư: an.nguyen+1@gmail.com", "Thư: [thư điện tử]"),
    ("CCCD số 070123456789", "CCCD số [số giấy tờ]"),
    ("có số 070 123 456 789 đứng tên", "có số [số giấy tờ] đứng tên"),
    ("CMND: 285123456 cấp năm 2010", "CMND: [số giấy tờ] cấp năm 2010"),
    ("hộ chiếu C1234567", "hộ chiếu [số giấy tờ]"),
    # names
    ("Đã làm việc với ông Nguyễn Văn An về việc này", "Đã làm việc với ông [họ tên] về việc này"),
    ("Ông Bình đã dọn", "Ông [họ tên] đã dọn"),
    ("chị Hoa, anh Tú", "chị [họ tên], anh [họ tên]"),
    ("Hộ Điểu Thị Mai đã nhận", "Hộ [họ tên] đã nhận"),
    ("Giám đốc Trần Văn Bình ký", "Giám đốc [họ tên] ký"),
    # where somebody lives
    ("trước số nhà 12/3 có rác", "trước [số nhà] có rác"),
    ("tại số 45 đường Phú Riềng Đỏ", "tại [số nhà] đường Phú Riềng Đỏ"),
    ("Cây trước số 45 Nguyễn Huệ đã cắt", "Cây trước [số nhà] Nguyễn Huệ đã cắt"),
    ("nhà số 7B bị ngập", "[số nhà] bị ngập"),
    ("ở 12/5 đường Hùng Vương", "ở [số nhà] đường Hùng Vương"),
    ("thửa đất số 123, tờ bản đồ số 45", "[thửa đất]"),
    # several
    (
        "Anh Nam (0987654321) ở số 3 đường 14/9 báo xe 93A-999.99",
        "Anh [họ tên] ([số điện thoại]) ở [số nhà] đường 14/9 báo xe [biển số]",
    ),
]
PLAIN = [
    "Sở Xây dựng đã vá ổ gà trên đường Nguyễn Huệ, đoạn trước chợ Đồng Xoài.",
    "Đã thông cống tại ngã tư Trần Hưng Đạo và đường Hùng Vương ngày 03/03/2026.",
    "Văn bản số 123/SXD-HT ngày 02-03-2026 10 giờ; Quyết định 1478/QĐ-UBND, Nghị định 20/2008.",
    "Kinh phí 1.250.000.000 đồng, dài 1200 m, từ 7h30 đến 11h30, gọi 1022 hoặc 113.",
    "Mã phản ánh BP-26-0482134, quốc lộ 14, ĐT741, QL13, tổ 5 khu phố Phú Thanh.",
    "Anh/chị nộp hồ sơ tại quầy số 3, tầng 2. Cảm ơn bà con đã phản ánh.",
    "UBND phường Bình Phước, thành phố Hồ Chí Minh, Bà Rịa, núi Bà Đen, hồ Suối Giai.",
    "Trường THCS Nguyễn Văn Trỗi, bệnh viện Hoàn Mỹ, chợ Nguyễn Thị Lan, xã Tân Lợi.",
    "Đèn đường số 45 đã thay; trụ số 12 tuyến 22kV; ngày 12/5 đường đã thông.",
    "Công ty Điện lực Bình Phước đã thay bóng trên đường Lê Duẩn – Trần Phú.",
    "Nghị quyết số 12 Hội đồng nhân dân, đội số 3 Trạm y tế.",
    "Ổ gà đã được vá.",
]


@pytest.mark.parametrize(("text", "wanted"), COVERED, ids=[text for text, _ in COVERED])
def test_what_tells_of_somebody_is_covered(text: str, wanted: str) -> None:
    assert masked(text, suggest(text)) == wanted


@pytest.mark.parametrize("text", PLAIN)
def test_what_tells_of_nobody_is_left_alone(text: str) -> None:
    assert [(span.kind, span.of(text)) for span in suggest(text)] == []


@pytest.mark.parametrize(
    ("known", "text", "wanted"),
    [
        ("Nguyễn Thị Hồng", "Bà con nói nguyen thi hong đã báo", "Bà con nói [họ tên] đã báo"),
        ("Thạch Sô Phi", "đường trước nhà Thạch Sô Phi", "đường trước nhà [họ tên]"),
        ("+84912345678", "số 912 345 678 vẫn gọi", "số [số điện thoại] vẫn gọi"),
        ("an@xa.vn", "Viết cho AN@XA.VN", "Viết cho [thư điện tử]"),
        ("An", "Khu vực an toàn. An ninh tốt", "Khu vực an toàn. An ninh tốt"),  # one word is everybody's
        ("", "Đã vá", "Đã vá"),
    ],
    ids=["without marks", "no common family", "without its 0", "capitals", "one word", "nothing"],
)
def test_what_is_known_of_the_reporter_is_covered_however_it_is_written(known: str, text: str, wanted: str) -> None:
    assert masked(text, suggest(text, [known])) == wanted


def test_what_a_person_leaves_stays_and_the_rest_is_named() -> None:
    text = "Gọi Điện lực 0271 3888 999 hoặc ông Bình 0912345678"
    covered = masked(text, suggest(text), ["0271 3888 999"])
    assert covered == "Gọi Điện lực 0271 3888 999 hoặc ông [họ tên] [số điện thoại]"
    assert [span.of(text) for span in unconfirmed(text, (), ["0271 3888 999"])] == ["Bình", "0912345678"]
    assert unconfirmed(text, (), ["0271 3888 999", "Bình", "0912345678"]) == []


PIECES = st.sampled_from(
    [text for text, _ in COVERED] + PLAIN + list(INSTEAD.values()) + ["ông ", "Nguyễn ", "0", "912", " ", "/", "-", "@"]
)


@given(st.lists(PIECES, max_size=6).map(" ".join) | st.text(max_size=200), st.lists(st.text(max_size=30), max_size=3))
def test_places_are_in_order_apart_and_what_is_covered_is_not_found_again(text: str, known: list[str]) -> None:
    spans = suggest(text, known)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert {span.kind for span in spans} <= set(KINDS)
    assert suggest(text, known) == spans
    covered = masked(text, spans)
    for span in spans:
        assert isinstance(span, Span)
        assert span.instead in covered


@given(st.lists(PIECES, max_size=6).map(" ".join))
def test_a_text_is_clean_after_it_was_covered_a_few_times(text: str) -> None:
    for _ in range(5):  # what stood beside something covered may join up with what comes after it
        text = masked(text, suggest(text))
    assert suggest(text) == []

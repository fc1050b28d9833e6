"""A year of cases as a province has them, written straight into the tables: the surroundings for measuring reads.

One case in a hundred is open and young, the rest is over; sixty departments, four hundred thousand citizens, texts of
some forty Vietnamese words each from lists. Written past foreign keys and with the indexes made afterwards. The words'
copy is made by PostgreSQL here, which for plain words gives what `cases.search` gives, at a fraction of the time.
"""

import itertools
import random
import re
from datetime import datetime
from pathlib import Path

import asyncpg

from cases.codes import make_code
from core.text import fold

A_CASE = make_code("BP", 26, 2_999_999)  # a code that is there
RARE = "thuongnguon"  # a word of some forty cases
CITIZENS = 400_000
DEPARTMENTS = 60
TABLES = ("cases", "case_search")

_OPENINGS = (
    "Mặt đường hư hỏng nặng, nhiều ổ gà sâu trên đường gây nguy hiểm cho người đi xe máy",
    "Trên đường có nhiều ổ gà, mưa xuống đọng nước không nhìn thấy",
    "Đèn đường chiếu sáng công cộng tắt nhiều ngày, buổi tối đi lại rất nguy hiểm",
    "Bãi rác tự phát bốc mùi hôi thối, người dân xung quanh không chịu nổi",
    "Cống thoát nước bị nghẹt, cứ mưa lớn là nước tràn vào nhà dân",
    "Quán karaoke mở loa công suất lớn đến khuya, trẻ em và người già không ngủ được",
    "Dây cáp viễn thông võng xuống sát mặt đường, xe tải đi qua vướng phải",
    "Nước sinh hoạt yếu và đục suốt tuần nay, gọi nhà máy không ai nghe máy",
    "Cây xanh gãy đổ chắn ngang lối đi, chưa thấy ai đến dọn",
    "Tôi hỏi thủ tục cấp lại giấy phép lái xe bị mất cần những giấy tờ gì",
    "Công trình xây dựng lấn chiếm vỉa hè, vật liệu đổ tràn ra lòng đường",
    "Xe quá tải chạy qua khu dân cư cả ngày lẫn đêm, bụi mù mịt",
    "Học phí trường con tôi thu thêm nhiều khoản không có thông báo",
    "Trạm y tế phường hết thuốc bảo hiểm từ đầu tháng",
    "Chó thả rông cắn người đi đường ở khu phố",
)
_STREETS = (
    "Nguyễn Văn Linh", "Phú Riềng Đỏ", "Hùng Vương", "Lê Duẩn", "Trần Hưng Đạo", "Nguyễn Huệ", "Lý Thường Kiệt",
    "Trường Chinh", "Quốc lộ 14", "Điện Biên Phủ", "Cách Mạng Tháng Tám", "Võ Văn Tần", "Nguyễn Trãi", "Hai Bà Trưng",
    "Tôn Đức Thắng", "Lê Lợi", "Phan Bội Châu", "Nguyễn Du", "Trần Phú", "Bà Huyện Thanh Quan",
)  # fmt: skip
_PLACES = (
    "xã Lộc Thành huyện Lộc Ninh", "phường Tân Phú thành phố Đồng Xoài", "xã Phú Riềng", "phường Thác Mơ",
    "xã Thanh Phú thị xã Bình Long", "phường Tân Bình", "xã Minh Thành", "phường Bình Phước", "xã Đa Kia",
    "xã Bù Gia Mập",
    "phường Chơn Thành", "xã Tân Khai", "xã Thuận Lợi", "xã Đồng Tâm", "xã Nghĩa Trung", "phường An Lộc",
)  # fmt: skip
_SAID = (
    "người dân đã nhiều lần báo ủy ban nhưng chưa được giải quyết mong cơ quan chức năng sớm kiểm tra đề nghị đơn vị "
    "phụ trách cho xuống xem xét và trả lời bà con được biết xin cảm ơn rất mong lãnh đạo quan tâm xử lý dứt điểm "
    "trước mùa mưa để yên tâm đi lại hiện nay tình hình này kéo dài hơn một tháng gây bức xúc trong khu phố trẻ nhỏ "
    "học sinh "
    "phải đi qua hàng ngày rất khó khăn nhà tôi ở gần đó thấy có xe chở đất đá chạy liên tục làm hỏng thêm cầu chợ "
    "trường trạm bệnh viện hẻm ngõ tổ ấp thôn khóm cuối đầu giữa phía sau bên trái phải sông suối hồ ruộng vườn tiêu "
    "điều cao su hộ gia đình anh chị em cô bác già yếu tai nạn va chạm té ngã bị thương nặng nhẹ tiền phí thu chi hóa "
    "đơn biên lai giấy tờ sổ đỏ đất đai tranh chấp hàng xóm tường rào cổng mái che bạt biển hiệu quảng cáo ồn ào khói "
    "bụi mùi hóa chất phân bón thuốc trừ sâu giếng khoan bơm ống vỡ rò rỉ điện giật cúp mất trụ cột dây nhánh lá rễ "
    "thân đổ nghiêng nứt lún sụt lở ngập úng tràn cạn"
)
_FIELDS = ("infra.road", "infra.light", "env.waste", "infra.drain", "env.noise")
_RARE_FIELD = "telecom.cable"
_CHANNELS = ("web", "app", "zalo", "facebook", "email", "sms", "voice")


_GIVEN = {
    "channels": f"ARRAY{list(_CHANNELS)}",
    "channel_count": len(_CHANNELS),
    "fields": f"ARRAY{list(_FIELDS)}",
    "field_count": len(_FIELDS),
    "openings": len(_OPENINGS),
    "streets": len(_STREETS),
    "places": len(_PLACES),
    "citizens": CITIZENS,
    "departments": DEPARTMENTS,
    "a_case": A_CASE,
    "rare": RARE,
    "rare_field": _RARE_FIELD,
}


def _statements() -> dict[str, str]:
    """The statements of year.sql by their names."""
    written = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    written = re.sub(r"@([a-z_]+)", lambda found: str(_GIVEN.get(found[1], found[0])), written)
    parts = re.split(r"^-- name: (\w+)$", written, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


SQL = _statements()


async def build(dsn: str, cases: int, at: datetime, officers: dict[str, str]) -> int:
    """Write the year that ends at `at`; how many cases there are then. `officers`: ids of the accounts that look."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        await connection.execute("SELECT setseed(0.1022)")
        await _lists(connection)
        later = [row["indexdef"] for row in await connection.fetch(_DROPPABLE, list(TABLES))]
        for row in await connection.fetch(_DROPPABLE, list(TABLES)):
            await connection.execute(f"DROP INDEX {row['name']}")
        step = 250_000
        for first in range(0, cases, step):
            last = min(first + step, cases) - 1
            await connection.execute(SQL["cases"], first, cases, at, officers["officer"], officers["inspector"], last)
        edges = await connection.fetch(
            "SELECT percentile_disc(array[0.0, 0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY received_at) AS at FROM cases"
        )
        bounds = [*edges[0]["at"], at.replace(year=at.year + 1)]
        for begins, ends in itertools.pairwise(bounds):
            await connection.execute(SQL["words"], begins, ends)
        for definition in later:
            await connection.execute(definition)
        await _around(connection, at)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        return int(await connection.fetchval("SELECT count(*) FROM cases"))
    finally:
        await connection.close()


_DROPPABLE = """
    SELECT i.relname AS name, pg_get_indexdef(i.oid) AS indexdef
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    WHERE t.relname = ANY($1) AND NOT x.indisprimary
        AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid)
"""


async def _lists(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Word lists, departments and helper functions, for this connection only."""
    rng = random.Random(1022)
    words = sorted(set(_SAID.split()))
    rng.shuffle(words)
    weights = [1 / (n + 3) for n in range(len(words))]  # some words are in every text, most in few
    tails = [" ".join(rng.choices(words, weights, k=rng.randint(8, 24))) for _ in range(20_000)]
    areas = [row["code"] for row in await connection.fetch("SELECT code FROM areas ORDER BY code LIMIT 400")]
    rows = [
        (kind, n, said, areas[(n * 23) % len(areas)])
        for kind, list_ in (("opening", _OPENINGS), ("street", _STREETS), ("place", _PLACES), ("tail", tails))
        for n, said in enumerate(list_)
    ]
    await connection.execute(
        "CREATE TEMP TABLE phrases (kind text, n int, said text, area text, PRIMARY KEY (kind, n))"
    )
    await connection.copy_records_to_table("phrases", records=rows, schema_name="pg_temp")
    await connection.execute(SQL["departments"])
    found = {word for row in rows for word in re.findall(r"[a-z]{3,20}", fold(str(row[2])))} | {RARE}
    await connection.executemany("INSERT INTO search_words (word) VALUES ($1)", [(word,) for word in sorted(found)])
    await connection.execute(SQL["functions"])
    await connection.execute("ANALYZE phrases; ANALYZE some_departments")


async def _around(connection: "asyncpg.Connection[asyncpg.Record]", at: datetime) -> None:
    """What cases refer to: citizens with numbers, officers, parts of units, requests for more time, incidents."""
    for name in ("citizens", "identities", "officers", "parts", "extensions", "incidents"):
        await connection.execute(SQL[name], at)

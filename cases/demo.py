"""The demo province: accounts to try every role with. Never made unless asked for.

What happens in it is told by `cases.demo_stories`.
"""

import os
import secrets
from datetime import datetime
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from cases import unit_mail
from core import staffing
from routing import commands as routing_commands

OFFICERS = "so-xd"  # Sở Xây dựng
OTHERS = "so-yte"  # Sở Y tế
CENTRE = "trung-tam-1022"
ACCOUNTS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("agent@demo", "Nguyễn Thị Tổng Đài", ("agent",), (CENTRE,)),
    ("dispatcher@demo", "Trần Văn Điều Phối", ("dispatcher",), (CENTRE,)),
    ("supervisor@demo", "Lê Thị Trưởng Ca", ("supervisor",), (CENTRE,)),
    ("officer@demo", "Phạm Văn Chuyên Viên", ("officer",), (OFFICERS,)),
    ("head@demo", "Hoàng Thị Lãnh Đạo Sở", ("head",), (OFFICERS,)),
    ("officer2@demo", "Vũ Văn Cán Bộ", ("officer",), (OTHERS,)),
    ("inspector@demo", "Đặng Thị Thanh Tra", ("inspector",), ()),
    ("police@demo", "Hoàng Văn Trực", ("police",), ()),
    ("leader@demo", "Bùi Văn Lãnh Đạo", ("leader",), ()),
    ("admin@demo", "Đỗ Thị Quản Trị", ("admin",), ()),
)

# One officer and one head stand for all the other units, so that the stories can be told with two accounts more.
UNITS = (
    "so-yte", "so-nnmt", "so-gddt", "so-khcn", "so-congthuong", "cong-an-tinh", "dien-luc", "cap-nuoc", "vien-thong",
    "cdc", "ttpvhcc", "ubnd-dn-c-an-loc", "ubnd-dn-c-binh-long", "ubnd-dn-c-binh-phuoc", "ubnd-dn-c-chon-thanh",
    "ubnd-dn-c-dong-phu", "ubnd-dn-c-dong-xoai", "ubnd-dn-c-loc-ninh", "ubnd-dn-c-nha-bich", "ubnd-dn-c-phuoc-binh",
    "ubnd-dn-c-phuoc-long", "ubnd-dn-c-phu-rieng", "ubnd-dn-c-tan-hung", "ubnd-dn-c-tan-loi", "ubnd-dn-c-tho-son",
)  # fmt: skip
OTHER_UNITS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("unit@demo", "Ngô Thị Đầu Mối", ("officer",), UNITS),
    ("unithead@demo", "Dương Văn Phụ Trách", ("head",), UNITS),
)


async def make(session: AsyncSession, password: str, at: datetime, *, mailboxes: bool = False) -> None:
    """The province shipped here and the accounts that are not there yet; run again it changes nothing.

    `mailboxes` gives units addresses that cannot exist: only where nothing real is sent.
    """
    await routing_commands.seed(session, at)
    for email, name, roles, departments in (*ACCOUNTS, *OTHER_UNITS):
        if await staffing.find(session, email) is None:
            await staffing.add(session, email, name, password, roles, departments, at)
    if mailboxes:
        await unit_mail.give_demo_mailboxes(session)


def password(data_dir: Path, given: str | None) -> str:
    """The demo accounts' password: the setting, else one made once and kept in DATA_DIR."""
    if given:
        return given
    path = data_dir / "demo_password"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(9))
    return path.read_text().strip()

"""The demo province: accounts to try every role with. Never made unless asked for."""

import os
import secrets
from datetime import datetime
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

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
    ("leader@demo", "Bùi Văn Lãnh Đạo", ("leader",), ()),
    ("admin@demo", "Đỗ Thị Quản Trị", ("admin",), ()),
)


async def make(session: AsyncSession, password: str, at: datetime) -> None:
    """The province shipped here and the accounts that are not there yet; run again it changes nothing."""
    await routing_commands.seed(session, at)
    for email, name, roles, departments in ACCOUNTS:
        if await staffing.find(session, email) is None:
            await staffing.add(session, email, name, password, roles, departments, at)


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

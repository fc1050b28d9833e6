"""Staff, their roles and departments, and the one permission table for everything that is not an action on a case."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, Column, ForeignKey, String
from sqlmodel import Field, SQLModel

from core.db import Moment
from core.errors import NotAllowed


class Role(StrEnum):
    """What a member of staff may be; one person may hold several."""

    AGENT = "agent"
    DISPATCHER = "dispatcher"
    OFFICER = "officer"
    HEAD = "head"
    SUPERVISOR = "supervisor"
    INSPECTOR = "inspector"
    POLICE = "police"
    LEADER = "leader"
    ADMIN = "admin"


CENTRE_ROLES = frozenset({Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR})
EVERYTHING_ORDINARY = CENTRE_ROLES | {Role.INSPECTOR, Role.LEADER, Role.ADMIN}  # who reads every ordinary case
RESTRICTED_ROLES = frozenset({Role.INSPECTOR, Role.POLICE})  # who works on restricted tracks

MANAGE = "admin.manage"  # staff, departments, fields, areas, calendars, rule sets

# permission → roles that hold it. API keys hold scopes of the same names.
PERMISSIONS: dict[str, frozenset[Role]] = {
    MANAGE: frozenset({Role.ADMIN}),
    "calls.read": frozenset({Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR}),
    "calls.work": frozenset({Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR}),
    "case.open": frozenset({Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR}),
    "feed.read": frozenset({Role.LEADER, Role.SUPERVISOR, Role.ADMIN}),
    "recordings.hold": frozenset({Role.SUPERVISOR, Role.INSPECTOR}),
    "recordings.play": frozenset(
        {Role.AGENT, Role.DISPATCHER, Role.OFFICER, Role.HEAD, Role.SUPERVISOR, Role.INSPECTOR, Role.POLICE}
    ),
    "looks.read": frozenset({Role.INSPECTOR, Role.POLICE, Role.ADMIN}),  # who looked at restricted cases
    "mode.switch": frozenset({Role.SUPERVISOR}),
    "inbox.read": frozenset({Role.SUPERVISOR, Role.ADMIN}),
    "outbox.read": frozenset({Role.SUPERVISOR, Role.DISPATCHER, Role.INSPECTOR, Role.POLICE, Role.ADMIN}),
    "rules.simulate": frozenset({Role.SUPERVISOR, Role.ADMIN}),
    "people.manage": frozenset({Role.AGENT, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR}),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking: a member of staff, a citizen with a tracking key, an API key, or the system itself."""

    kind: str  # staff | citizen | system | api_key
    id: UUID | None = None
    name: str = ""
    email: str = ""
    roles: frozenset[Role] = frozenset()
    departments: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def may(self, permission: str) -> bool:
        """Whether a role or scope of this actor holds the permission."""
        return permission in self.scopes or bool(PERMISSIONS[permission] & self.roles)

    def require(self, permission: str) -> None:
        """Raise NotAllowed unless `may(permission)`."""
        if not self.may(permission):
            raise NotAllowed("Tài khoản của anh/chị không có quyền làm việc này.", "Your account may not do this.")


SYSTEM = Actor(kind="system")
CITIZEN = Actor(kind="citizen")


class Staff(SQLModel, table=True):
    """A person who works with the system."""

    __tablename__ = "staff"

    id: UUID = Field(primary_key=True)
    email: str = Field(unique=True)
    name: str
    password_hash: str
    active: bool = True
    created_at: datetime = Field(sa_type=Moment)


class RoleGrant(SQLModel, table=True):
    """One role of one person."""

    __tablename__ = "role_grants"

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    role: str = Field(primary_key=True)
    granted_at: datetime = Field(sa_type=Moment)


class StaffDepartment(SQLModel, table=True):
    """A department a person works for."""

    __tablename__ = "staff_departments"

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    department: str = Field(sa_column=Column(ForeignKey("departments.code"), primary_key=True, index=True))


class SignIn(SQLModel, table=True):
    """A live bearer token or cookie, kept as its SHA-256; deleting the row signs the person out."""

    __tablename__ = "sign_ins"

    token_hash: bytes = Field(primary_key=True)
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    kind: str  # bearer | cookie
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)


class ApiKey(SQLModel, table=True):
    """A key of another system, kept as its SHA-256, with the scopes it holds."""

    __tablename__ = "api_keys"

    id: UUID = Field(primary_key=True)
    name: str
    key_hash: bytes = Field(unique=True)
    scopes: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    created_at: datetime = Field(sa_type=Moment)
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)


class Throttle(SQLModel, table=True):
    """Failed tries of a key or password, per bucket and window (counts only)."""

    __tablename__ = "throttles"

    bucket: str = Field(primary_key=True)
    count: int
    window_ends: datetime = Field(sa_type=Moment)


def roles_from(names: Iterable[str]) -> frozenset[Role]:
    """Stored role names as roles; unknown ones (of a newer version) are left out."""
    known = set(Role)
    return frozenset(Role(name) for name in names if name in known)

"""Passwords (argon2id), sign-ins (opaque tokens kept as hashes) and throttling of guesses."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core import wake
from core.errors import NotSignedIn, TooMany
from core.staff import Actor, ApiKey, RoleGrant, SignIn, Staff, StaffDepartment, Throttle, roles_from

Rate: TypeAlias = tuple[int, int]  # how many in how many seconds
Tries: TypeAlias = dict[str, datetime]  # counted in which bucket, in the window that ends when

SIGN_IN_LASTS = timedelta(hours=12)  # a shift and its hand-over
PASSWORD_MIN = 8
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP minimum for argon2id, 2026
HASHING_AT_ONCE = 2
_threads = ThreadPoolExecutor(HASHING_AT_ONCE, "argon2")  # hashing must not starve the event loop, nor eat all cores
_nobody = _hasher.hash(secrets.token_urlsafe())  # an unknown account costs the same time as a known one


async def hash_password(password: str) -> str:
    """Argon2id hash of a password."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def check_password(session: AsyncSession, email: str, password: str) -> Staff | None:
    """The active member of staff with this e-mail and password, in time that tells nothing."""
    found = (await session.exec(select(Staff).where(func.lower(Staff.email) == email.strip().lower()))).first()
    stored = found.password_hash if found and found.active else _nobody
    fits = await asyncio.get_running_loop().run_in_executor(_threads, _matches, stored, password)
    return found if found and found.active and fits else None


async def sign_in(session: AsyncSession, staff_id: UUID, kind: str, at: datetime) -> str:
    """A new token (43 characters) for this person; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignIn(token_hash=_digest(token), staff_id=staff_id, kind=kind, created_at=at, expires_at=at + SIGN_IN_LASTS)
    )
    return token


async def sign_out(session: AsyncSession, token: str) -> None:
    """Forget the token; whatever is open under it ends."""
    await session.execute(delete(SignIn).where(col(SignIn.token_hash) == _digest(token)))
    await wake.knock(session, wake.SIGN_OUTS)


async def sign_out_everywhere(session: AsyncSession, staff_id: UUID, *, but: str | None = None) -> None:
    """End every sign-in of a person, except that of the token `but`."""
    ended = delete(SignIn).where(col(SignIn.staff_id) == staff_id)
    if but is not None:
        ended = ended.where(col(SignIn.token_hash) != _digest(but))
    await session.execute(ended)
    await wake.knock(session, wake.SIGN_OUTS)


async def forgotten(session: AsyncSession, tokens: Collection[str]) -> set[str]:
    """Those of these tokens whose sign-in is no longer there."""
    known = select(SignIn.token_hash).where(col(SignIn.token_hash).in_([_digest(token) for token in tokens]))
    there = set((await session.exec(known)).all())
    return {token for token in tokens if _digest(token) not in there}


_WHO = text(
    """
    SELECT s.id, s.name, s.email,
           ARRAY(SELECT role FROM role_grants WHERE staff_id = s.id) AS roles,
           ARRAY(SELECT department FROM staff_departments WHERE staff_id = s.id) AS departments
    FROM sign_ins i JOIN staff s ON s.id = i.staff_id
    WHERE i.token_hash = :hash AND i.kind = :kind AND i.expires_at > :at AND s.active
    """
)


async def who_is(session: AsyncSession, token: str, kind: str, at: datetime) -> Actor:
    """The member of staff behind a live token; NotSignedIn otherwise."""
    found = (await session.execute(_WHO, {"hash": _digest(token), "kind": kind, "at": at})).first()
    if found is None:
        raise NotSignedIn("Phiên đăng nhập đã hết hạn. Mời anh/chị đăng nhập lại.", "Please sign in again.")
    return Actor(
        kind="staff",
        id=found.id,
        name=found.name,
        email=found.email,
        roles=roles_from(found.roles),
        departments=frozenset(found.departments),
    )


async def who_has_key(session: AsyncSession, key: str) -> Actor:
    """The system behind an API key; NotSignedIn when unknown or revoked."""
    statement = select(ApiKey).where(ApiKey.key_hash == _digest(key), col(ApiKey.revoked_at).is_(None))
    found = (await session.exec(statement)).first()
    if found is None:
        raise NotSignedIn("Khóa API không đúng hoặc đã bị thu hồi.", "The API key is unknown or revoked.")
    return Actor(kind="api_key", id=found.id, name=found.name, scopes=frozenset(found.scopes))


def new_api_key() -> tuple[str, bytes]:
    """A new key of another system and what is stored of it."""
    key = f"1022_{secrets.token_urlsafe(32)}"
    return key, _digest(key)


def csrf_token(key: bytes, token: str) -> str:
    """What a page must send back with a cookie sign-in; bound to that sign-in.

    Salted, so that two pages never carry the same one: pages are compressed, and what repeats in them could be guessed
    from their length.
    """
    salt = secrets.token_hex(8)
    return f"{salt}.{_csrf(key, salt, token)}"


def csrf_fits(key: bytes, token: str, given: str) -> bool:
    """Whether a write with a cookie comes from a page of ours."""
    salt, _, mac = given.partition(".")
    return hmac.compare_digest(_csrf(key, salt, token).encode(), mac.encode())


def _csrf(key: bytes, salt: str, token: str) -> str:
    return hmac.new(key, f"csrf:{salt}:{token}".encode(), hashlib.sha256).hexdigest()


async def refuse_if_throttled(session: AsyncSession, buckets: Mapping[str, Rate], at: datetime) -> None:
    """TooMany when one of the buckets has used up its tries of the present window. Writes nothing."""
    most = {_bucket(name): rate[0] for name, rate in buckets.items()}
    for row in (await session.exec(select(Throttle).where(col(Throttle.bucket).in_(most)))).all():
        if row.window_ends > at and row.count >= most[row.bucket]:
            raise _too_many(row.window_ends, at)


async def count_try(session: AsyncSession, buckets: Mapping[str, Rate], at: datetime) -> Tries:
    """One more try in each bucket, or TooMany; a window starts with its first try.

    Counting and judging are one statement, so tries at the same time cannot all pass before one of them counts. The
    caller commits before it lets anybody know what came of the try. What is given back is for `take_back`.
    """
    counted = {}
    for name, (most, seconds) in buckets.items():
        row = (
            await session.execute(_COUNT, {"bucket": _bucket(name), "ends": at + timedelta(seconds=seconds), "at": at})
        ).one()
        if row.tries > most:
            raise _too_many(row.window_ends, at)
        counted[_bucket(name)] = row.window_ends
    return counted


async def take_back(session: AsyncSession, tries: Tries) -> None:
    """A counted try that was right after all."""
    for bucket, ends in tries.items():
        mine = (col(Throttle.bucket) == bucket, col(Throttle.window_ends) == ends)
        await session.execute(update(Throttle).where(*mine).values(count=col(Throttle.count) - 1))


_COUNT = text(
    "INSERT INTO throttles AS t (bucket, count, window_ends) VALUES (:bucket, 1, :ends) "
    "ON CONFLICT (bucket) DO UPDATE SET "
    "count = CASE WHEN t.window_ends > :at THEN t.count + 1 ELSE 1 END, "
    "window_ends = CASE WHEN t.window_ends > :at THEN t.window_ends ELSE excluded.window_ends END "
    "RETURNING count AS tries, window_ends"
)


def _too_many(window_ends: datetime, at: datetime) -> TooMany:
    wait = int((window_ends - at).total_seconds()) + 1
    return TooMany(
        f"Anh/chị đã thử sai nhiều lần. Vui lòng thử lại sau {wait} giây.",
        f"Too many wrong tries. Try again in {wait} seconds.",
        headers={"Retry-After": str(wait)},
    )


async def forget_failures(session: AsyncSession, bucket: str) -> None:
    """A right answer wipes the slate of its bucket."""
    await session.execute(delete(Throttle).where(col(Throttle.bucket) == _bucket(bucket)))


async def sweep(session: AsyncSession, at: datetime) -> None:
    """Drop what has run out: sign-ins and throttle windows."""
    await session.execute(delete(SignIn).where(col(SignIn.expires_at) <= at))
    await session.execute(delete(Throttle).where(col(Throttle.window_ends) <= at))


async def grants_of(session: AsyncSession, staff_id: UUID) -> tuple[list[str], list[str]]:
    """(roles, departments) of one person, sorted."""
    roles = (await session.exec(select(RoleGrant.role).where(RoleGrant.staff_id == staff_id))).all()
    homes = (await session.exec(select(StaffDepartment.department).where(StaffDepartment.staff_id == staff_id))).all()
    return sorted(roles), sorted(homes)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _bucket(name: str) -> str:
    """Buckets hold addresses and e-mails, so only their hash is stored."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]

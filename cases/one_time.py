"""One-time codes: whoever lost the tracking key of a case gets a way in by the phone or mailbox it states.

Only what this very case states counts. What else is known of its citizen was stated elsewhere by anybody and proves
nothing: a report in somebody else's name with a mailbox of one's own must not open their cases.

Asking runs the same statements whether or not anything fits, so that neither answers nor times tell who reported what.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import case as sql_case
from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases.code_models import OneTimeCode
from cases.codes import read_code
from cases.models import Case
from channels import outbox, waiting
from channels.message import Address
from channels.models import Outgoing
from core.ids import uuid7
from core.sealing import checksum

LASTS: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
DIGITS: Final = 6
PURPOSE: Final = outbox.PRESSING
BY: Final = {"phone": "sms", "email": "email"}  # the channel a code goes by, for each scheme of address
NOWHERE: Final = ("web", Address(outbox.TRACKING, "-"))  # where the code for a pair that fits nothing goes

_WORDS: Final = {
    "vi": (
        "{digits} là mã xem phản ánh {code}, dùng được trong {minutes} phút. Đừng đưa mã này cho ai.",
        "Mã xem phản ánh {code}",
    ),
    "en": ("{digits} opens report {code} for {minutes} minutes. Give it to nobody.", "Code for report {code}"),
}


async def ask(
    session: AsyncSession, secret: bytes, code: str, to: Address, at: datetime, *, language: str = "vi"
) -> None:
    """Send a code to this address if the case of this code states it; the codes sent for the same before are void."""
    standard = read_code(code) or ""
    found = (await session.exec(select(Case.id, Case.contact).where(Case.code == standard))).first()
    case_id, contact = found if found is not None else (None, {})
    fits = hmac.compare_digest(contact.get(to.scheme, "").encode(), to.handle.encode())
    digits, issue = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", uuid7(at)
    fresh = insert(OneTimeCode).values(
        id=uuid7(at),
        sought=_sought(secret, standard, to),
        issue=issue,
        case_id=case_id if fits else None,
        digest=_digest(secret, issue, digits),
        tries=0,
        expires_at=at + LASTS,
    )
    replaced = {name: fresh.excluded[name] for name in ("issue", "case_id", "digest", "tries", "expires_at")}
    kept = fresh.on_conflict_do_update(index_elements=["sought"], set_=replaced).returning(col(OneTimeCode.id))
    row: UUID = (await session.execute(kept)).scalar_one()
    await _void(session, [row])
    channel, address = (BY[to.scheme], to) if fits else NOWHERE
    text, title = _WORDS[language]
    minutes = LASTS // timedelta(minutes=1)
    await outbox.enqueue(
        session,
        subject_id=row,  # not the case: a code is no part of its history, nor of the messages staff look after
        entry_id=issue,
        purpose=PURPOSE,
        to=address,
        channel=channel,
        text=text.format(digits=digits, code=standard, minutes=minutes),
        reference=standard,
        at=at,
        title=title.format(code=standard),
    )


async def redeem(
    session: AsyncSession, secret: bytes, code: str, to: Address, digits: str, at: datetime
) -> Case | None:
    """The case that this code opens, once; None when it does not. The try is counted either way: commit it.

    Counting and judging are one statement, so that tries at the same time cannot be more than MOST_TRIES.
    """
    counted = (
        update(OneTimeCode)
        .where(
            col(OneTimeCode.sought) == _sought(secret, read_code(code) or "", to),
            col(OneTimeCode.expires_at) > at,
            col(OneTimeCode.tries) < MOST_TRIES,
        )
        .values(tries=col(OneTimeCode.tries) + 1)
        .returning(col(OneTimeCode.id), col(OneTimeCode.issue), col(OneTimeCode.case_id), col(OneTimeCode.digest))
        .execution_options(synchronize_session=False)
    )
    live = (await session.execute(counted)).first()
    issue, digest = (live.issue, live.digest) if live is not None else (UUID(int=0), bytes(32))
    right = hmac.compare_digest(_digest(secret, issue, digits), digest)
    if live is None or live.case_id is None or not right:
        return None
    await session.execute(delete(OneTimeCode).where(col(OneTimeCode.id) == live.id))
    await _void(session, [live.id])
    return (await session.exec(select(Case).where(Case.id == live.case_id))).one()


async def forget(session: AsyncSession, at: datetime) -> int:
    """Drop the codes that have run out, with the texts that held them. How many."""
    over = delete(OneTimeCode).where(col(OneTimeCode.expires_at) <= at).returning(col(OneTimeCode.id))
    gone = list((await session.execute(over)).scalars())
    if gone:
        await _void(session, gone)
    return len(gone)


async def _void(session: AsyncSession, rows: list[UUID]) -> None:
    """No message keeps the digits of these codes, and one that has not left leaves no more.

    One that is being sent this moment still counts as sent if it leaves, but is not tried again if it does not.
    """
    unsent = col(Outgoing.state).in_(("queued", "sending", *waiting.UNDELIVERED))
    await session.execute(
        update(Outgoing)
        .where(col(Outgoing.subject_id).in_(rows), col(Outgoing.purpose) == PURPOSE)
        .values(
            text="",
            state=sql_case((unsent, "dropped"), else_=col(Outgoing.state)),
            run_at=None,
            lease_until=None,
            dead_at=None,
        )
        .execution_options(synchronize_session=False)
    )


def _sought(secret: bytes, code: str, to: Address) -> bytes:
    return checksum(secret, "one-time code for", f"{code}\n{to.scheme}\n{to.handle}")


def _digest(secret: bytes, issue: UUID, digits: str) -> bytes:
    return checksum(secret, f"one-time code {issue}", digits)

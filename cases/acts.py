"""What offices owe each other about one case, for its page and its shape: columns of a statement that asks for more."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class DocumentOf:
    """The official document of an answer."""

    entry_id: UUID
    number: str
    issued_on: date
    signer: str
    file_id: UUID | None
    public: bool
    file_public: bool  # everybody may read the signed file with the published case


@dataclass(frozen=True, slots=True)
class Promise:
    """A date a unit committed itself to, and what became of it."""

    department: str
    entry_id: UUID
    told_at: datetime
    until: datetime
    state: str  # open, kept, broken, replaced, ended
    settled_at: datetime | None
    current: bool


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the leadership; `by` is who gave it."""

    limit_id: UUID
    department: str
    by: UUID
    entry_id: UUID
    opened_at: datetime
    answer_id: UUID | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class DisputeOf:
    """A dispute and its decision."""

    limit_id: UUID
    department: str
    entry_id: UUID
    opened_at: datetime
    decision_id: UUID | None
    decided_at: datetime | None
    lead: str | None


@dataclass(frozen=True, slots=True)
class Acts:
    """All of them, oldest first."""

    documents: tuple[DocumentOf, ...] = ()
    promises: tuple[Promise, ...] = ()
    orders: tuple[Order, ...] = ()
    disputes: tuple[DisputeOf, ...] = ()

    def document(self, entry_id: UUID | None) -> DocumentOf | None:
        """The document of an answer."""
        return next((each for each in self.documents if each.entry_id == entry_id), None)


_DOCUMENTS = TypeAdapter(tuple[DocumentOf, ...])
_PROMISES = TypeAdapter(tuple[Promise, ...])
_ORDERS = TypeAdapter(tuple[Order, ...])
_DISPUTES = TypeAdapter(tuple[DisputeOf, ...])


def read_acts(row: Any) -> Acts:
    """What a statement that asked for COLUMNS found."""
    return Acts(
        _DOCUMENTS.validate_python(row.documents or ()),
        _PROMISES.validate_python(row.promises or ()),
        _ORDERS.validate_python(row.orders or ()),
        _DISPUTES.validate_python(row.disputes or ()),
    )


COLUMNS = """
    (SELECT jsonb_agg(to_jsonb(d) ORDER BY d.entry_id) FROM answer_documents d WHERE d.case_id = :case) AS documents,
    (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.told_at, c.id) FROM commitments c WHERE c.case_id = :case) AS promises,
    (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.opened_at, o.id) FROM directives o WHERE o.case_id = :case) AS orders,
    (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.opened_at, s.id) FROM disputes s WHERE s.case_id = :case) AS disputes
"""

"""A rule set as it is written: plain values that mirror the YAML and may be wrong.

Pure. `rulesets.py` reads and writes them, `rule_check.py` says what is wrong with them, `rule_building.py` makes the
rulebook.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from routing.decide import Condition, Extension
from routing.tracks import TrackPhrases

CONDITION_LISTS = (
    "fields", "urgencies", "kinds", "tracks", "areas", "channels", "modes", "asset_owners", "flags", "road_classes",
)  # fmt: skip
DISTRICT_TYPES = frozenset({"huyện", "thị xã", "thành phố"})
COMMUNE_TYPES = frozenset({"xã", "phường", "thị trấn"})


@dataclass(frozen=True, slots=True)
class LeadDraft:
    """A lead rule as written; selectors not yet read."""

    code: str
    lead: str
    rank: int = 100
    when: Condition = field(default_factory=Condition)
    supporting: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class LimitDraft:
    """A limit rule as written; the amount not yet read."""

    code: str
    stage: str
    amount: str
    rank: int = 100
    when: Condition = field(default_factory=Condition)
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class EscalationDraft:
    """A step of the escalation ladder as written."""

    after: str
    to: str


@dataclass(frozen=True, slots=True)
class Provision:
    """One provision of the source document in words, for people; `mark` says how well it is backed (A, B, C)."""

    number: int
    key: str
    says: str
    mark: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class RuleSetDraft:
    """A rule set as its YAML states it, possibly faulty. The meaning of each member is in `Rulebook`."""

    code: str
    version: int
    valid_from: date
    valid_to: date | None = None
    note: str = ""
    source: str = ""
    calendar: Mapping[str, Any] = field(default_factory=dict)
    leads: tuple[LeadDraft, ...] = ()
    limits: tuple[LimitDraft, ...] = ()
    remind: tuple[str, ...] = ("50%", "80%", "100%")
    escalate: tuple[EscalationDraft, ...] = ()
    extend: Extension = field(default_factory=Extension)
    stop_while_waiting: tuple[str, ...] = ()
    day_end: str = "close"
    approve_by: str = "head"
    give_backs_before_supervisor: int = 3
    close_after: str = "15d/calendar"
    reopen_within: str = "15d/calendar"
    progress_when_late_every: str = "7d/calendar"
    directive_review_within: str = "1d/working"
    tracks: tuple[TrackPhrases, ...] = ()
    track_fields: Mapping[str, str] = field(default_factory=dict)
    track_channels: Mapping[str, str] = field(default_factory=dict)
    provisions: tuple[Provision, ...] = ()


def read_share(text: str) -> float:
    """`80%` → 0.8; ValueError for what is no share above 0 and up to 1."""
    try:
        share = float(text.strip().removesuffix("%")) / 100 if text.strip().endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a share such as 80%") from None
    if not 0 < share <= 1:
        raise ValueError(f"{text!r} is not above 0 and at most 100%")
    return share

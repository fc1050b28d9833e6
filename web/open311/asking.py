"""What a client of GeoReport v2 asks for. An empty parameter is the same as none."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cases.codes import read_code
from cases.published import Wanted
from core.errors import Invalid

LONGEST_RANGE: Final = timedelta(days=90)
MOST_AT_ONCE: Final = 1_000
MOST_PAGES: Final = 100
MOST_NAMED: Final = 200  # ids or service codes in one question
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
STATES: Final = ("open", "closed")
_A_SECOND: Final = timedelta(seconds=1) - timedelta(microseconds=1)  # moments are shown without their fractions

Query = Mapping[str, Sequence[str]]  # every value of each parameter, in order; of a form as well


def one(query: Query, name: str) -> str:
    """The last value of a parameter that is not empty; empty when there is none."""
    return next((value.strip() for value in reversed(query.get(name, ())) if value.strip()), "")


@dataclass(frozen=True, slots=True)
class Page:
    """Which cases, and which of them."""

    wanted: Wanted
    limit: int
    offset: int


def page_of(query: Query, at: datetime) -> Page:
    """The requests asked for. Invalid names the parameter that cannot be.

    Named ids override everything else. Without dates the last 90 days; a range is at most that long.
    """
    size = _number(query, "page_size", MOST_AT_ONCE, MOST_AT_ONCE)
    offset = size * (_number(query, "page", 1, MOST_PAGES) - 1)
    if ids := _names(query, "service_request_id"):
        return Page(Wanted(codes=[code for code in map(read_code, ids) if code is not None]), size, offset)
    updated = _range(query, "updated_after", "updated_before", None)
    asked = query if updated == (None, None) or one(query, "start_date") or one(query, "end_date") else None
    states = _states(query)
    wanted = Wanted(
        received=_range(asked, "start_date", "end_date", at) if asked is not None else (None, None),
        published=updated,
        over=states[0] == "closed" if len(states) == 1 else None,
        fields=_names(query, "service_code"),
    )
    return Page(wanted, size, offset)


def _range(query: Query, since: str, until: str, at: datetime | None) -> tuple[datetime | None, datetime | None]:
    """First and last moment. The end that is missing lies LONGEST_RANGE away; both are, unless `at` is: open."""
    first, last = _moment(query, since), _moment(query, until)
    if first is None and last is None:
        return (None, None) if at is None else (at - LONGEST_RANGE, None)
    if first is None and last is not None:
        first = last - LONGEST_RANGE
    elif last is None and first is not None:
        last = first + LONGEST_RANGE
    if first is not None and last is not None and not timedelta(0) <= last - first <= LONGEST_RANGE:
        raise Invalid.at(
            since,
            f"Khoảng từ {since} đến {until} không được quá 90 ngày, và {since} phải trước.",
            f"{since} to {until} may not span more than 90 days, and {since} comes first.",
            "range",
        )
    return first, last + _A_SECOND if last is not None else None


def _moment(query: Query, name: str) -> datetime | None:
    """A moment in the W3C's format, with its zone. A plus that was not escaped has become a space."""
    text = re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", one(query, name))
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not FIRST <= moment < LAST:
        raise Invalid.at(
            name,
            "Cần thời điểm có múi giờ, ví dụ 2026-03-02T08:00:00+07:00.",
            "A moment with its zone is needed, for example 2026-03-02T08:00:00+07:00.",
            "moment",
        )
    return moment


def _states(query: Query) -> list[str]:
    given = sorted(set(_names(query, "status")))
    if not set(given) <= set(STATES):
        raise Invalid.at("status", "Chỉ có open và closed.", "It is open or closed.", "unknown")
    return given


def _names(query: Query, name: str) -> list[str]:
    """Every value, repeated or comma separated."""
    found = [part.strip() for value in query.get(name, ()) for part in value.split(",")]
    named = list(dict.fromkeys(part for part in found if part))
    if len(named) > MOST_NAMED:
        raise Invalid.at(name, f"Nhiều nhất {MOST_NAMED} mã một lần.", f"At most {MOST_NAMED} at once.", "too_many")
    if any("\0" in each for each in named):
        raise Invalid.at(name, "Có ký tự NUL.", "It holds a NUL character.", "control")
    return named


def _number(query: Query, name: str, default: int, most: int) -> int:
    text = one(query, name)
    if not text:
        return default
    number = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
    if not 1 <= number <= most:
        raise Invalid.at(name, f"Phải là số từ 1 đến {most}.", f"It is a number from 1 to {most}.", "number")
    return number

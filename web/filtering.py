"""What lists of cases are narrowed by, as it stands in addresses: the same names for the API and for pages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, ValidationError

from cases.bodies import Code
from cases.conditions import areas_meant, fields_meant
from cases.desk import invalid_body
from cases.states import Status
from cases.views import NONE, Filters, Geography, Order
from core.staff import Actor
from ioc.behind import Behind
from routing.queries import Routing
from web.deps import Day

Rating = Annotated[int, Field(ge=1, le=5)]
Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2199, 12, 31, tzinfo=UTC))]
Words = Annotated[str, Field(pattern=r"^[^\x00]*$")]


def _split(given: object) -> object:
    """`received,forwarded` as two, beside the same written twice."""
    if not isinstance(given, list):
        return given
    return [name for part in given for name in str(part).split(",") if name]


class Narrowing(BaseModel):
    """A list of cases: what it holds, in which order, and from where on."""

    status: Annotated[
        list[Status], BeforeValidator(_split), Field(description="May be repeated or comma separated")
    ] = []
    department: Code | None = None
    field: Code | None = None
    area: Code | None = None
    geography: Annotated[Geography, Field(description="today: with all areas that have become the one asked for")] = (
        "stored"
    )
    channel: Code | None = None
    urgency: Code | None = None
    track: Code | None = None
    track_suggested: Annotated[bool | None, Field(description="Seems to be of a track nobody has confirmed")] = None
    late: bool | None = None
    q: Annotated[Words | None, Field(max_length=200)] = None
    assigned: Annotated[Words | None, Field(max_length=254)] = None
    open: Annotated[bool, Field(description="Only what is neither replied nor ended")] = False
    lead: Code | None = None
    due_before: Annotated[Moment | None, Field(description="The next clock runs out before; with offset")] = None
    stage: Annotated[Code | None, Field(description="Of the clock that runs out next")] = None
    holder: Annotated[Code | None, Field(description="Who owes the clock that runs out next")] = None
    needs_supervisor: bool | None = None
    restricted: bool | None = None
    extension_asked: bool | None = None
    extension_beyond: Annotated[bool | None, Field(description="More time is asked for, the leadership's to give")] = (
        None
    )
    above: Annotated[
        Literal["directive", "dispute"] | None,
        Field(description="An order waits for its answer, a dispute for decision"),
    ] = None
    promise: Annotated[
        Literal["none", "broken"] | None,
        Field(description="No date stands that a unit committed itself to; it broke one"),
    ] = None
    support_owed: Annotated[bool | None, Field(description="A supporting unit has not contributed yet")] = None
    incident: Annotated[bool | None, Field(description="Linked to another report of the same thing")] = None
    given_back: Annotated[int | None, Field(ge=1, le=1000, description="At least so many times")] = None
    published: bool | None = None
    rating: list[Rating] = []
    received_from: Day | None = None
    received_to: Day | None = None
    replied_from: Day | None = None
    replied_to: Day | None = None
    closed_from: Day | None = None
    closed_to: Day | None = None
    ended_from: Annotated[Day | None, Field(description="Closed, refused, redirected, merged or spam")] = None
    ended_to: Day | None = None
    figure: Annotated[Code | None, Field(description="Cases behind this figure, for those who may read figures")] = None
    figure_from: Annotated[Day | None, Field(description="First local day of the figure")] = None
    figure_to: Day | None = None
    figure_department: Annotated[Code | None, Field(description="Where the figure counts it; none: not known")] = None
    figure_field: Code | None = None
    figure_area: Code | None = None
    figure_channel: Code | None = None
    order: Annotated[Order, Field(description="Newest first, or soonest due first")] = "received"
    cursor: Annotated[str | None, Field(max_length=100)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50

    def filters(self) -> Filters:
        """The same as `cases.conditions` takes it."""
        given = self.model_dump(exclude={"order", "cursor", "limit", "rating", *BEHIND})
        return Filters(**given, rating=tuple(self.rating))

    def behind(self, who: Actor, routing: Routing, at: datetime) -> Behind | None:
        """The figure whose cases are asked for. NotAllowed to those who may not read figures; Invalid for none."""
        if self.figure is None:
            return None
        who.require("feed.read")
        fields = None if self.figure_field is None else tuple(fields_meant(_known(self.figure_field), routing))
        area = _known(self.figure_area)
        return Behind(
            self.figure,
            self.figure_from or FIRST_DAY,
            self.figure_to or LAST_DAY,
            _known(self.figure_department),
            fields,
            _known(self.figure_channel),
            None if area is None else tuple(areas_meant(area, self.geography, routing, at)),
        )


BEHIND = (
    "figure",
    "figure_from",
    "figure_to",
    "figure_department",
    "figure_field",
    "figure_area",
    "figure_channel",
)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


def _known(code: str | None) -> str | None:
    """A dimension's code as figures keep it."""
    return "" if code == NONE else code


LISTS = frozenset({"status", "rating"})


def read_narrowing(query: Sequence[tuple[str, str]]) -> Narrowing:
    """What a page's address says; what a filter form left empty counts as not said. Invalid names what is wrong."""
    said: dict[str, str | list[str]] = {}
    for name, value in query:
        if name in Narrowing.model_fields and value.strip():
            if name in LISTS:
                values = said.setdefault(name, [])
                assert isinstance(values, list)
                values.append(value)
            else:
                said[name] = value.strip()
    try:
        return Narrowing.model_validate(said)
    except ValidationError as problem:
        raise invalid_body(problem) from None


def as_query(narrowing: Narrowing, **other: str | None) -> Mapping[str, str | list[str]]:
    """What an address says of a list, first page; with other members set, or (None) left out."""
    said = narrowing.model_dump(mode="json", exclude_defaults=True)
    said.pop("cursor", None)
    said |= other
    return {name: value for name, value in said.items() if value is not None}

"""Which way a message goes when the one it was on has failed for good: data, read from seed/chains.yaml. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE: Final = Path(__file__).parent / "seed" / "chains.yaml"

Says = Literal["whole", "short", "public"]
End = Literal["call", "list", "drop"]


class BadChains(ValueError):
    """The file of chains is not one; the message says where."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Way(_Strict):
    """How one channel is used when another one failed."""

    scheme: str
    says: Says
    needs: str | None = None
    once: bool = False


class Worth(_Strict):
    """What a message for one purpose is worth."""

    by: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"]
    then: End


class _File(_Strict):
    ways: Mapping[str, Way]
    after: Mapping[str, tuple[str, ...]]
    purposes: Mapping[str, Worth]


@dataclass(frozen=True, slots=True)
class Step:
    """A way that may be tried next."""

    channel: str
    way: Way


@dataclass(frozen=True, slots=True)
class Chains:
    """The ways and their order."""

    ways: Mapping[str, Way]
    after: Mapping[str, Sequence[str]]
    purposes: Mapping[str, Worth]

    def worth(self, purpose: str) -> Worth:
        """What a message for this purpose is worth."""
        return self.purposes.get(purpose, self.purposes[OTHER])

    def steps(self, purpose: str, tried: Sequence[str]) -> tuple[Step, ...]:
        """The ways that are left, in order; `tried` are the channels used so far, the first one first.

        None stands before the one that failed last, and none is used twice.
        """
        order = self.after.get(tried[0], ())
        passed = max((order.index(channel) + 1 for channel in tried if channel in order), default=0)
        by = self.worth(purpose).by
        wanted = [channel for channel in order[passed:] if channel not in tried and (by == "all" or channel in by)]
        return tuple(Step(channel, self.ways[channel]) for channel in wanted)

    def is_dropped(self, purpose: str) -> bool:
        """Whether nobody need look at it when every way has failed."""
        return self.worth(purpose).then == "drop"

    def ends_in_a_call(self, purpose: str) -> bool:
        """Whether somebody calls the citizen when every way has failed."""
        return self.worth(purpose).then == "call"


OTHER: Final = "other"  # purposes that are not named


def read(text: str) -> Chains:
    """The chains a file describes. BadChains."""
    try:
        file = _File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as problem:
        raise BadChains(f"not YAML: {problem}") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise BadChains(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for place, named in _named(file):
        if unknown := sorted(set(named) - set(file.ways)):
            raise BadChains(f"{place}: {unknown[0]} is no way")
        if len(set(named)) < len(named):
            raise BadChains(f"{place}: a way stands there twice")
    for channel, order in file.after.items():
        if channel in order:
            raise BadChains(f"after.{channel}: leads back to itself")
    if OTHER not in file.purposes:
        raise BadChains(f"purposes: {OTHER} is missing")
    return Chains(file.ways, file.after, file.purposes)


def _named(file: _File) -> list[tuple[str, Collection[str]]]:
    places: list[tuple[str, Collection[str]]] = [("after", list(file.after))]
    places += [(f"after.{channel}", order) for channel, order in file.after.items()]
    places += [(f"purposes.{name}", worth.by) for name, worth in file.purposes.items() if worth.by != "all"]
    return places


CHAINS: Final = read(FILE.read_text("utf-8"))

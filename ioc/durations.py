"""Durations counted in classes, and the percentiles read from them. Pure."""

import math
from collections.abc import Mapping

BUCKETS_PER_E = 8  # a class is 13 % wide, so a percentile read from it is right within 6.5 %


def bucket_of(seconds: float) -> int:
    """Class of a duration: eight per factor e, all below a second in class 0."""
    return math.floor(BUCKETS_PER_E * math.log(seconds)) if seconds > 1 else 0


def bucket_middle(bucket: int) -> float:
    """The duration in seconds that stands for a class: its geometric middle."""
    return math.exp((bucket + 0.5) / BUCKETS_PER_E)


def percentile(classes: Mapping[int, int], percent: int) -> float | None:
    """The duration in seconds that `percent` per cent of the counted do not exceed; None when nothing is counted."""
    total = sum(classes.values())
    if total <= 0:
        return None
    wanted, seen = total * percent / 100, 0
    for bucket in sorted(classes):
        seen += classes[bucket]
        if seen >= wanted:
            return bucket_middle(bucket)
    raise ValueError("a histogram with negative classes")

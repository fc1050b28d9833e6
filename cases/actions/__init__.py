"""What each action of the table does; importing this package registers them all."""

from cases.actions import (
    afterwards,
    answers,
    classifying,
    conversation,
    directives,
    disputes,
    endings,
    handing_over,
    rehoming,
    support,
    triage,
    units,
)

__all__ = [
    "afterwards",
    "answers",
    "classifying",
    "conversation",
    "directives",
    "disputes",
    "endings",
    "handing_over",
    "rehoming",
    "support",
    "triage",
    "units",
]

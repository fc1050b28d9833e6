"""A fault of a rule set, in words for people. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a rule set, in two languages. `where` is the code of the rule, or the member of the document."""

    code: str
    where: str
    message_vi: str
    message_en: str
    severity: Literal["error", "warning"] = "error"

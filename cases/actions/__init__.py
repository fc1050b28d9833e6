"""What each action of the table does; importing this package registers them all."""

from cases.actions import afterwards, answers, conversation, endings, triage, units

__all__ = ["afterwards", "answers", "conversation", "endings", "triage", "units"]

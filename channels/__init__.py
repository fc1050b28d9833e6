"""Ways in and out: normal form of a message, inbox, outbox, one adapter per channel. Never learns that cases exist."""

"""Telegram: what people write to the bot is read, answers are sent through the Bot API."""

"""Logs: one JSON line per event on stderr. No texts, names, phones, keys or addresses of people ever go in."""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Set up structlog and keep libraries quiet below warnings."""
    numeric = getattr(logging, level.upper())
    logging.basicConfig(level=logging.WARNING, format='{"event": "%(message)s", "logger": "%(name)s"}')
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )

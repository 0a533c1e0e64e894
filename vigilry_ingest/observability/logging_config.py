"""The log room: one line an event on stdout, as JSON for programs, or readable and in colour on a terminal.

A line is written with the standard library's ``logging``; what is worth searching for goes into ``extra``.
"""

import logging
import logging.config
import sys
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.msgspec import MsgspecFormatter


class JsonFormatter(MsgspecFormatter):
    """Writes a record as one JSON object: time (RFC 3339, UTC), level, logger, message, and its extra."""

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message"],
            rename_fields={
                "asctime": "time", "levelname": "level", "name": "logger", "exc_info": "traceback",
            },
        )  # fmt: skip

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002  logging's
        """Write the time in RFC 3339 with milliseconds."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ConsoleFormatter(logging.Formatter):
    """Writes a record's message, and its extra after it; the handler adds time and level."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        extra = [f"{name}={value}" for name, value in vars(record).items() if name not in RESERVED_ATTRS]
        return "  ".join((super().format(record), *extra))


def logging_config(level: str, form: str) -> dict[str, Any]:
    """Make the settings of ``logging.config``, for everything that this process logs.

    `form` is json, console, or auto: console on a terminal and json elsewhere.
    """
    if form == "auto":
        form = "console" if sys.stdout.isatty() else "json"
    handlers = {
        "json": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"},
        "console": {"class": "rich.logging.RichHandler", "show_path": False, "formatter": "console"},
    }
    formatters = {"json": {"()": JsonFormatter}, "console": {"()": ConsoleFormatter}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {form: formatters[form]},
        "handlers": {"stdout": handlers[form]},
        "root": {"level": level.upper(), "handlers": ["stdout"]},
        "loggers": {
            # gunicorn gives these handlers of their own otherwise.
            "gunicorn.error": {"level": level.upper(), "handlers": [], "propagate": True},
            "gunicorn.access": {"level": level.upper(), "handlers": [], "propagate": True},
            # It tells of every one of its parts.
            "alembic.runtime.plugins": {"level": "WARNING"},
        },
    }


def configure_logging(level: str, form: str) -> None:
    """Let this process log as ``logging_config`` says."""
    logging.config.dictConfig(logging_config(level, form))

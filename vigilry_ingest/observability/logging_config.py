"""Logging configuration: lines on stdout, as JSON for programs or readable and coloured on a terminal.

The service logs with the standard library; searchable values go into ``extra``.
"""

import logging
import logging.config
import sys
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.msgspec import MsgspecFormatter

from vigilry_ingest.domain.escaping import escape_unprintable
from vigilry_ingest.domain.times import rfc3339


class JsonFormatter(MsgspecFormatter):
    """Formats a record as a JSON object: time (RFC 3339, UTC), level, logger, message, and its extra."""

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message"],
            rename_fields={
                "asctime": "time", "levelname": "level", "name": "logger", "exc_info": "traceback",
            },
        )  # fmt: skip

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON, with escapes for what could garble a terminal."""
        return escape_unprintable(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002  logging's
        """Return the time in RFC 3339, with milliseconds."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return rfc3339(moment)


class ConsoleFormatter(logging.Formatter):
    """Formats a record as its message and its extra; the handler adds time and level."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, followed by the extra as ``name=value``."""
        extra = [
            escape_unprintable(f"{name}={value}")
            for name, value in vars(record).items()
            if name not in RESERVED_ATTRS
        ]
        return "  ".join((super().format(record), *extra))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's
        """Return the message, with escapes for what a sender could garble the terminal with."""
        return escape_unprintable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's
        """Return the traceback, with the same escapes."""
        return escape_unprintable(super().formatException(ei), keep="\n")


def logging_config(level: str, form: str) -> dict[str, Any]:
    """Return the ``logging.config`` settings for everything that this process logs.

    ``form`` is json, console, or auto, which is console on a terminal and json elsewhere. Rich respects
    FORCE_COLOR, NO_COLOR and COLUMNS, by which console can be coloured in a pipe that ends on a terminal.
    """
    if form == "auto":
        form = "console" if sys.stdout.isatty() else "json"
    handlers = {
        "json": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"},
        "console": {
            "class": "rich.logging.RichHandler",
            "show_path": False,
            # Without the date, which would take a tenth of the line.
            "log_time_format": "%H:%M:%S",
            "formatter": "console",
        },
    }
    formatters = {"json": {"()": JsonFormatter}, "console": {"()": ConsoleFormatter}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {form: formatters[form]},
        "handlers": {"stdout": handlers[form]},
        "root": {"level": level.upper(), "handlers": ["stdout"]},
        "loggers": {
            # Otherwise gunicorn installs handlers of its own.
            "gunicorn.error": {"level": level.upper(), "handlers": [], "propagate": True},
            "gunicorn.access": {"level": level.upper(), "handlers": [], "propagate": True},
            # Logs each plugin at INFO.
            "alembic.runtime.plugins": {"level": "WARNING"},
        },
    }


def configure_logging(level: str, form: str) -> None:
    """Configure the logging of this process; see ``logging_config``."""
    logging.config.dictConfig(logging_config(level, form))

"""The settings room: the frozen Config, and the only reader of the environment."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vigilry_ingest.config.parsers import (
    bind,
    matching,
    not_empty,
    one_of,
    origin_or_none,
    origins,
    redis_url,
    whole_number,
)

PREFIX = "VIGILRY_"


class ConfigError(ValueError):
    """A setting is unknown or has a value that cannot be used; says which, and what is allowed.

    It never repeats a URL, nor what a library says of one: a mistyped URL may show its password there.
    """


def _setting(default: Any, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting, with its default; the environment names are these in capitals after ``VIGILRY_``."""

    database_url: str = _setting(
        "sqlite:///var/vigilry.db", not_empty, "where projects and keys are kept, as an SQLAlchemy URL"
    )
    redis_url: str = _setting(
        "unix://var/valkey.sock",
        redis_url,
        "the broker: redis://, rediss://, unix:// and a path, redis+sentinel://host:port,host:port/service, "
        "or redis+cluster://host:port,host:port",
    )
    stream_partitions: int = _setting(
        1, whole_number(1, 4096), "streams that the projects are spread over; do not change it on live data"
    )
    stream_max_entries: int = _setting(
        1_000_000, whole_number(1, 10**12), "entries that a partition's stream may have before it refuses"
    )
    durability: str = _setting(
        "memory",
        matching(r"memory|fsync|replicas:[1-9][0-9]?", "memory, fsync, or replicas:N"),
        "what must hold before a 202: memory, fsync, or replicas:N",
    )
    publish_timeout_ms: int = _setting(
        1000, whole_number(10, 60_000), "the longest that a request waits for the broker"
    )
    idempotency_ttl_s: int = _setting(
        86_400, whole_number(1, 31_536_000), "how long an idempotency key or a Stripe event id is remembered"
    )
    key_cache_ttl_s: int = _setting(
        1, whole_number(0, 3600), "how long a worker trusts a looked-up key; a revocation holds after it"
    )
    key_cache_stale_s: int = _setting(
        300, whole_number(0, 86_400), "how long known keys go on working while the key store is down"
    )
    max_body_bytes: int = _setting(
        1024 * 1024, whole_number(1024, 1 << 30), "the largest request body, in bytes over the wire"
    )
    max_decompressed_bytes: int = _setting(
        5 * 1024 * 1024, whole_number(1024, 1 << 30), "the largest request body, in bytes, decompressed"
    )
    max_batch_events: int = _setting(1000, whole_number(1, 100_000), "the most events of one batch")
    metrics_by_project: str = _setting(
        "off", one_of("off", "on"), "whether /metrics counts events by project too; a series for each"
    )
    log_level: str = _setting(
        "info", one_of("debug", "info", "warning", "error"), "the least that is logged; debug: every request"
    )
    log_format: str = _setting(
        "auto", one_of("auto", "json", "console"), "how lines are written; auto: for people on a terminal"
    )
    docs: str = _setting(
        "on", one_of("off", "on"), "whether /, /docs, /openapi.json and /asyncapi.json are served"
    )
    public_url: str = _setting(
        "", origin_or_none, "the origin that senders use; the pages and /openapi.json name it"
    )
    cors_origins: str = _setting(
        "", origins, "origins, separated by commas, whose pages may send events from a browser; * is any"
    )
    tracing: str = _setting(
        "off", one_of("off", "on"), "whether spans are exported; where to is said by OpenTelemetry's OTEL_*"
    )
    bind: str = _setting(
        "127.0.0.1:4100", bind, "host:port or unix:path that gunicorn listens on, unless systemd does"
    )
    workers: int = _setting(0, whole_number(0, 1024), "gunicorn's worker processes; 0 is one for each core")
    worker_class: str = _setting("gevent", one_of("gevent", "gthread", "sync"), "gunicorn's worker class")
    drain_s: int = _setting(
        0, whole_number(0, 3600), "how long TERM leaves the service at work, unready, before it stops"
    )
    env_file: str = _setting(
        "", str, "a file with further settings, NAME=value in each line; a reload reads it again"
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Read every ``VIGILRY_*`` variable, and the file that one of them names; the environment wins.

        Raises ConfigError for an unknown name or an unusable value, and names every one of them at once.
        """
        variables = {
            name: text
            for name, text in (os.environ if environ is None else environ).items()
            if name.startswith(PREFIX)
        }
        given = _settings_of_file(variables.get(f"{PREFIX}ENV_FILE", "")) | variables
        parsers = {PREFIX + each.name.upper(): each for each in fields(cls)}
        values: dict[str, Any] = {}
        faults: list[str] = []
        for name, text in sorted(given.items()):
            if name not in parsers:
                faults.append(f"{name} is not a setting{_suggestion(name, parsers)}")
                continue
            try:
                values[parsers[name].name] = parsers[name].metadata["parse"](text)
            except ValueError as error:
                faults.append(f"{name} {error}")
        if faults:
            raise ConfigError("; ".join(faults))
        return cls(**values)


def _settings_of_file(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{PREFIX}ENV_FILE cannot be read: {error}") from None
    settings = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign:
            raise ConfigError(f"line {number} of {PREFIX}ENV_FILE is not NAME=value")
        settings[name.rstrip()] = _unquoted(value.lstrip())
    return settings


def _unquoted(text: str) -> str:
    # As shells, systemd and Docker write values; there is no escaping inside.
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else f"; the settings are {', '.join(known)}"

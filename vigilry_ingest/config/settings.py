"""The settings of all processes, read from the environment."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vigilry_ingest.config.parsers import (
    SENTRY_ITEMS,
    bind,
    bind_or_none,
    matching,
    not_empty,
    one_of,
    origin_or_none,
    origins,
    redis_url,
    server_or_none,
    some_of,
    whole_number,
)

PREFIX = "VIGILRY_"


class ConfigError(ValueError):
    """A setting is unknown or invalid; the message names the setting and what is allowed.

    The message never contains a URL or a library's message about one, which could reveal a password.
    """


def _setting(default: Any, parse: Callable[[str], Any], meaning: str, *, is_secret: bool = False) -> Any:
    return field(default=default, repr=not is_secret, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings with their defaults; environment variables have the uppercase name after ``VIGILRY_``."""

    database_url: str = _setting(
        "sqlite:///var/vigilry.db", not_empty, "SQLAlchemy URL of the database of projects, keys and events"
    )
    redis_url: str = _setting(
        "unix://var/valkey.sock",
        redis_url,
        "URL of the broker: redis://, rediss://, unix:// with a path, "
        "redis+sentinel://host:port,host:port/service, or redis+cluster://host:port,host:port",
    )
    stream_partitions: int = _setting(
        1,
        whole_number(1, 4096),
        "number of streams that projects are distributed over; must not change on live data",
    )
    stream_max_entries: int = _setting(
        1_000_000,
        whole_number(1, 10**12),
        "maximum number of entries of a partition's stream; a full stream rejects events",
    )
    stream_max_bytes: int = _setting(
        1024**3,
        whole_number(0, 1 << 50),
        "maximum size of a partition's stream, in bytes of its entries; 0 means any size",
    )
    durability: str = _setting(
        "memory",
        matching(r"memory|fsync|replicas:[1-9][0-9]?", "memory, fsync, or replicas:N"),
        "when an event is acknowledged: once it is in memory, on disk (fsync), or on N replicas (replicas:N)",
    )
    publish_timeout_ms: int = _setting(
        1000, whole_number(10, 60_000), "maximum time that a request waits for the broker"
    )
    idempotency_ttl_s: int = _setting(
        86_400, whole_number(1, 31_536_000), "how long idempotency keys and Stripe event ids are remembered"
    )
    retention_days: int = _setting(
        0,
        whole_number(0, 36_500),
        "for how many days stored events are kept, unless their project has its own number; 0 is for ever",
    )
    partition_period: str = _setting(
        "month",
        one_of("month", "week"),
        "on PostgreSQL: the time of the events that are in one partition, and dropped with it",
    )
    key_cache_ttl_s: int = _setting(
        1, whole_number(0, 3600), "how long a worker caches a key; a revocation takes effect after this time"
    )
    key_cache_stale_s: int = _setting(
        300, whole_number(0, 86_400), "how long cached keys remain valid while the key store is down"
    )
    max_body_bytes: int = _setting(
        1024 * 1024, whole_number(1024, 1 << 30), "maximum size of a request body as sent, in bytes"
    )
    max_decompressed_bytes: int = _setting(
        5 * 1024 * 1024, whole_number(1024, 1 << 30), "maximum size of a decompressed request body, in bytes"
    )
    max_batch_events: int = _setting(1000, whole_number(1, 100_000), "maximum number of events in a batch")
    sentry_items: str = _setting(
        "",
        some_of(*SENTRY_ITEMS),
        "comma-separated types of items of Sentry envelopes to store besides events, such as transaction",
    )
    invalid_requests_per_s: int = _setting(
        10,
        whole_number(0, 1_000_000),
        "how many invalid requests of a project a process reads per second, ten times as many at once; "
        "0 means any number",
    )
    metrics_by_project: str = _setting(
        "off", one_of("off", "on"), "whether /metrics also counts events by project, with a series for each"
    )
    log_level: str = _setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        "minimum level of log messages; debug logs every request",
    )
    log_format: str = _setting(
        "auto",
        one_of("auto", "json", "console"),
        "log format; auto is console on a terminal, and json otherwise",
    )
    docs: str = _setting(
        "on", one_of("off", "on"), "whether /, /docs, /openapi.json and /asyncapi.json are served"
    )
    public_url: str = _setting(
        "", origin_or_none, "the origin that senders use, shown in the documentation and /openapi.json"
    )
    secrets_keys: str = _setting(
        "",
        str,
        "comma-separated keys that encrypt the secrets of webhook sources, the newest first, each as from "
        "`flask secrets new-key`",
        is_secret=True,
    )
    secrets_keys_file: str = _setting(
        "var/secrets.key",
        str,
        "file of more such keys, one in each line, which are older; it may be missing",
    )
    cors_origins: str = _setting(
        "", origins, "comma-separated origins whose pages may send events from a browser; * allows any"
    )
    actor: str = _setting(
        "",
        matching(r"[\w.@+ :/-]{0,200}", "at most 200 letters, digits, spaces and . @ + : / _ -"),
        "the name that changes by the `flask` commands are recorded under, unless they have --as; by default "
        "the operating system's user and host",
    )
    admin_bind: str = _setting(
        "",
        bind_or_none,
        "host:port or unix:path that `flask admin serve` listens on for administrators; empty is off",
    )
    server: str = _setting(
        "",
        server_or_none,
        "URL of an admin API that the `flask` commands use instead of the database; --server overrides it",
    )
    admin_key: str = _setting(
        "",
        matching(r"(vig_admin_[0-9A-Za-z]{36})?", "a key from `flask admin-keys mint`", shows_text=False),
        "the admin key that the commands send to this server",
        is_secret=True,
    )
    tracing: str = _setting(
        "off",
        one_of("off", "on"),
        "whether spans are exported; OpenTelemetry's OTEL_* variables configure where to",
    )
    bind: str = _setting(
        "127.0.0.1:4100",
        bind,
        "host:port or unix:path that gunicorn listens on, unless systemd passes a socket",
    )
    workers: int = _setting(
        0, whole_number(0, 1024), "number of gunicorn's worker processes; 0 means one per core"
    )
    worker_class: str = _setting("gevent", one_of("gevent", "gthread", "sync"), "gunicorn's worker class")
    drain_s: int = _setting(
        0, whole_number(0, 3600), "how long the service keeps serving, but reports unready, after TERM"
    )
    env_file: str = _setting(
        "", str, "file with further settings as NAME=value lines, which a reload reads again"
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Read the ``VIGILRY_*`` variables and the file named by VIGILRY_ENV_FILE; the environment wins.

        Raises ConfigError that lists all unknown and invalid settings.
        """
        variables = {
            name: text
            for name, text in (os.environ if environ is None else environ).items()
            if name.startswith(PREFIX)
        }
        texts = _settings_of_file(variables.get(f"{PREFIX}ENV_FILE", "")) | variables
        parsers = {PREFIX + each.name.upper(): each for each in fields(cls)}
        values: dict[str, Any] = {}
        errors: list[str] = []
        for name, text in sorted(texts.items()):
            if name not in parsers:
                errors.append(f"{name} is not a setting{_suggestion(name, parsers)}")
                continue
            try:
                values[parsers[name].name] = parsers[name].metadata["parse"](text)
            except ValueError as error:
                errors.append(f"{name} {error}")
        if errors:
            raise ConfigError("; ".join(errors))
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
    # Like shells, systemd and Docker write values, but without escapes inside the quotes.
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else f"; known settings: {', '.join(known)}"

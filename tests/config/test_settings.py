"""The settings: read from the environment, refused by name, never repeated when they may hold a password."""

import os
import re
import subprocess
import sys
import traceback
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import NamedTuple

import pytest

from vigilry_ingest.app import create_app
from vigilry_ingest.config.parsers import REDIS_SCHEMES
from vigilry_ingest.config.settings import PREFIX, Config, ConfigError

ROOT = Path(__file__).parents[2]
PASSWORD = "hunter2"


class Sample(NamedTuple):
    """A setting's default, another value as an operator writes it, and what that is read as."""

    default: str | int
    text: str
    value: str | int


SAMPLES = {
    "VIGILRY_DATABASE_URL": Sample("sqlite:///var/vigilry.db", "sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    "VIGILRY_REDIS_URL": Sample("unix://var/valkey.sock", "rediss://h:6380/1", "rediss://h:6380/1"),
    "VIGILRY_STREAM_PARTITIONS": Sample(1, "4096", 4096),
    "VIGILRY_STREAM_MAX_ENTRIES": Sample(1_000_000, "5000", 5000),
    "VIGILRY_STREAM_MAX_BYTES": Sample(1 << 30, "0", 0),
    "VIGILRY_INVALID_REQUESTS_PER_S": Sample(10, "0", 0),
    "VIGILRY_DURABILITY": Sample("memory", "replicas:2", "replicas:2"),
    "VIGILRY_PUBLISH_TIMEOUT_MS": Sample(1000, "250", 250),
    "VIGILRY_RETENTION_DAYS": Sample(0, "90", 90),
    "VIGILRY_PARTITION_PERIOD": Sample("month", "week", "week"),
    "VIGILRY_IDEMPOTENCY_TTL_S": Sample(86_400, "60", 60),
    "VIGILRY_KEY_CACHE_TTL_S": Sample(1, "0", 0),
    "VIGILRY_KEY_CACHE_STALE_S": Sample(300, "0", 0),
    "VIGILRY_MAX_BODY_BYTES": Sample(1_048_576, "2048", 2048),
    "VIGILRY_MAX_DECOMPRESSED_BYTES": Sample(5_242_880, "4096", 4096),
    "VIGILRY_MAX_BATCH_EVENTS": Sample(1000, "1", 1),
    "VIGILRY_METRICS_BY_PROJECT": Sample("off", "on", "on"),
    "VIGILRY_LOG_LEVEL": Sample("info", "debug", "debug"),
    "VIGILRY_LOG_FORMAT": Sample("auto", "json", "json"),
    "VIGILRY_DOCS": Sample("on", "off", "off"),
    "VIGILRY_SENTRY_ITEMS": Sample("", "transaction, span", "transaction,span"),
    "VIGILRY_PUBLIC_URL": Sample("", "https://ingest.example:8443/", "https://ingest.example:8443"),
    "VIGILRY_SECRETS_KEYS": Sample("", f"{'A' * 43}=", f"{'A' * 43}="),
    "VIGILRY_SECRETS_KEYS_FILE": Sample(
        "var/secrets.key", "/etc/vigilry/secrets.key", "/etc/vigilry/secrets.key"
    ),
    "VIGILRY_CORS_ORIGINS": Sample(
        "", "https://a.example, http://[::1]:8080", "https://a.example,http://[::1]:8080"
    ),
    "VIGILRY_ACTOR": Sample("", "ada@ops", "ada@ops"),
    "VIGILRY_ADMIN_BIND": Sample("", "127.0.0.1:4101", "127.0.0.1:4101"),
    "VIGILRY_SERVER": Sample("", "https://admin.example/", "https://admin.example"),
    "VIGILRY_ADMIN_KEY": Sample("", f"vig_admin_{'A' * 36}", f"vig_admin_{'A' * 36}"),
    "VIGILRY_TRACING": Sample("off", "on", "on"),
    "VIGILRY_BIND": Sample("127.0.0.1:4100", "unix:/run/vigilry.sock", "unix:/run/vigilry.sock"),
    "VIGILRY_WORKERS": Sample(0, "16", 16),
    "VIGILRY_WORKER_CLASS": Sample("gevent", "gthread", "gthread"),
    "VIGILRY_DRAIN_S": Sample(0, "30", 30),
    "VIGILRY_ENV_FILE": Sample("", os.devnull, os.devnull),
}

# With each kind of setting: what it must not be.
BAD = [
    *[
        ("VIGILRY_WORKERS", text)
        for text in ("", "-1", "+1", "1.5", "two", "1025", " 2", "2\n", "1_0", "²", "٢", "9" * 30, "9" * 5000)
    ],
    ("VIGILRY_STREAM_PARTITIONS", "0"),
    ("VIGILRY_DRAIN_S", "3601"),
    ("VIGILRY_CORS_ORIGINS", "example.com"),
    ("VIGILRY_CORS_ORIGINS", "https://example.com/path"),
    ("VIGILRY_CORS_ORIGINS", "https://*.example.com"),
    ("VIGILRY_CORS_ORIGINS", "null"),
    # A browser never writes these.
    ("VIGILRY_CORS_ORIGINS", "https://app.example.com:443"),
    ("VIGILRY_CORS_ORIGINS", "http://app.example.com:80"),
    ("VIGILRY_CORS_ORIGINS", "https://app.example.com:65536"),
    ("VIGILRY_CORS_ORIGINS", "https://App.example.com"),
    ("VIGILRY_CORS_ORIGINS", "https://..."),
    ("VIGILRY_CORS_ORIGINS", "http://[:]"),
    ("VIGILRY_CORS_ORIGINS", "http://[0:0:0:0:0:0:0:1]"),
    *[
        ("VIGILRY_PUBLIC_URL", text)
        for text in (
            "/",
            "*",
            "ingest.example",
            "ftp://h",
            "https://",
            "https://h/path",
            "https://u:p@h",
            "https://h//",
        )
    ],
    ("VIGILRY_STREAM_PARTITIONS", "4097"),
    ("VIGILRY_PUBLISH_TIMEOUT_MS", "9"),
    ("VIGILRY_PUBLISH_TIMEOUT_MS", "60001"),
    ("VIGILRY_KEY_CACHE_TTL_S", "3601"),
    ("VIGILRY_KEY_CACHE_STALE_S", "86401"),
    ("VIGILRY_MAX_BODY_BYTES", "1023"),
    ("VIGILRY_MAX_DECOMPRESSED_BYTES", "1023"),
    ("VIGILRY_MAX_BATCH_EVENTS", "0"),
    *[("VIGILRY_WORKER_CLASS", text) for text in ("", "Gevent", "eventlet", "sync ")],
    *[
        ("VIGILRY_DURABILITY", text)
        for text in ("", "disk", "replicas", "replicas:0", "replicas:", "replicas:100", "fsync\n", "Memory")
    ],
    *[("VIGILRY_REDIS_URL", text) for text in ("", "localhost:6379", "http://localhost", "redis+tls://h")],
    ("VIGILRY_DATABASE_URL", ""),
    *[
        ("VIGILRY_BIND", text)
        for text in (
            "",
            "nonsense",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:99999",
            "127.0.0.1:x",
            ":4100",
            "::1:4100",
            "[::1]",
            "[::1]:65536",
            "[host]:1",
            "a b:1",
            "127.0.0.1:1,127.0.0.1:2",
            "unix:",
            "unix://",
            "h:1\n",
        )
    ],
]

# Each is mistyped in such a way that a library may take the password for something else, and name it.
UNREADABLE_URLS = [
    ("VIGILRY_REDIS_URL", f"redsi://:{PASSWORD}@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis://:{PASSWORD}/x@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis://:{PASSWORD}?x@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis://:{PASSWORD}#x@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis://:{PASSWORD}\u2100@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis://:[{PASSWORD}]@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis://host:{PASSWORD}"),
    ("VIGILRY_REDIS_URL", f"redis://:{PASSWORD}@host:port/0"),
    ("VIGILRY_REDIS_URL", f"redis://host:6379/0?socket_timeout={PASSWORD}"),
    ("VIGILRY_REDIS_URL", f"redis://:1?{PASSWORD}=x@host:6379/0"),
    ("VIGILRY_REDIS_URL", f"redis+sentinel://:{PASSWORD}@host:26379"),
    ("VIGILRY_REDIS_URL", f"redis+sentinel://host:{PASSWORD}/service"),
    ("VIGILRY_REDIS_URL", f"redis+cluster://:{PASSWORD}@"),
    ("VIGILRY_REDIS_URL", f"redis+cluster://host:{PASSWORD}"),
    ("VIGILRY_DATABASE_URL", f"user:{PASSWORD}@host/vigilry"),
    ("VIGILRY_DATABASE_URL", f"postgressql://user:{PASSWORD}@host/vigilry"),
    ("VIGILRY_DATABASE_URL", f"postgresql+nodriver://user:{PASSWORD}@host/vigilry"),
    ("VIGILRY_DATABASE_URL", f"postgresql+psycopg://user:{PASSWORD}@host:port/vigilry"),
    ("VIGILRY_DATABASE_URL", f"postgresql+psycopg://user:{PASSWORD}"),
    ("VIGILRY_DATABASE_URL", f"postgresql+psycopg://user:x@:{PASSWORD}@host/vigilry"),
]


def refusal_of(environ: dict[str, str]) -> str:
    """Return what the refusal of an environment says."""
    with pytest.raises(ConfigError) as refusal:
        Config.from_environ(environ)
    return str(refusal.value)


def check_gunicorn(**settings: str) -> subprocess.CompletedProcess[str]:
    """Let gunicorn look at its own settings and the application, as before a deployment."""
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config"],
        cwd=ROOT,
        env=dict(os.environ) | settings,
        capture_output=True,
        text=True,
        timeout=30,
    )


def field_of(name: str) -> str:
    """Return the attribute that holds the setting of a variable."""
    return name.removeprefix(PREFIX).lower()


def test_every_setting_has_a_sample_here() -> None:
    assert {PREFIX + each.name.upper() for each in fields(Config)} == SAMPLES.keys()


def test_without_any_variable_every_setting_has_its_default() -> None:
    config = Config.from_environ({})
    assert {name: getattr(config, field_of(name)) for name in SAMPLES} == {
        name: sample.default for name, sample in SAMPLES.items()
    }
    assert config == Config()


@pytest.mark.parametrize("name", SAMPLES)
def test_each_setting_is_read_from_its_variable_and_changes_no_other(name: str) -> None:
    sample = SAMPLES[name]
    config = Config.from_environ({name: sample.text})
    values = {other: getattr(config, field_of(other)) for other in SAMPLES}
    assert values == {other: each.default for other, each in SAMPLES.items()} | {name: sample.value}
    assert type(getattr(config, field_of(name))) is type(sample.default)


def test_settings_stand_in_a_file_too_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "vigilry.env"
    file.write_text(
        "# What is said here is for the whole host.\n\n"
        "VIGILRY_REDIS_URL=redis://h/0?ssl_ca_certs=/a=b.pem\r\n"
        '  VIGILRY_DATABASE_URL = "sqlite:////tmp/x.db" \n'
        "VIGILRY_DURABILITY='fsync'\n"
        "VIGILRY_WORKERS=3"
    )
    config = Config.from_environ({"VIGILRY_ENV_FILE": str(file), "VIGILRY_WORKERS": "4"})
    assert config == Config(
        redis_url="redis://h/0?ssl_ca_certs=/a=b.pem",
        database_url="sqlite:////tmp/x.db",
        durability="fsync",
        workers=4,
        env_file=str(file),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"VIGILRY_WORKERS=none", "VIGILRY_WORKERS must be a whole number"),
        (b"VIGILRY_WORKERZ=2", "did you mean VIGILRY_WORKERS"),
        (b"PASSWORD=hunter2", "PASSWORD is not a setting"),
        (b"# one\nhunter2", "line 2 of VIGILRY_ENV_FILE is not NAME=value"),
        (b"\xff", "VIGILRY_ENV_FILE cannot be read"),
        (None, "VIGILRY_ENV_FILE cannot be read"),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_refused(
    tmp_path: Path, text: bytes | None, said: str
) -> None:
    file = tmp_path / "vigilry.env"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        Config.from_environ({"VIGILRY_ENV_FILE": str(file)})
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    "bind",
    [
        "127.0.0.1:0",
        "0.0.0.0:65535",
        "[::1]:4100",
        "[::]:80",
        "my-host.example:80",
        "unix:var/a b.sock",
        "unix:///x",
    ],
)
def test_every_form_of_address_to_listen_on_is_taken(bind: str) -> None:
    assert Config.from_environ({"VIGILRY_BIND": bind}).bind == bind


def test_a_long_value_is_not_repeated_whole() -> None:
    assert len(refusal_of({"VIGILRY_WORKERS": "9" * 5000})) < 200


@pytest.mark.parametrize("scheme", REDIS_SCHEMES)
def test_every_form_of_broker_is_taken(scheme: str) -> None:
    url = f"{scheme}://host:1/service"
    assert Config.from_environ({"VIGILRY_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://host?foo=bar", "'foo'; redis:// supports username, "),
        ("unix://var/valkey.sock?max_connections=3", "'max_connections'"),
        ("unix://var/valkey.sock?decode_responses=true", "'decode_responses'"),
        ("unix://var/valkey.sock?socket_keepalive=yes", "'socket_keepalive'"),
        ("redis://host?socket_timeout=abc", "'socket_timeout'"),
        ("redis://host?ssl_ca_certs=/ca.pem", "'ssl_ca_certs'"),
        ("redis+cluster://host?db=1", "'db'"),
        ("redis+sentinel://host/service?foo=", "'foo'"),
        ("redis://host?db=abc", "a valid value for the option db"),
        ("redis://host?protocol=4", "a valid value for the option protocol"),
        ("rediss+cluster://host?ssl_cert_reqs=never", "a valid value for the option ssl_cert_reqs"),
        ("unix://", "the path of the broker's socket"),
        ("unix://:door@?db=1", "the path of the broker's socket"),
    ],
)
def test_what_a_brokers_url_cannot_have_stops_the_start_and_is_named(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match="VIGILRY_REDIS_URL must ") as refusal:
        create_app(Config(redis_url=url))
    assert said in str(refusal.value)
    assert "door" not in str(refusal.value)


@pytest.mark.parametrize("worker_class", ["gevent", "gthread", "sync"])
def test_every_worker_class_is_taken(worker_class: str) -> None:
    assert Config.from_environ({"VIGILRY_WORKER_CLASS": worker_class}).worker_class == worker_class


@pytest.mark.parametrize("durability", ["memory", "fsync", "replicas:1", "replicas:99"])
def test_every_durability_is_taken(durability: str) -> None:
    assert Config.from_environ({"VIGILRY_DURABILITY": durability}).durability == durability


def test_variables_of_other_programs_are_not_looked_at() -> None:
    foreign = {"PATH": "/bin", "VIGILRY": "x", "vigilry_workers": "x", "MY_VIGILRY_WORKERS": "x"}
    assert Config.from_environ(foreign) == Config()


def test_the_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().workers = 3  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("VIGILRY_REDIS_ULR", "VIGILRY_REDIS_URL"),
        ("VIGILRY_WORKER", "VIGILRY_WORKERS"),
        ("VIGILRY_PUBLISH_TIMEOUT", "VIGILRY_PUBLISH_TIMEOUT_MS"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(mistyped: str, meant: str) -> None:
    said = refusal_of({mistyped: "x"})
    assert re.search(rf"\b{mistyped}\b.*did you mean {meant}\?", said)


def test_an_unknown_name_that_is_close_to_none_is_refused_with_the_list_of_all() -> None:
    said = refusal_of({"VIGILRY_COLOUR_OF_THE_LOGO": "red"})
    assert "VIGILRY_COLOUR_OF_THE_LOGO" in said
    assert all(name in said for name in SAMPLES)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_value_that_cannot_be_used_is_refused_and_its_setting_named(name: str, text: str) -> None:
    said = refusal_of({name: text})
    assert said.startswith(f"{name} must ")


def test_a_refusal_says_what_is_allowed() -> None:
    assert "from 0 to 1,024" in refusal_of({"VIGILRY_WORKERS": "1025"})
    assert "gevent, gthread, sync" in refusal_of({"VIGILRY_WORKER_CLASS": "x"})
    assert "memory, fsync, or replicas:N" in refusal_of({"VIGILRY_DURABILITY": "x"})
    assert "redis+sentinel://" in refusal_of({"VIGILRY_REDIS_URL": "x"})


def test_all_faults_are_named_at_once() -> None:
    faulty = {
        "VIGILRY_WORKERS": "none",
        "VIGILRY_WORKER_CLASS": "eventlet",
        "VIGILRY_REDIS_ULR": "redis://h",
        "VIGILRY_DATABASE_URL": "",
    }
    said = refusal_of(faulty | {"VIGILRY_BIND": "127.0.0.1:1"})
    assert all(name in said for name in faulty)
    assert "VIGILRY_BIND" not in said


def test_a_value_under_an_unknown_name_is_never_repeated() -> None:
    assert PASSWORD not in refusal_of({"VIGILRY_REDIS_ULR": f"redis://:{PASSWORD}@host"})


@pytest.mark.parametrize(("name", "url"), UNREADABLE_URLS)
def test_an_unreadable_url_stops_the_start_and_its_setting_is_named(name: str, url: str) -> None:
    with pytest.raises(Exception, match=name):
        create_app(Config.from_environ({name: url}))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_a_database_in_memory_stops_the_start_because_nobody_else_would_see_it(url: str) -> None:
    with pytest.raises(ConfigError, match="VIGILRY_DATABASE_URL must name a file"):
        create_app(Config(database_url=url))


@pytest.mark.parametrize(("name", "url"), UNREADABLE_URLS)
def test_the_password_of_an_unreadable_url_is_nowhere_in_the_traceback(name: str, url: str) -> None:
    with pytest.raises(Exception) as refusal:  # noqa: PT011  the test above says what it must be
        create_app(Config.from_environ({name: url}))
    assert PASSWORD not in "".join(traceback.format_exception(refusal.value))


def test_the_application_is_not_made_with_a_bad_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGILRY_WORKERS", "none")
    with pytest.raises(ConfigError, match="VIGILRY_WORKERS must be a whole number"):
        create_app()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VIGILRY_WORKERS", "none", "VIGILRY_WORKERS must be a whole number"),
        ("VIGILRY_WORKERZ", "2", "did you mean VIGILRY_WORKERS?"),
        ("VIGILRY_REDIS_URL", f"redis://:{PASSWORD}@host:port", "VIGILRY_REDIS_URL"),
        ("VIGILRY_DATABASE_URL", f"user:{PASSWORD}@host", "VIGILRY_DATABASE_URL"),
    ],
)
def test_gunicorn_does_not_start_with_a_bad_setting_and_says_which(name: str, value: str, said: str) -> None:
    checked = check_gunicorn(**{name: value})
    assert checked.returncode != 0
    assert said in checked.stderr
    assert PASSWORD not in checked.stdout + checked.stderr


def test_gunicorn_finds_nothing_wrong_with_good_settings() -> None:
    checked = check_gunicorn(**{name: sample.text for name, sample in SAMPLES.items()})
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_readme_lists_every_setting_with_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| *`(VIGILRY_\w+)` *\| *`([^`|]*)` *\| *\S", (ROOT / "README.md").read_text(), re.M)
    assert dict(rows) == {name: str(sample.default) for name, sample in SAMPLES.items()}
    assert len(rows) == len(SAMPLES), "a setting stands twice in README.md"

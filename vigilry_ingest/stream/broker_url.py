"""Parser of broker URLs (VIGILRY_REDIS_URL)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.connection import Connection, parse_url
from redis.exceptions import RedisError

from vigilry_ingest.config.settings import ConfigError

Host = tuple[str, int]

_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}
# Options of redis-py that are safe both for its client and for BoundedConnection: none that decodes replies,
# exceeds VIGILRY_PUBLISH_TIMEOUT_MS, or retries commands.
_OPTIONS = ("username", "password", "client_name", "protocol")
_TLS_OPTIONS = (
    "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs",
    "ssl_check_hostname", "ssl_ciphers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address.

    ``form`` is ``single``, ``sentinel`` or ``cluster``; ``hosts`` holds the server, the sentinels, or some
    nodes of the cluster; ``path`` is that of a unix socket; ``options`` are redis-py's connection options.
    """

    form: str
    hosts: tuple[Host, ...]
    options: dict[str, Any]
    service: str = ""
    path: str = ""
    is_tls: bool = False


def parse_broker_url(url: str) -> Address:
    """Parse a broker URL.

    Supported are ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host:port,host:port/service``,
    ``redis+cluster://host:port,host:port``, and the last two as ``rediss+…`` with TLS.
    ``unix://var/valkey.sock`` is relative to the working directory. The query string accepts some of
    redis-py's own options, such as ``ssl_ca_certs``. Raises ConfigError.
    """
    try:
        parts = urlsplit(url)
        scheme, _, form = parts.scheme.partition("+")
        _check_options(parts.scheme, parts.query)
        return _parse_several(url, scheme, form) if form else _parse_one(url, scheme)
    except ConfigError:
        raise
    except (ValueError, TypeError):
        raise ConfigError(
            "VIGILRY_REDIS_URL must be a URL whose port is a number; in a password, "
            "write / as %2F, # as %23, ? as %3F and @ as %40"
        ) from None


def _check_options(scheme: str, query: str) -> None:
    if "@" in query:
        # This is the end of a password, which must not appear in the message.
        raise ValueError
    known = _known_options(scheme)
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise ConfigError(
                f"VIGILRY_REDIS_URL must not have the option {name!r}; "
                f"{scheme}:// supports {', '.join(known)}"
            )
        try:
            options: dict[str, Any] = parse_url(f"{scheme.partition('+')[0]}://?{urlencode({name: value})}")
            options.pop("connection_class", Connection)(**options)
        except (ValueError, TypeError, RedisError):
            raise ConfigError(f"VIGILRY_REDIS_URL must have a valid value for the option {name}") from None


def _known_options(scheme: str) -> tuple[str, ...]:
    return (
        *_OPTIONS,
        # A cluster has only one database, and keep-alive is for TCP.
        *(() if scheme.endswith("+cluster") else ("db",)),
        *(() if scheme == "unix" else ("socket_keepalive",)),
        *(_TLS_OPTIONS if scheme.startswith("rediss") else ()),
    )


def _parse_one(url: str, scheme: str) -> Address:
    options: dict[str, Any] = parse_url(url)
    options.pop("connection_class", None)
    if scheme == "unix":
        path = urlsplit(url).netloc.rpartition("@")[2] + options.pop("path", "")
        if not path.strip("/"):
            raise ConfigError("VIGILRY_REDIS_URL must name the path of the broker's socket: unix://path")
        return Address("single", (), options, path=path)
    host = (options.pop("host", "localhost"), options.pop("port", 6379))
    return Address("single", (host,), options, is_tls=scheme == "rediss")


def _parse_several(url: str, scheme: str, form: str) -> Address:
    parts = urlsplit(url)
    login, _, listed = parts.netloc.rpartition("@")
    hosts = tuple(_host(each, _DEFAULT_PORTS[form]) for each in listed.split(",") if each)
    if not hosts:
        raise ConfigError("VIGILRY_REDIS_URL must name a host")
    service = unquote(parts.path.strip("/"))
    if form == "sentinel" and not service:
        raise ConfigError("VIGILRY_REDIS_URL must end with the service name of the sentinels: /service")
    # Everything except the hosts has the form of redis-py's own URLs, so redis-py parses it.
    plain = f"{scheme}://{login}{'@' if login else ''}localhost?{parts.query}"
    options: dict[str, Any] = parse_url(plain)
    for name in ("connection_class", "host", "port"):
        options.pop(name, None)
    return Address(form, hosts, options, service=service, is_tls=scheme == "rediss")


def _host(text: str, default_port: int) -> Host:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ConfigError("VIGILRY_REDIS_URL must not contain an empty host")
    return parts.hostname, parts.port or default_port

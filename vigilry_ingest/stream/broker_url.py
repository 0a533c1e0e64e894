"""Where the broker is: VIGILRY_REDIS_URL, read into hosts and the options of a connection."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.connection import Connection, parse_url
from redis.exceptions import RedisError

from vigilry_ingest.config.settings import ConfigError

Host = tuple[str, int]

_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}
# Of redis-py's options those that both its client and our bounded connection take, and that break no promise:
# none that decodes replies, waits for longer than VIGILRY_PUBLISH_TIMEOUT_MS, or sends anything again.
_OPTIONS = ("username", "password", "client_name", "protocol")
_TLS_OPTIONS = (
    "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs",
    "ssl_check_hostname", "ssl_ciphers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address.

    ``form`` is ``single``, ``sentinel`` or ``cluster``; ``hosts`` are the server, the sentinels, or some of
    the cluster's nodes; ``path`` is a unix socket's; ``options`` are redis-py's for a connection.
    """

    form: str
    hosts: tuple[Host, ...]
    options: dict[str, Any]
    service: str = ""
    path: str = ""
    is_tls: bool = False


def read_address(url: str) -> Address:
    """Read a URL, VIGILRY_REDIS_URL: ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host:port,host:port/service``,
    ``redis+cluster://host:port,host:port``, and ``rediss+…`` for the last two behind TLS.

    ``unix://var/valkey.sock`` is a path relative to the working directory. The query takes some of redis-py's
    own options, such as ``ssl_ca_certs``. Raises ConfigError.
    """
    try:
        parts = urlsplit(url)
        scheme, _, form = parts.scheme.partition("+")
        _check_options(parts.scheme, parts.query)
        return _read_several(url, scheme, form) if form else _read_one(url, scheme)
    except ConfigError:
        raise
    except (ValueError, TypeError):
        raise ConfigError(
            "VIGILRY_REDIS_URL must be a URL whose port is a number; in a password, "
            "write / as %2F, # as %23, ? as %3F and @ as %40"
        ) from None


def _check_options(scheme: str, query: str) -> None:
    if "@" in query:
        # The end of a password, which must not be repeated, and no query.
        raise ValueError
    known = _known_options(scheme)
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise ConfigError(
                f"VIGILRY_REDIS_URL must not have the option {name!r}; {scheme}:// takes {', '.join(known)}"
            )
        try:
            options: dict[str, Any] = parse_url(f"{scheme.partition('+')[0]}://?{urlencode({name: value})}")
            options.pop("connection_class", Connection)(**options)
        except (ValueError, TypeError, RedisError):
            raise ConfigError(f"VIGILRY_REDIS_URL must have another value for its option {name}") from None


def _known_options(scheme: str) -> tuple[str, ...]:
    return (
        *_OPTIONS,
        # A cluster has but one database, and a unix socket no peer that could vanish.
        *(() if scheme.endswith("+cluster") else ("db",)),
        *(() if scheme == "unix" else ("socket_keepalive",)),
        *(_TLS_OPTIONS if scheme.startswith("rediss") else ()),
    )


def _read_one(url: str, scheme: str) -> Address:
    options: dict[str, Any] = parse_url(url)
    options.pop("connection_class", None)
    if scheme == "unix":
        path = urlsplit(url).netloc.rpartition("@")[2] + options.pop("path", "")
        if not path.strip("/"):
            raise ConfigError("VIGILRY_REDIS_URL must name the path of the broker's socket: unix://path")
        return Address("single", (), options, path=path)
    host = (options.pop("host", "localhost"), options.pop("port", 6379))
    return Address("single", (host,), options, is_tls=scheme == "rediss")


def _read_several(url: str, scheme: str, form: str) -> Address:
    parts = urlsplit(url)
    login, _, listed = parts.netloc.rpartition("@")
    hosts = tuple(_host(each, _DEFAULT_PORTS[form]) for each in listed.split(",") if each)
    if not hosts:
        raise ConfigError("VIGILRY_REDIS_URL must name a host")
    service = unquote(parts.path.strip("/"))
    if form == "sentinel" and not service:
        raise ConfigError("VIGILRY_REDIS_URL must end in the name of the sentinels' service: /service")
    # Everything but the hosts is as in redis-py's own URLs, so redis-py reads it.
    plain = f"{scheme}://{login}{'@' if login else ''}localhost?{parts.query}"
    options: dict[str, Any] = parse_url(plain)
    for name in ("connection_class", "host", "port"):
        options.pop(name, None)
    return Address(form, hosts, options, service=service, is_tls=scheme == "rediss")


def _host(text: str, default_port: int) -> Host:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ConfigError("VIGILRY_REDIS_URL must not have an empty host")
    return parts.hostname, parts.port or default_port

"""Where the broker is: VIGILRY_REDIS_URL, read into hosts and the options of a connection."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import parse_url

from vigilry_ingest.config import ConfigError

Host = tuple[str, int]

_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}


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

    ``unix://var/valkey.sock`` is a path relative to the working directory. The query takes redis-py's own
    options, such as ``ssl_ca_certs``. Raises ConfigError.
    """
    try:
        scheme, _, form = urlsplit(url).scheme.partition("+")
        return _read_several(url, scheme, form) if form else _read_one(url, scheme)
    except ConfigError:
        raise
    except (ValueError, TypeError):
        raise ConfigError(
            "VIGILRY_REDIS_URL must be a URL whose port is a number; in a password, "
            "write / as %2F, # as %23, ? as %3F and @ as %40"
        ) from None


def _read_one(url: str, scheme: str) -> Address:
    options: dict[str, Any] = parse_url(url)
    options.pop("connection_class", None)
    if scheme == "unix":
        path = urlsplit(url).netloc.rpartition("@")[2] + options.pop("path", "")
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

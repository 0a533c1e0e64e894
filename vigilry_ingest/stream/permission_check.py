"""The check that the broker's user may do what a role needs, without doing any of it."""

import time
from collections.abc import Iterator, Sequence

from redis.exceptions import NoPermissionError, RedisError

from vigilry_ingest.config.settings import Config
from vigilry_ingest.stream.broker_url import Host, parse_broker_url
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.connection.node import Command, Node
from vigilry_ingest.stream.errors import explain
from vigilry_ingest.stream.finding import Finding
from vigilry_ingest.stream.permissions import Role

# Complete forms of the commands, because servers look at permissions after the number of arguments.
_FORMS = {
    "ping": "", "info": "", "time": "", "wait": "0 1", "waitaof": "0 0 1", "script|load": "return",
    "eval": "return 1 KEY", "evalsha": f"{'0' * 40} 1 KEY",
    "get": "KEY", "exists": "KEY", "del": "KEY", "set": "KEY 0", "incrby": "KEY 0", "decrby": "KEY 0",
    "lindex": "KEY 0", "rpush": "KEY 0", "lpop": "KEY", "lrange": "KEY 0 0", "hget": "KEY f",
    "hset": "KEY f 0", "hdel": "KEY f",
    "zadd": "KEY 0 m", "zrem": "KEY m", "zrange": "KEY 0 0", "zremrangebyscore": "KEY 0 0",
    "xadd": "KEY * f 0", "xlen": "KEY", "xrange": "KEY - +", "xrevrange": "KEY + -", "xpending": "KEY g",
    "xinfo|groups": "KEY", "xinfo|consumers": "KEY g", "xreadgroup": "GROUP g c STREAMS KEY >",
    "xack": "KEY g 0-0", "xclaim": "KEY g c 0 0-0", "xtrim": "KEY MAXLEN 0", "xdel": "KEY 0-0",
    "xgroup|create": "KEY g 0", "xgroup|delconsumer": "KEY g c", "xgroup|destroy": "KEY g",
}  # fmt: skip
# These would end the transaction that the others are tried in.
_TRANSACTIONS = ("multi", "discard", "exec")
_MAX_NAMED = 4


def permission_findings(config: Config, roles: Sequence[Role]) -> Iterator[Finding]:
    """Check what the user may do; with several roles, it must have what one of them needs.

    Raises BrokerError when a server cannot be reached, and ConfigError.
    """
    missing = {role: _missing_by_server(config, role) for role in roles}
    complete = [role for role in roles if not any(missing[role].values())]
    if complete:
        names = ", ".join(role.name for role in complete)
        text = f"Its user may do what these roles need: {names}."
        if others := [role.name for role in roles if role not in complete]:
            text += (
                f" For {' and '.join(others)}, run `flask doctor --role` with the URL of that role's user."
            )
        yield Finding("ok", "broker", text)
        return
    user = parse_broker_url(config.redis_url).options.get("username") or "default"
    for role in roles:
        for server, lacking in missing[role].items():
            if lacking:
                yield Finding(
                    "danger",
                    server,
                    f"Its user {user} may not do what {role.name} needs: {_describe(lacking)}. "
                    f"Set in the ACL: {role.acl_line(user, 'PASSWORD')}",
                )


def _missing_by_server(config: Config, role: Role) -> dict[str, list[str]]:
    """Return what the user lacks for a role, by server, each as a command and a pattern of keys.

    The commands are queued in a transaction that is then discarded: servers look at the permissions when they
    queue a command.
    """
    timeout_s = config.publish_timeout_ms / 1000
    broker = Broker(config.redis_url, partitions=config.stream_partitions)
    deadline = time.monotonic() + timeout_s
    partitions: dict[Host | None, list[int]] = {}
    for partition in range(config.stream_partitions):
        partitions.setdefault(broker.topology.host_of(partition, deadline), []).append(partition)
    needs = list(role.needs(config))
    return {
        "broker" if host is None else f"broker {host[0]}:{host[1]}": _missing(
            broker, host, needs, own, timeout_s
        )
        for host, own in sorted(partitions.items(), key=str)
    }


def _describe(missing: Sequence[str]) -> str:
    """Return the first of what is missing, and how much more there is."""
    more = len(missing) - _MAX_NAMED
    return ", ".join(missing[:_MAX_NAMED]) + (f", and {more} more" if more > 0 else "")


def _missing(
    broker: Broker, host: Host | None, needs: Sequence[tuple[str, str]], partitions: Sequence[int],
    timeout_s: float,
) -> list[str]:  # fmt: skip
    transactions = [command for command, _ in needs if command in _TRANSACTIONS]
    tried = [
        (name, _command(command, pattern, partition))
        for command, pattern in needs
        if command not in _TRANSACTIONS
        for partition in (partitions if pattern else [0])
        for name in [f"{command} on {pattern}" if pattern else command]
    ]
    node = Node(lambda: connection_to(broker.address, host))
    deadline = time.monotonic() + timeout_s
    try:
        # Outside of a transaction these do nothing.
        ends = [(each,) for each in transactions if each != "multi"]
        denied = [
            command
            for (command,), reply in zip(ends, node.exchange(ends, deadline), strict=True)
            if isinstance(reply, NoPermissionError)
        ]
        (begun,) = node.exchange([("MULTI",)], deadline)
        if isinstance(begun, NoPermissionError):
            return [*denied, "multi"]
        if isinstance(begun, RedisError):
            raise explain(begun)
        replies = node.exchange([command for _, command in tried], deadline)
    finally:
        # A connection that ends discards its transaction.
        node.close()
    denied += [
        name for (name, _), reply in zip(tried, replies, strict=True) if isinstance(reply, NoPermissionError)
    ]
    return list(dict.fromkeys(denied))


def _command(command: str, pattern: str, partition: int) -> Command:
    key = pattern.replace("{*}", f"{{{partition}}}").replace("*", "doctor")
    arguments = _FORMS[command].split()
    return (*command.split("|"), *(key if each == "KEY" else each for each in arguments))

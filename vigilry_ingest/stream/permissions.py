"""What each role needs from the broker, as commands on patterns of keys, and the ACL rules that permit it.

A command that is sent to the broker, or by a script, belongs here: `tests/deploy/test_valkey_acl.py` runs the
roles as users with these permissions. See https://valkey.io/topics/acl/ for the syntax.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vigilry_ingest.config.settings import Config

_EVENTS, _DEAD, _INDEX = "~vigilry:{*}:events", "~vigilry:{*}:dead", "~vigilry:{*}:dead:index"
_ONCE, _QUOTA = "~vigilry:{*}:once:*", "~vigilry:{*}:quota:*"
_SIZE, _MARKS = "~vigilry:{*}:size", "~vigilry:{*}:size:marks"
_LEASE, _MEMBERS = "~vigilry:{*}:lease:*", "~vigilry:members:*"

_CONNECT = "auth hello ping select client|setinfo client|setname command asking cluster|slots info"
# A connection is made without these, or it does not need them with these settings.
_OPTIONAL = frozenset(
    (
        "auth", "hello", "select", "client|setinfo", "client|setname", "command", "asking", "cluster|slots",
        "config|get",
    )
)  # fmt: skip


class Grant(NamedTuple):
    """Commands, separated by blanks, that are needed on some keys."""

    commands: str
    keys: tuple[str, ...]


class Role(NamedTuple):
    """A role: commands without keys, scripts with all of their keys, and commands in and beside scripts.

    ``rules`` are those of its user where they permit more than the role needs.
    """

    name: str
    keyless: str
    scripts: Grant
    grants: tuple[Grant, ...]
    rules: str = ""

    def acl_line(self, user: str, password: str) -> str:
        """Return the line for a user with this role in a file of users."""
        return f"user {user} on >{password} resetchannels {self.rules or self._rules()}"

    def _rules(self) -> str:
        own = " ".join([*_plus(self.keyless), *_plus(self.scripts.commands), *self.scripts.keys])
        grants = [" ".join(["-@all", *_plus(each.commands), *each.keys]) for each in self.grants]
        return " ".join([f"-@all {own}", *(f"({each})" for each in grants)])

    def needs(self, config: Config) -> Iterator[tuple[str, str]]:
        """Yield each command with the pattern of a key, which is empty for commands without keys."""
        unused = _OPTIONAL | {"wait", "waitaof"}
        if config.durability != "memory":
            unused -= {"waitaof" if config.durability == "fsync" else "wait"}
        for command in self.keyless.split():
            if command not in unused:
                yield command, ""
        for grant in (self.scripts, *self.grants):
            for command in grant.commands.split():
                if command == "script|load":
                    yield command, ""
                else:
                    yield from ((command, key.partition("~")[2]) for key in grant.keys)


def _plus(commands: str) -> Sequence[str]:
    return [f"+{command}" for command in commands.split()]


WEB = Role(
    "web",
    f"{_CONNECT} config|get time wait waitaof multi discard",
    Grant("eval evalsha script|load", (_EVENTS, _ONCE, _QUOTA)),
    (
        Grant("get set exists", (_ONCE, _QUOTA)),
        Grant("get incrby decrby del", (_SIZE,)),
        Grant("lindex rpush", (_MARKS,)),
        Grant("xadd", (f"%W{_EVENTS}",)),
        Grant("xlen xrange xpending xinfo|groups xinfo|consumers", (f"%R{_EVENTS}", f"%R{_DEAD}")),
        Grant("hget", (f"%R{_INDEX}",)),
        Grant("get", (f"%R{_LEASE}",)),
    ),
)
WORKER = Role(
    "worker",
    f"{_CONNECT} time multi exec discard",
    Grant("eval", (_EVENTS, _DEAD, _INDEX, _LEASE, _MEMBERS)),
    (
        Grant(
            "exists xlen xrange xreadgroup xack xclaim xpending xtrim xinfo|groups xinfo|consumers "
            "xgroup|create xgroup|delconsumer",
            (_EVENTS,),
        ),
        Grant("xadd xlen xrange xdel", (_DEAD,)),
        Grant("get decrby del lrange lpop", (_SIZE, _MARKS)),
        Grant("hset hdel", (_INDEX,)),
        Grant("get set del", (_LEASE,)),
        Grant("zadd zrem zrange zremrangebyscore", (_MEMBERS,)),
    ),
)
OPERATOR = Role(
    "operator",
    f"{_CONNECT} config|get time multi discard",
    Grant("eval", (_EVENTS, _DEAD, _INDEX)),
    (
        Grant(
            "xadd xlen xrange xrevrange xack xdel xpending xinfo|groups xinfo|consumers xgroup|destroy",
            (_EVENTS,),
        ),
        Grant("xlen xrange xdel", (_DEAD,)),
        Grant("hset hdel", (_INDEX,)),
        Grant("get incrby del", (_SIZE,)),
        Grant("lindex rpush", (_MARKS,)),
        Grant("get", (_LEASE,)),
    ),
    rules="+@all -@admin -@dangerous +cluster|slots +info +config|get ~vigilry:*",
)
ROLES = {role.name: role for role in (WEB, WORKER, OPERATOR)}

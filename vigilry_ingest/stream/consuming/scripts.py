"""Scripts that a worker runs on the server, also while its memory is full."""

from importlib.resources import files
from typing import Any

from redis.exceptions import ResponseError

# https://valkey.io/topics/lua-api/#script-flags; servers before Redis 7 do not know it.
_FLAGS = "#!lua flags=allow-oom\n"


class Script:
    """A script that a full server runs too, because what it frees is more than what it needs.

    Without that, no lease could be taken and no dead letter written, so a full server would never be drained.
    Servers before Redis 7 refuse such scripts while their memory is full.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._is_flagged = True

    @classmethod
    def from_file(cls, name: str, head: str = "") -> "Script":
        """Read a script from a file beside this module, to run after ``head``."""
        return cls(head + files("vigilry_ingest.stream.consuming").joinpath(name).read_text())

    def run(self, client: Any, keys: tuple[str, ...], *arguments: Any) -> Any:
        """Run the script and return its reply.

        Raises redis.RedisError.
        """
        if self._is_flagged:
            try:
                return client.eval(_FLAGS + self._source, len(keys), *keys, *arguments)
            except ResponseError as error:
                if "unexpected symbol near '#'" not in str(error):
                    raise
                self._is_flagged = False
        return client.eval(self._source, len(keys), *keys, *arguments)

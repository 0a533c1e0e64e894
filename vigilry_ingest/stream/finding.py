"""The result of a check, as `flask doctor` prints it."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """The result of one check; ``danger`` means that events can be lost or refused."""

    level: Literal["ok", "warning", "danger"]
    subject: str
    text: str

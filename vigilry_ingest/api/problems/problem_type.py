"""The definition of a problem type (RFC 9457)."""

from typing import NamedTuple


class ProblemType(NamedTuple):
    """The meaning of an error code; ``retryable`` means that the same request may succeed later."""

    status: int
    title: str
    cause: str
    remedy: str
    retryable: bool = False

    @property
    def has_retry_after(self) -> bool:
        """Whether responses carry a Retry-After header."""
        return self.status in (429, 503)


def page_of(code: str) -> str:
    """Return the path of the page that explains an error code: the ``type`` of its problem."""
    return f"/docs/errors/{code}"

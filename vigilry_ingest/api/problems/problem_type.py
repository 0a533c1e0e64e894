"""What all refusals have: the form, and the page."""

from typing import NamedTuple


class ProblemType(NamedTuple):
    """What a word means: HTTP status, title, cause, mend, and whether the same request may succeed later."""

    status: int
    title: str
    cause: str
    mend: str
    retryable: bool = False

    @property
    def says_when(self) -> bool:
        """Tell whether its answer has Retry-After."""
        return self.status in (429, 503)


def page_of(code: str) -> str:
    """Give the path of the page that explains a word: the ``type`` of its problem."""
    return f"/docs/errors/{code}"

"""Types of arrays of which only the first elements are read."""

from typing import Any

import msgspec


def bounded_array(
    limit: int, *, element: Any = msgspec.Raw, absent: object = msgspec.Raw(), refuses_more: bool = False
) -> Any:  # the type is made here
    """Return a struct type of at most ``limit`` elements; a list would be decoded whole.

    Missing elements are ``absent``. More elements are skipped, or a ValidationError.
    """
    fields = [(f"element_{index}", element, absent) for index in range(limit)]
    return msgspec.defstruct("Array", fields, array_like=True, forbid_unknown_fields=refuses_more)


def present(array: Any) -> list[msgspec.Raw]:
    """Return the elements of an array of msgspec.Raw, of which None has none."""
    return [] if array is None else list(filter(len, msgspec.structs.astuple(array)))

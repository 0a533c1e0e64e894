"""Escaping of characters that could garble or deceive a terminal."""

import re

# Everything but ASCII's printable characters; str.isprintable decides.
_CANDIDATE = re.compile(r"[^ -~]")


def escape_unprintable(text: str, *, keep: str = "") -> str:
    r"""Write every unprintable character as ``\uXXXX``, as JSON does, except those in ``keep``.

    Unprintable are control characters, also DEL and C1, format characters such as bidirectional overrides,
    and separators other than the space. A JSON text without line breaks and tabs stays the same JSON.
    """
    if text.isprintable():
        return text
    return _CANDIDATE.sub(lambda found: _escape(found[0], keep), text)


def _escape(character: str, keep: str) -> str:
    if character.isprintable() or character in keep:
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))

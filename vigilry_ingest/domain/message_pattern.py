"""Patterns of messages, names and files: what is the same in every event of an error."""

import re

_VARIABLE = "*"
# Upper bounds on the characters that are looked at, because regular expressions are slow on long texts.
_MAX_MESSAGE_LENGTH = 1000
_MAX_NAME_LENGTH = 300

# An apostrophe inside a word is not a quotation mark.
_QUOTED = re.compile(
    r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`|\u201c[^\u201d\n]*\u201d|\u2018[^\u2019\n]*\u2019|\u00ab[^\u00bb\n]*\u00bb"
)
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_ADDRESS = re.compile(r"\S+")
_WORD = re.compile(r"\w+")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{8,}")
# 1.5, 10:30, 2026-01-31, 1, 2, 3 and -7.
_SEVERAL = re.compile(r"[+\-]?\*(?:[\s,.:/+\-]*\*)*")

# Numbers and addresses of generated classes, lambdas and objects.
_GENERATED = re.compile(r"\$\$Lambda[\w$/.]*|\$\d+|@[0-9a-f]{4,}|0x[0-9a-fA-F]+")
# The hash of its content in the name of a bundle, and the number of a release.
_HASH = re.compile(r"[.\-_](?=[a-zA-Z]*\d)[0-9a-zA-Z]{6,}(?=\.)|\d{4,}")


def pattern_of(message: str) -> str:
    """Return a message with ``*`` for its numbers, ids, addresses and quoted parts."""
    text = _QUOTED.sub(_VARIABLE, message[:_MAX_MESSAGE_LENGTH])
    text = _UUID.sub(_VARIABLE, text)
    text = _ADDRESS.sub(lambda found: _VARIABLE if _is_address(found[0]) else found[0], text)
    text = _WORD.sub(lambda found: _VARIABLE if _is_id(found[0]) else found[0], text)
    return " ".join(_SEVERAL.sub(_VARIABLE, text).split())


def stable_name(name: str) -> str:
    """Return a function's or module's name without the numbers of generated parts."""
    return _GENERATED.sub("$", name[:_MAX_NAME_LENGTH])


def stable_file(file: str) -> str:
    """Return the end of a file's path or URL: its folder and its name, without hashes."""
    path = file[:_MAX_NAME_LENGTH].partition("?")[0].partition("#")[0].replace("\\", "/")
    return "/".join(_HASH.sub("", part) for part in path.split("/")[-2:])


def _is_address(word: str) -> bool:
    return "://" in word or "@" in word


def _is_id(word: str) -> bool:
    return any(map(str.isdigit, word)) or _HEXADECIMAL.fullmatch(word) is not None

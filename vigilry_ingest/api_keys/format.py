"""Format of keys: ``vig_live_``, ``vig_test_`` or ``vig_admin_``, 30 random characters, a checksum of 6."""

import hashlib
import re
import secrets
import string
import zlib

ENVIRONMENTS = ("production", "staging", "development")

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 30
_CHECKSUM_LENGTH = 6
_VISIBLE_LENGTH = 8
_ADMIN_PREFIX = "vig_admin_"
_HINT_LENGTH = len("vig_live_") + _VISIBLE_LENGTH
_ADMIN_HINT_LENGTH = len(_ADMIN_PREFIX) + _VISIBLE_LENGTH
_SECRET = rf"[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}"
_SHAPE = re.compile(rf"vig_(?:live|test)_{_SECRET}")
_ADMIN_SHAPE = re.compile(_ADMIN_PREFIX + _SECRET)


def new_key(environment: str) -> str:
    """Make a random key (178 bits) for one of ENVIRONMENTS."""
    return _new_key("vig_live_" if environment == "production" else "vig_test_")


def new_admin_key() -> str:
    """Make a random key (178 bits) for an administrator."""
    return _new_key(_ADMIN_PREFIX)


def _new_key(prefix: str) -> str:
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Return whether the format and checksum are valid; mistyped keys are rejected without a look-up."""
    return _SHAPE.fullmatch(key) is not None and _has_valid_checksum(key)


def is_well_formed_admin_key(key: str) -> bool:
    """Return whether the format and checksum are those of an administrator's key."""
    return _ADMIN_SHAPE.fullmatch(key) is not None and _has_valid_checksum(key)


def _has_valid_checksum(key: str) -> bool:
    return _checksum(key[:-_CHECKSUM_LENGTH]) == key[-_CHECKSUM_LENGTH:]


def digest_of(key: str) -> bytes:
    """Return the SHA-256 digest of a key, unsalted: a long random key cannot be guessed as a password can."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def hint_of(key: str) -> str:
    """Return the start of a key, which identifies it; the 22 random characters after it stay secret."""
    return key[: _ADMIN_HINT_LENGTH if key.startswith(_ADMIN_PREFIX) else _HINT_LENGTH]


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

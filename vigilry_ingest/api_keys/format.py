"""Format of API keys: ``vig_live_`` or ``vig_test_``, 30 random characters, and a checksum of 6."""

import hashlib
import re
import secrets
import string
import zlib

ENVIRONMENTS = ("production", "staging", "development")

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 30
_CHECKSUM_LENGTH = 6
_HINT_LENGTH = len("vig_live_") + 8
_SHAPE = re.compile(rf"vig_(?:live|test)_[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}")


def new_key(environment: str) -> str:
    """Make a random key (178 bits) for one of ENVIRONMENTS."""
    prefix = "vig_live_" if environment == "production" else "vig_test_"
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Return whether the format and checksum are valid; mistyped keys are rejected without a look-up."""
    return _SHAPE.fullmatch(key) is not None and _checksum(key[:-_CHECKSUM_LENGTH]) == key[-_CHECKSUM_LENGTH:]


def digest_of(key: str) -> bytes:
    """Return the SHA-256 digest of a key, unsalted: a long random key cannot be guessed as a password can."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def hint_of(key: str) -> str:
    """Return the start of a key, which identifies it; the 22 random characters after it stay secret."""
    return key[:_HINT_LENGTH]


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

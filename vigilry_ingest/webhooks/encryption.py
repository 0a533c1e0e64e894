"""Encryption of secrets at rest, by AES-256-GCM (NIST SP 800-38D).

Each ciphertext is bound to a context, such as the id of its row, so that it cannot be moved to another row.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12
# Names the key within a ciphertext, so that only one is tried.
_KEY_ID_BYTES = 4
_VERSION = b"\x01"


class NoSecretsKey(Exception):
    """There is no key to encrypt secrets with."""

    def __init__(self) -> None:
        super().__init__(
            "There is no key for secrets: make one with `flask secrets new-key`, and set "
            "VIGILRY_SECRETS_KEYS to it, or VIGILRY_SECRETS_KEYS_FILE to the path of a file that has it."
        )


class InvalidSecretsKey(ValueError):
    """A key, or the file of keys, is invalid; the message does not contain it."""


class CannotDecrypt(Exception):
    """A secret was encrypted with a key that is not set, or was altered or moved to another row."""


def new_key() -> str:
    """Make a key: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode()


class SecretBox:
    """Encrypts with the first of some keys, and decrypts with all of them.

    Raises InvalidSecretsKey.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in map(_decode, keys)}

    @classmethod
    def from_settings(cls, keys: str, path: str) -> "SecretBox":
        """Return a box for the keys of a comma-separated setting, then those in a file, one in each line.

        A file that does not exist has no keys. Raises InvalidSecretsKey.
        """
        given = [key.strip() for key in keys.split(",")]
        if path:
            try:
                given += [line.strip() for line in Path(path).read_text("ascii").splitlines()]
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not a text"
                raise InvalidSecretsKey(f"VIGILRY_SECRETS_KEYS_FILE cannot be read: {reason}.") from None
        return cls([key for key in given if key])

    def require_key(self) -> None:
        """Return if there is a key to encrypt with.

        Raises NoSecretsKey.
        """
        if not self._ciphers:
            raise NoSecretsKey

    def encrypt(self, secret: str, context: str) -> bytes:
        """Return the ciphertext of a secret in a context.

        Raises NoSecretsKey.
        """
        self.require_key()
        key_id, cipher = next(iter(self._ciphers.items()))
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + key_id + nonce + cipher.encrypt(nonce, secret.encode(), context.encode())

    def decrypt(self, ciphertext: bytes, context: str) -> str:
        """Return the secret of a ciphertext.

        Raises CannotDecrypt.
        """
        key_id, nonce, sealed = _parts(ciphertext)
        try:
            return self._ciphers[key_id].decrypt(nonce, sealed, context.encode()).decode()
        except KeyError:
            message = "A secret was encrypted with a key that is not in VIGILRY_SECRETS_KEYS."
            raise CannotDecrypt(message) from None
        except InvalidTag:
            raise CannotDecrypt("A secret was altered, or moved to another row.") from None

    def is_newest(self, ciphertext: bytes) -> bool:
        """Return whether a secret is encrypted with the first key."""
        return _parts(ciphertext)[0] == next(iter(self._ciphers), None)


def _parts(ciphertext: bytes) -> tuple[bytes, bytes, bytes]:
    if not ciphertext.startswith(_VERSION):
        raise CannotDecrypt("A secret was encrypted by another version of the service.")
    nonce_at = len(_VERSION) + _KEY_ID_BYTES
    sealed_at = nonce_at + _NONCE_BYTES
    if len(ciphertext) <= sealed_at:
        raise CannotDecrypt("A secret was cut.")
    return ciphertext[len(_VERSION) : nonce_at], ciphertext[nonce_at:sealed_at], ciphertext[sealed_at:]


def _decode(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _KEY_BYTES:
        raise InvalidSecretsKey(
            "Each key of VIGILRY_SECRETS_KEYS is 32 bytes in base64, as from `flask secrets new-key`."
        )
    return decoded


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_KEY_ID_BYTES]

"""Secrets at rest: readable only with a key, and only in their own row."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config, ConfigError
from vigilry_ingest.webhooks.encryption import (
    CannotDecrypt,
    InvalidSecretsKey,
    NoSecretsKey,
    SecretBox,
    new_key,
)

OLD, NEW = new_key(), new_key()


@given(st.text(st.characters(codec="utf-8")))
def test_a_secret_comes_back_unchanged_and_is_never_encrypted_alike_twice(secret: str) -> None:
    box = SecretBox([NEW])
    first, second = box.encrypt(secret, "src_1"), box.encrypt(secret, "src_1")
    assert box.decrypt(first, "src_1") == box.decrypt(second, "src_1") == secret
    assert first != second


@given(st.data())
def test_an_altered_ciphertext_is_refused(data: st.DataObject) -> None:
    box = SecretBox([NEW])
    sealed = bytearray(box.encrypt("secret", "src_1"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotDecrypt):
        box.decrypt(bytes(sealed), "src_1")


def test_a_ciphertext_is_refused_in_another_row_cut_and_empty() -> None:
    box = SecretBox([NEW])
    sealed = box.encrypt("secret", "src_1")
    with pytest.raises(CannotDecrypt, match="moved to another row"):
        box.decrypt(sealed, "src_2")
    for length in range(len(sealed)):
        with pytest.raises(CannotDecrypt):
            box.decrypt(sealed[:length], "src_1")


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old = SecretBox([OLD]).encrypt("secret", "src_1")
    both = SecretBox([NEW, OLD])
    assert both.decrypt(old, "src_1") == "secret"
    assert not both.is_newest(old)
    new = both.encrypt("secret", "src_1")
    assert both.is_newest(new)
    assert SecretBox([NEW]).decrypt(new, "src_1") == "secret"
    with pytest.raises(CannotDecrypt, match="VIGILRY_SECRETS_KEYS"):
        SecretBox([OLD]).decrypt(new, "src_1")


def test_without_a_key_the_error_says_what_to_do() -> None:
    with pytest.raises(NoSecretsKey, match="flask secrets new-key"):
        SecretBox([]).encrypt("secret", "src_1")


def test_keys_come_from_the_setting_and_then_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n\n")
    box = SecretBox.from_settings(f"{NEW}, ", str(path))
    assert box.is_newest(SecretBox([NEW]).encrypt("secret", "src_1"))
    assert box.decrypt(SecretBox([OLD]).encrypt("secret", "src_1"), "src_1") == "secret"
    SecretBox.from_settings(NEW, str(tmp_path / "none")).require_key()


@pytest.mark.parametrize(
    "key",
    ["short", NEW[:-4], NEW + NEW, "é" * 44, "!" * 44],
    # Keys are random, and differ in each process that runs tests.
    ids=["short", "cut", "doubled", "not ASCII", "not base64"],
)
def test_an_invalid_key_stops_the_service_at_its_start_without_being_shown(key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSecretsKey):
        SecretBox([key])
    with pytest.raises(ConfigError) as caught:
        create_app(Config(database_url=f"sqlite:///{tmp_path}/a.db", secrets_keys=key))
    assert key not in str(caught.value)
    path = tmp_path / "keys"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSecretsKey, match="not a text"):
        SecretBox.from_settings("", str(path))


def test_the_settings_do_not_show_a_key() -> None:
    assert NEW not in repr(Config(secrets_keys=NEW))

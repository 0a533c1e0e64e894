"""The small helps of the test servers."""

import tempfile
from pathlib import Path

import pytest

from tests.servers.waiting import require, short_folder, wait_until


def test_a_socket_path_stays_short_where_temporary_folders_lie_deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    folder = short_folder()
    folder.rmdir()
    assert len(str(folder / "valkey.sock")) < 100


def test_waiting_in_vain_names_what_was_waited_for_and_the_last_error() -> None:
    with pytest.raises(AssertionError, match=r"until pigs fly: ZeroDivisionError.*\nlast line"):
        wait_until(lambda: 1 / 0, 0.05, "pigs fly", ignoring=(ZeroDivisionError,), log=lambda: "last line\n")


def test_a_missing_binary_skips_on_a_laptop_and_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        require("no such thing")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        require("no such thing")

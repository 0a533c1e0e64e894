"""The wording check, tools/check_english.py: it finds each refused word, and the repository has none."""

import subprocess
import sys

import pytest

from tests.fixtures.servers.gunicorn import ROOT
from tools.check_english import (
    ALLOWED,
    EVERYWHERE,
    IN_PROSE,
    OPENINGS,
    Allowed,
    Finding,
    check,
    tracked_files,
)

pytestmark = pytest.mark.one_database

IDENTIFIERS = [word.replace(" ", "_") for word in EVERYWHERE]


def words(path: str, text: str) -> list[tuple[int, str]]:
    """Return the line and the word of each finding."""
    return [(finding.line, finding.word) for finding in check(path, text)]


def test_the_repository_has_no_refused_word() -> None:
    command = [sys.executable, str(ROOT / "tools/check_english.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("word", EVERYWHERE)
@pytest.mark.parametrize("sample", ["fail('It is {}.')", "# {}", '"""{}"""', "value = 1  # {} it"])
def test_a_refused_word_is_found_in_messages_comments_and_docstrings(word: str, sample: str) -> None:
    assert words("a.py", f"import os\n{sample.format(word)}\n") == [(2, word)]


@pytest.mark.parametrize(("word", "identifier"), list(zip(EVERYWHERE, IDENTIFIERS, strict=True)))
def test_a_refused_word_is_found_in_names(word: str, identifier: str) -> None:
    assert words("a.py", f"def test_{identifier}_it():\n    pass\n") == [(1, word)]


@pytest.mark.parametrize("word", EVERYWHERE)
@pytest.mark.parametrize("path", ["README.md", "docs/openapi.json", "deploy/nginx.conf", "a.lua", "a.html"])
def test_a_refused_word_is_found_in_every_kind_of_file(word: str, path: str) -> None:
    assert words(path, f"\n\nSome text, {word.capitalize()}, and more.") == [(3, word)]


def test_a_refused_phrase_is_found_over_the_end_of_a_line() -> None:
    phrase = "what has become of"
    assert words("README.md", "Ask what\nhas become of it.") == [(1, phrase)]
    assert words("a.py", "# Ask what has\n#   become of it.\n") == [(1, phrase)]


@pytest.mark.parametrize("word", IN_PROSE)
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", '"""The {}."""'),
        ("a.py", 'class _Private:\n    """One line.\n\n    The {}.\n    """'),
        ("a.py", "# The {}."),
        ("a.lua", "-- the {}"),
        ("a.sh", "echo # the {}"),
        ("Makefile", "# the {}"),
        ("deploy/nginx.conf", "  # the {}"),
        ("a.mjs", "call(); // the {}"),
    ],
)
def test_a_word_that_is_refused_in_prose_is_found_in_docstrings_and_comments(
    word: str, path: str, text: str
) -> None:
    assert [found for _, found in words(path, text.format(word))] == [word]


@pytest.mark.parametrize("word", IN_PROSE)
@pytest.mark.parametrize(("path", "text"), [("a.py", "{} = 'the {}'"), ("a.lua", "local {}"), ("a.md", "{}")])
def test_a_word_that_is_refused_in_prose_may_be_in_code_and_documentation(
    word: str, path: str, text: str
) -> None:
    assert words(path, text.format(word, word)) == []


@pytest.mark.parametrize("word", OPENINGS)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"""{} it."""', 1),
        ('class Public:\n    """{} it."""', 2),
        ('def public():\n    """{} it."""', 2),
        ('async def public():\n    """{} it."""', 2),
        ('class Public:\n    def __call__(self):\n        """{} it."""', 3),
    ],
)
def test_a_refused_opening_is_found_in_the_docstring_of_anything_public(
    word: str, text: str, line: int
) -> None:
    assert (line, word) in words("a.py", text.format(word))


@pytest.mark.parametrize(
    "text", ['def _private():\n    """Give it."""', 'def public():\n    """Return: Give."""']
)
def test_an_opening_is_refused_at_the_beginning_of_public_docstrings_only(text: str) -> None:
    assert words("a.py", text) == []


@pytest.mark.parametrize("text", ["amend", "recommended", "indoors", "bedroom", "# foretold", "remedy"])
def test_a_refused_word_inside_another_word_is_accepted(text: str) -> None:
    assert words("a.py", text) == []


def test_a_finding_names_the_place_the_word_and_what_to_write() -> None:
    assert str(Finding("a.py", 7, "anew", "again")) == "a.py:7: 'anew': write again"


def test_third_party_files_are_left_out() -> None:
    files = tracked_files()
    assert {"README.md", "vigilry_ingest/app.py"} <= set(files)
    assert not [path for path in files if "swagger-ui-5" in path or path.endswith((".lock", "LICENSE"))]


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda allowed: allowed.path)
def test_every_exception_has_a_reason_and_is_needed(allowed: Allowed) -> None:
    found = {word for _, word in words("another_path.py", (ROOT / allowed.path).read_text())}
    assert allowed.reason
    assert allowed.words <= found


def test_a_file_that_is_not_valid_python_is_reported() -> None:
    assert words("a.py", "x = 1\n<<<<<<< HEAD\n") == [(2, "a syntax error")]

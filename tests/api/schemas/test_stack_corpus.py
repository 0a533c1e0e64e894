"""The stack traces of twelve languages and runtimes, each with the exception that it becomes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from vigilry_ingest.api.schemas.stack import Frame, ParsedException, parse_stack

STACKS = sorted((Path(__file__).parent / "stacks").glob("*.txt"))


@pytest.mark.parametrize("text", STACKS, ids=lambda path: path.stem)
def test_a_trace_of_the_corpus_becomes_the_exception_beside_it(text: Path) -> None:
    found = parse_stack(text.read_text())
    assert msgspec.to_builtins(found) == msgspec.json.decode(text.with_suffix(".json").read_bytes())


def test_the_corpus_has_forty_traces() -> None:
    assert len(STACKS) >= 40


def test_an_unknown_header_between_frames_ends_the_exception() -> None:
    java = parse_stack("a.B: x\n\tat a.B.c(B.java:1)\nRelated: y\n\tat d.E.f(E.java:2)")
    javascript = parse_stack("Error: x\n    at f (/a.js:1:2)\nRelated: y\n    at g (/b.js:3:4)")
    assert java is not None
    assert java.frames == [Frame("a.B.c", "B.java", 1)]
    assert javascript is not None
    assert javascript.frames == [Frame("f", "/a.js", 1, 2)]


def test_an_unknown_at_line_among_frames_is_a_frame_with_its_text() -> None:
    java = parse_stack("a.B: x\n\tat <unknown frame>\n\tat a.B.c(B.java:1)")
    javascript = parse_stack("Error: x\n    at f (/a.js:1:2)\n    at somewhere else")
    assert java is not None
    assert java.frames == [Frame("<unknown frame>"), Frame("a.B.c", "B.java", 1)]
    assert javascript is not None
    assert javascript.frames[1:] == [Frame("somewhere else")]


def test_a_wrapped_by_line_makes_the_last_exception_the_main_one() -> None:
    found = parse_stack("a.Root: x\n\tat a.B.c(B.java:1)\nWrapped by: a.Outer: y\n\tat a.B.d(B.java:2)")
    assert found == ParsedException(
        "a.Outer",
        "y",
        [Frame("a.B.d", "B.java", 2)],
        [ParsedException("a.Root", "x", [Frame("a.B.c", "B.java", 1)])],
    )


def test_a_rust_backtrace_in_the_message_of_a_javascript_error_gives_no_frames_to_it() -> None:
    rust = (
        "thread 'main' panicked at a.rs:1:2:\nx\nstack backtrace:\n   0: r::main\n             at ./a.rs:1:2"
    )
    found = parse_stack(f"Error: Command failed\n{rust}\n    at f (/a.js:1:2)")
    assert found is not None
    assert found.frames == [Frame("f", "/a.js", 1, 2)]

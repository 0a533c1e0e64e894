"""The time that a stack trace takes to parse is bounded, whatever is in it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.cost import takes_less
from vigilry_ingest.api.schemas.stack import MAX_LENGTH, parse_stack

pytestmark = pytest.mark.alone

# First lines by which each parser takes a trace to be its own.
HEADS = [
    "",
    "Error: x\n    at f (/a.js:1:2)",
    "Traceback (most recent call last):",
    "a.B: x\n\tat a.B.c(B.java:1)",
    "panic: x\n\ngoroutine 1 [running]:",
    "goroutine 1 [running]:",
    "a.rb:1:in 'f': x (E)",
    "\tfrom a.rb:1:in 'f'",
    "PHP Fatal error:  Uncaught E: x in /a.php:1\nStack trace:",
    "#0 /a.php(1): f()",
    "System.E: x\n   at N.M() in /a.cs:line 1",
    "thread 'main' panicked at a.rs:1:2:\nx\nstack backtrace:",
    "** (E) x",
    "f@https://a/b.js:1:2",
    "  + Exception Group Traceback (most recent call last):",
    "Error: x\n    [cause]: Error: y",
]
LINES = [
    "    at f (/a.js:1:2)",
    "    at f (" + "(" * 200,
    "    at " + ")" * 200,
    "    [cause]: Error: y",
    "  ",
    '  File "a.py", line 1, in f',
    "    ^^^",
    "Caused by: a.B: x",
    "\tSuppressed: a.B: x",
    "\t... 3 more",
    "Wrapped by: a.B: x",
    "main.f(0x1)",
    "\t/a.go:1 +0x1",
    "created by main.f in goroutine 1",
    "goroutine 2 [running]:",
    "\tfrom a.rb:1:in 'f'",
    "#1 /a.php(1): f()",
    "Next E: x in /a.php:1",
    "Stack trace:",
    " ---> System.E: x",
    "   at N.M() in /a.cs:line 1",
    "   --- End of inner exception stack trace ---",
    "   0: r::main",
    "             at ./a.rs:1:2",
    "    (app 1.0.0) lib/a.ex:1: M.f/1",
    "f@https://a/b.js:1:2",
    "@",
    "  | ",
    "  +-+---------------- 1 ----------------",
    "    +------------------------------------",
    "During handling of the above exception, another exception occurred:",
    ":",
    "(",
    ")",
    "\u2028",
    "a" * 1000,
    ": " * 500,
]


def is_cheap(text: str) -> bool:
    """Return whether a text is parsed within the bound."""
    return takes_less(lambda: parse_stack(text))


def repeated(lines: list[str], separator: str = "\n", beside: str = "") -> str:
    """Repeat lines up to the longest trace that is parsed, less a line beside them."""
    once = separator.join(lines) + separator
    length = MAX_LENGTH - len(beside) - 1
    return (once * (length // len(once) + 1))[:length]


@pytest.mark.parametrize("head", HEADS)
def test_the_longest_trace_of_one_line_is_parsed_in_time_behind_each_head(head: str) -> None:
    for line in LINES:
        for text in (
            f"{head}\n{repeated([line], beside=head)}",
            f"{head}\n{repeated([line], '', beside=head)}",
            f"{repeated([line], beside=head)}\n{head}",
        ):
            assert is_cheap(text), (head, line)


@given(head=st.sampled_from(HEADS), lines=st.lists(st.sampled_from(LINES) | st.text(max_size=30), min_size=1))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_longest_trace_of_any_lines_is_parsed_in_time(head: str, lines: list[str]) -> None:
    assert is_cheap(f"{head}\n{repeated([*lines, ' '], beside=head)}")


def test_the_longest_trace_of_blanks_before_each_of_many_causes_is_parsed_in_time() -> None:
    causes = "[cause]: Error: y\n" + "    at f\n" * 20_000
    text = "Error: x\n" + " " * (MAX_LENGTH - 200_000) + causes
    assert is_cheap(text)


def test_a_longer_trace_is_not_parsed() -> None:
    text = "Error: x\n" + "    at f (a.js:1:2)\n" * 30_000
    assert len(text) > MAX_LENGTH
    assert parse_stack(text) is None
    assert parse_stack(text[:MAX_LENGTH]) is not None

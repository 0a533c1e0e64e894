"""What the text of a stack trace becomes: realistic, real, random and hostile texts."""

from __future__ import annotations

import shutil
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigilry_ingest.api.schemas.stack import (
    MAX_CHAINED,
    MAX_FRAMES,
    MAX_LENGTH,
    Frame,
    ParsedException,
    parse_stack,
)

NODE = shutil.which("node")


def parsed(stack: str) -> ParsedException:
    found = parse_stack(stack)
    assert found is not None
    return found


def heads(exception: ParsedException) -> list[tuple[str | None, str | None]]:
    return [(each.type, each.value) for each in (exception, *exception.chained)]


def functions(exception: ParsedException) -> list[str | None]:
    return [frame.function for frame in exception.frames]


def javascript_frame(text: str) -> Frame:
    (frame,) = parsed(f"Error: x\n    at {text}").frames
    return frame


def java_frame(text: str) -> Frame:
    (frame,) = parsed(f"java.lang.Error: x\n\tat {text}").frames
    return frame


# The encoded form


def test_the_example_of_the_contract_is_parsed_and_encoded_as_documented() -> None:
    stack = "TypeError: Cannot read properties of undefined\n  at processOrder (/app/orders.js:42:15)"
    assert msgspec.json.decode(msgspec.json.encode(parsed(stack))) == {
        "type": "TypeError",
        "value": "Cannot read properties of undefined",
        "frames": [{"function": "processOrder", "file": "/app/orders.js", "line": 42, "column": 15}],
    }


def test_unknown_members_of_a_frame_are_absent_but_frames_type_and_value_stay() -> None:
    stack = "java.lang.Exception\n\tat a.B.c(Native Method)\nCaused by: a.Cause\n\t... 1 more"
    assert msgspec.json.decode(msgspec.json.encode(parsed(stack))) == {
        "type": "java.lang.Exception",
        "value": None,
        "frames": [{"function": "a.B.c"}],
        "chained": [{"type": "a.Cause", "value": None, "frames": []}],
    }


def test_an_encoded_exception_decodes_to_itself() -> None:
    found = parsed(JAVA_WITH_CAUSES)
    assert msgspec.json.decode(msgspec.json.encode(found), type=ParsedException) == found


# V8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fn (/app/a.js:1:2)", Frame("fn", "/app/a.js", 1, 2)),
        ("/app/a.js:1:2", Frame(None, "/app/a.js", 1, 2)),
        ("async fn (/app/a.js:1:2)", Frame("fn", "/app/a.js", 1, 2)),
        ("async /app/a.js:1:2", Frame(None, "/app/a.js", 1, 2)),
        ("async Promise.all (index 0)", Frame("Promise.all")),
        ("new Foo (/app/a.js:1:2)", Frame("new Foo", "/app/a.js", 1, 2)),
        ("new Promise (<anonymous>)", Frame("new Promise")),
        ("Object.<anonymous> (/app/a.js:1:2)", Frame("Object.<anonymous>", "/app/a.js", 1, 2)),
        ("Foo.bar [as baz] (/app/a.js:1:2)", Frame("Foo.bar [as baz]", "/app/a.js", 1, 2)),
        ("Array.map (<anonymous>)", Frame("Array.map")),
        ("Array.forEach (native)", Frame("Array.forEach")),
        ("<anonymous>", Frame("<anonymous>")),
        ("<anonymous>:1:7", Frame(None, "<anonymous>", 1, 7)),
        ("REPL1:1:7", Frame(None, "REPL1", 1, 7)),
        (
            "node:internal/main/run_main_module:28:49",
            Frame(None, "node:internal/main/run_main_module", 28, 49),
        ),
        ("f (file:///srv/a%20b.mjs:1:20)", Frame("f", "file:///srv/a%20b.mjs", 1, 20)),
        ("f (webpack-internal:///./src/x.js:1:2)", Frame("f", "webpack-internal:///./src/x.js", 1, 2)),
        ("https://cdn.example:8443/a.js?v=1:2:3", Frame(None, "https://cdn.example:8443/a.js?v=1", 2, 3)),
        ("C:\\app\\x.js:1:2", Frame(None, "C:\\app\\x.js", 1, 2)),
        ("f (C:\\Program Files (x86)\\x.js:1:2)", Frame("f", "C:\\Program Files (x86)\\x.js", 1, 2)),
        ("f (/a b/c d.js:1:2)", Frame("f", "/a b/c d.js", 1, 2)),
        ("/a (b)/c.js:1:2", Frame(None, "/a (b)/c.js", 1, 2)),
        ("f (/a) b/c.js:1:2)", Frame("f", "/a) b/c.js", 1, 2)),
        ("f (/a(b/c.js:1:2)", Frame("f", "/a(b/c.js", 1, 2)),
        ("Object.run (v2) (/a.js:1:2)", Frame("Object.run (v2)", "/a.js", 1, 2)),
        ("eval (eval at x (/a.js:1:2), <anonymous>:3:4)", Frame("eval", "/a.js", 1, 2)),
        (
            "eval (eval at x (eval at y (/a.js:1:2), <anonymous>:3:4), <anonymous>:5:6)",
            Frame("eval", "/a.js", 1, 2),
        ),
        ("f (eval at x (/a.js:1:2), named.js:3:4)", Frame("f", "named.js", 3, 4)),
        ("f (wasm://wasm/0a1b:wasm-function[12]:0x3f)", Frame("f", "wasm://wasm/0a1b")),
        ("f (address at index.android.bundle:1:200)", Frame("f", "index.android.bundle", 1, 200)),
        ("f (/1/2.js:1:2) {", Frame("f", "/1/2.js", 1, 2)),
    ],
)
def test_javascript_frames_are_read_in_every_shape_that_v8_prints(text: str, expected: Frame) -> None:
    assert javascript_frame(text) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("TypeError: a: b", ("TypeError", "a: b")),
        ("Error", ("Error", None)),
        ("Error: one\ntwo\n\n    at least three", ("Error", "one\ntwo\n\n    at least three")),
        ("Error: \n  later", ("Error", "later")),
        ("Uncaught TypeError: x", ("TypeError", "x")),
        ("Uncaught (in promise) TypeError: x", ("TypeError", "x")),
        ("Uncaught (in promise) Error", ("Error", None)),
        ("Unhandled Promise Rejection: RangeError: x", ("RangeError", "x")),
        ('TypeError [ERR_INVALID_ARG_TYPE]: The "a"', ("TypeError", 'The "a"')),
        ("MyError [Error]: x", ("MyError", "x")),
        ("ns.Custom: x", ("ns.Custom", "x")),
        ("Invariant Violation: x", ("Invariant Violation", "x")),
        ("AggregateError: All promises were rejected", ("AggregateError", "All promises were rejected")),
        ("SyntaxError: Unexpected token {", ("SyntaxError", "Unexpected token {")),
        ("could not connect: refused", (None, "could not connect: refused")),
        ("timeout", (None, "timeout")),
        ("http://x", (None, "http://x")),
        ("/app/x.js:3\nlet = ;\n    ^\n\nSyntaxError: Unexpected", ("SyntaxError", "Unexpected")),
        ("Error: x\ncause: not the cause", ("Error", "x\ncause: not the cause")),
        ("Error: starts\n    at 10:20:30\n    at 2024-01-01 10:20:30", None),
    ],
)
def test_javascript_heads_give_type_and_message(head: str, expected: tuple[str, str] | None) -> None:
    found = parsed(f"{head}\n    at f (/a.js:1:2)")
    first, _, rest = head.partition(": ")
    assert heads(found) == [expected or (first, rest)]
    assert found.frames == [Frame("f", "/a.js", 1, 2)]


def test_javascript_stack_without_a_head_still_gives_its_frames() -> None:
    found = parsed("    at f (/a.js:1:2)\n    at /b.js:3:4")
    assert heads(found) == [(None, None)]
    assert functions(found) == ["f", None]


NODE_WITH_CAUSES = """Error: outer
    at /srv/a.js:7:101
    ... 6 lines matching cause stack trace ...
    at node:internal/main/run_main_module:28:49 {
  code: 'E_OUTER',
  original: Error: not a cause
      at other (/srv/b.js:1:1),
  [cause]: Error: mid
  with a second line
      at mid (/srv/a.js:7:55)
      at node:internal/main/run_main_module:28:49 {
    [cause]: TypeError: inner
        at inner (/srv/a.js:7:36) {
      [cause]: [Error: no frames]
    }
  }
}

Node.js v20.20.2
"""


def test_node_causes_are_chained_the_nearest_first_and_other_properties_are_not() -> None:
    found = parsed(NODE_WITH_CAUSES)
    assert heads(found) == [
        ("Error", "outer"),
        ("Error", "mid\nwith a second line"),
        ("TypeError", "inner"),
        ("Error", "no frames"),
    ]
    assert functions(found) == [None, None]
    assert [functions(cause) for cause in found.chained] == [["mid", None], ["inner"], []]


def test_causes_of_the_members_of_an_aggregate_error_are_not_its_own() -> None:
    found = parsed(
        "[AggregateError: All promises were rejected] {\n  [errors]: [\n"
        "    Error: a\n        at f (/a.js:1:2) {\n      [cause]: Error: b\n          at g (/a.js:3:4)\n"
        "    }\n  ]\n}"
    )
    assert heads(found) == [("AggregateError", "All promises were rejected")]
    assert found.frames == []


@pytest.mark.parametrize("cause", ["'timeout'", "{ code: 1 }", "[Object]", "[ 1, 2 ]", "undefined"])
def test_a_node_cause_that_is_no_error_is_not_chained(cause: str) -> None:
    found = parsed(f"Error: x\n    at f (/a.js:1:2) {{\n  [cause]: {cause}\n}}")
    assert heads(found) == [("Error", "x")]


def test_a_bracketed_line_of_a_message_is_message() -> None:
    found = parsed("Error: got\n[Foo: x] {\n  a: 1\n}\n    at f (/a.js:1:2)")
    assert heads(found) == [("Error", "got\n[Foo: x] {\n  a: 1\n}")]
    assert functions(found) == ["f"]


def test_causes_that_a_logger_appends_are_chained() -> None:
    found = parsed("Error: x\n    at f (/a.js:1:2)\ncaused by: TypeError: y\n    at g (/a.js:3:4)")
    assert heads(found) == [("Error", "x"), ("TypeError", "y")]
    assert functions(found.chained[0]) == ["g"]


# Python


def raised(act: Callable[[], object]) -> str:
    try:
        act()
    except BaseException:
        return traceback.format_exc()
    raise AssertionError


def fail(message: str = "m") -> None:
    raise ValueError(message)


def fail_from_cause_in_handler() -> None:
    try:
        try:
            _ = 1 // 0
        except ZeroDivisionError as error:
            raise ValueError("first\nsecond") from error
    except ValueError:
        raise KeyError("key")  # noqa: B904  the implicit context is what is tested


def recur(depth: int) -> int:
    return recur(depth + 1)


def test_python_chained_exceptions_keep_the_nearest_cause_first() -> None:
    found = parsed(raised(fail_from_cause_in_handler))
    assert heads(found) == [
        ("KeyError", "'key'"),
        ("ValueError", "first\nsecond"),
        ("ZeroDivisionError", found.chained[1].value),
    ]
    assert functions(found) == ["raised", "fail_from_cause_in_handler"]
    assert functions(found.chained[1]) == ["fail_from_cause_in_handler"]


def test_python_frames_carry_the_file_and_line_that_the_interpreter_knew() -> None:
    found = parsed(raised(fail))
    innermost = found.frames[-1]
    assert innermost == Frame("fail", __file__, fail.__code__.co_firstlineno + 1)


def test_python_recursion_keeps_the_frames_around_the_repeated_lines() -> None:
    found = parsed(raised(lambda: recur(0)))
    assert found.type == "RecursionError"
    assert functions(found)[:3] == ["raised", "<lambda>", "recur"]


def test_python_syntax_error_gives_its_place_as_the_last_frame() -> None:
    found = parsed(raised(lambda: compile("x = = 1\n", "given.py", "exec")))
    assert heads(found) == [("SyntaxError", "invalid syntax")]
    assert found.frames[-1] == Frame(None, "given.py", 1)


def test_python_syntax_error_of_a_script_has_no_traceback_line() -> None:
    found = parsed('  File "bad.py", line 3\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n')
    assert heads(found) == [("SyntaxError", "invalid syntax")]
    assert found.frames == [Frame(None, "bad.py", 3)]


def test_python_exception_without_a_message_has_no_value() -> None:
    assert heads(parsed(raised(lambda: next(iter([]))))) == [("StopIteration", None)]


def test_python_cause_that_was_never_raised_is_chained_without_frames() -> None:
    def act() -> None:
        raise KeyError("k") from ValueError("never raised")

    found = parsed(raised(act))
    assert heads(found) == [("KeyError", "'k'"), ("ValueError", "never raised")]
    assert found.chained[0].frames == []


def test_python_message_may_quote_a_file_line_or_a_whole_traceback() -> None:
    message = 'worker failed\n"""\nTraceback (most recent call last):\n  File "w.py", line 1, in w\nE: x\n"""'
    found = parsed(raised(lambda: fail(message)))
    assert heads(found) == [("ValueError", message)]
    assert functions(found) == ["raised", "<lambda>", "fail"]


def test_python_exception_group_gives_its_own_frames_and_its_cause_but_not_its_members() -> None:
    def act() -> None:
        try:
            fail("the cause")
        except ValueError as error:
            inner = ExceptionGroup("inner", [KeyError("a"), error])
            raise ExceptionGroup("outer", [inner, OSError("z")]) from error

    found = parsed(raised(act))
    assert heads(found) == [("ExceptionGroup", "outer (2 sub-exceptions)"), ("ValueError", "the cause")]
    assert functions(found) == ["raised", "act"]


def test_python_exception_raised_from_a_group_is_the_main_one() -> None:
    def act() -> None:
        try:
            raise ExceptionGroup("group", [ValueError("a")])
        except ExceptionGroup as group:
            raise RuntimeError("after") from group

    found = parsed(raised(act))
    assert heads(found) == [("RuntimeError", "after"), ("ExceptionGroup", "group (1 sub-exception)")]
    assert functions(found.chained[0]) == ["act"]


def test_python_types_keep_their_module_and_qualified_name() -> None:
    frame = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\n    ~^^\n'
    assert parsed(frame + "pkg.mod.Error: a: b").type == "pkg.mod.Error"
    assert parsed(frame + "app.make.<locals>.Error: a").type == "app.make.<locals>.Error"


def test_python_traceback_behind_a_log_line_and_indented_by_a_logger_is_read() -> None:
    plain = raised(fail_from_cause_in_handler)
    logged = "ERROR:root:failed\n" + "".join(f"    {line}\n" for line in plain.split("\n"))
    assert parsed(logged) == parsed(plain)


def test_python_traceback_that_was_cut_off_still_gives_its_frames() -> None:
    found = parsed('Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()')
    assert heads(found) == [(None, None)]
    assert found.frames == [Frame("f", "x.py", 1)]


def test_python_repeated_line_markers_are_no_frames() -> None:
    found = parsed(
        'Traceback (most recent call last):\n  File "a b.py", line 5, in rec\n    rec()\n    ~~~^^\n'
        "  [Previous line repeated 994 more times]\nRecursionError: maximum recursion depth exceeded\n"
    )
    assert found.frames == [Frame("rec", "a b.py", 5)]


# Java

JAVA_WITH_CAUSES = (
    'Exception in thread "main" java.lang.RuntimeException: multi\nline\n'
    "\tat com.foo.Bar.baz(Bar.java:6)\n"
    "\tat java.base/jdk.internal.reflect.NativeMethodAccessorImpl.invoke0(Native Method)\n"
    "\tSuppressed: java.lang.IllegalStateException: close\n"
    "\t\tat com.foo.Bar$R.close(Bar.java:3)\n"
    "\t\t... 8 more\n"
    "\tCaused by: java.io.IOException: of the suppressed\n"
    "\t\t... 9 more\n"
    "Caused by: java.lang.IllegalArgumentException: b\n"
    "\t... 8 more\n"
    'Caused by: java.lang.NumberFormatException: For input string: "x"\n'
    "\tat java.base/java.lang.Integer.parseInt(Integer.java:668)\n"
    "\t... 8 more\n"
    "Caused by: [CIRCULAR REFERENCE: java.lang.RuntimeException: multi]\n"
)


def test_java_causes_are_chained_in_order_and_suppressed_exceptions_are_passed_over() -> None:
    found = parsed(JAVA_WITH_CAUSES)
    assert heads(found) == [
        ("java.lang.RuntimeException", "multi\nline"),
        ("java.lang.IllegalArgumentException", "b"),
        ("java.lang.NumberFormatException", 'For input string: "x"'),
    ]
    assert functions(found) == [
        "com.foo.Bar.baz",
        "jdk.internal.reflect.NativeMethodAccessorImpl.invoke0",
    ]
    assert found.chained[1].frames == [Frame("java.lang.Integer.parseInt", "Integer.java", 668)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("com.foo.Bar.baz(Bar.java:12)", Frame("com.foo.Bar.baz", "Bar.java", 12)),
        ("com.foo.Bar.baz(Bar.java)", Frame("com.foo.Bar.baz", "Bar.java")),
        ("com.foo.Bar.baz(Native Method)", Frame("com.foo.Bar.baz")),
        ("com.foo.Bar.baz(Unknown Source)", Frame("com.foo.Bar.baz")),
        ("com.foo.Bar.baz(Unknown Source:12)", Frame("com.foo.Bar.baz", None, 12)),
        ("com.foo.Bar.baz(Bar.java:-1)", Frame("com.foo.Bar.baz", "Bar.java")),
        (
            "com.foo.Bar$$EnhancerBySpringCGLIB$$1.baz(<generated>)",
            Frame("com.foo.Bar$$EnhancerBySpringCGLIB$$1.baz"),
        ),
        (
            "java.base/java.util.ArrayList.forEach(ArrayList.java:1)",
            Frame("java.util.ArrayList.forEach", "ArrayList.java", 1),
        ),
        ("java.base@17.0.1/java.util.A.b(A.java:1)", Frame("java.util.A.b", "A.java", 1)),
        ("app//com.foo.Bar.baz(Bar.java:1)", Frame("com.foo.Bar.baz", "Bar.java", 1)),
        ("loader/foo@9.0/com.foo.Main.run(Main.java:101)", Frame("com.foo.Main.run", "Main.java", 101)),
        ("app//T$$Lambda$14/0x0000000800c0.run(Unknown Source)", Frame("T$$Lambda$14/0x0000000800c0.run")),
        ("T$$Lambda$1/1234567890.accept(Unknown Source)", Frame("T$$Lambda$1/1234567890.accept")),
        ("T.lambda$main$0(T.java:5)", Frame("T.lambda$main$0", "T.java", 5)),
        ("com.foo.Bar$Inner.<init>(Bar.java:5)", Frame("com.foo.Bar$Inner.<init>", "Bar.java", 5)),
        ("BarTest.should fail (once)(BarTest.kt:5)", Frame("BarTest.should fail (once)", "BarTest.kt", 5)),
        ("a.B$.$anonfun$c$1(B.scala:5)", Frame("a.B$.$anonfun$c$1", "B.scala", 5)),
        ("a.B.c(B.java:5) ~[spring-web-5.3.jar:5.3]", Frame("a.B.c", "B.java", 5)),
        ("a.B.c(B.java:5) [classes/:na]", Frame("a.B.c", "B.java", 5)),
    ],
)
def test_java_frames_are_read_in_every_shape_that_jvm_languages_print(text: str, expected: Frame) -> None:
    assert java_frame(text) == expected


def test_java_head_is_found_behind_a_log_line() -> None:
    found = parsed("2024-01-01 ERROR [main] failed\njava.lang.Exception: x\n\tat a.B.c(B.java:1)")
    assert heads(found) == [("java.lang.Exception", "x")]


def test_java_exception_of_the_default_package_is_read() -> None:
    found = parsed("MyException: x\n\tat Main.main(Main.java:3)\nCaused by: Other\n\t... 1 more")
    assert heads(found) == [("MyException", "x"), ("Other", None)]


def test_java_cause_is_kept_when_all_indentation_was_lost() -> None:
    lines = JAVA_WITH_CAUSES.replace("\t", "")
    assert ("java.lang.NumberFormatException", 'For input string: "x"') in heads(parsed(lines))


# What belongs to which form


def test_node_error_that_quotes_a_python_traceback_is_a_node_error() -> None:
    quoted = raised(fail)
    found = parsed(f"Error: Command failed: python3 x.py\n{quoted}\n    at f (node:child_process:419:12)")
    assert (found.type, functions(found)) == ("Error", ["f"])
    assert found.value == f"Command failed: python3 x.py\n{quoted}".strip()


def test_java_exception_that_quotes_a_python_traceback_is_a_java_exception() -> None:
    found = parsed(f"org.apache.spark.api.python.PythonException: {raised(fail)}\n\tat a.B.c(B.scala:1)")
    assert (found.type, functions(found)) == ("org.apache.spark.api.python.PythonException", ["a.B.c"])


def test_python_exception_that_quotes_a_java_trace_is_a_python_exception() -> None:
    found = parsed(raised(lambda: fail("called o1.x.\n: java.lang.Error: y\n\tat a.B.c(B.java:1)")))
    assert (found.type, functions(found)[-1]) == ("ValueError", "fail")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \r\n\t\n",
        "something went wrong",
        "TypeError: without any frame",
        "java.lang.Exception: without any frame",
        "Traceback (most recent call last):",
        "look at this (it is no frame)\n  at noon (12:30:10)\n  at home",
        "\x00\ufeff\u2028",
    ],
)
def test_text_of_no_known_form_gives_none(text: str) -> None:
    assert parse_stack(text) is None


@pytest.mark.parametrize("stack", [NODE_WITH_CAUSES, JAVA_WITH_CAUSES, raised(fail_from_cause_in_handler)])
def test_crlf_line_ends_give_the_same_exception(stack: str) -> None:
    assert parsed(stack.replace("\n", "\r\n")) == parsed(stack)


# Bounds


@pytest.mark.parametrize("number", [str(2**63), "9" * 5000, "1" * (MAX_LENGTH - 200)])
def test_numbers_over_63_bits_are_dropped_and_the_frame_stays(number: str) -> None:
    assert javascript_frame(f"f (/a.js:{number}:5)") == Frame("f", "/a.js", None, 5)
    assert java_frame(f"a.B.c(B.java:{number})") == Frame("a.B.c", "B.java")
    python = parsed(f'Traceback (most recent call last):\n  File "a.py", line {number}, in f\nE: x')
    assert python.frames == [Frame("f", "a.py")]


def test_the_largest_number_of_63_bits_is_kept() -> None:
    assert javascript_frame(f"f (/a.js:{2**63 - 1}:0)") == Frame("f", "/a.js", 2**63 - 1, 0)


def test_frames_over_the_bound_keep_both_ends() -> None:
    found = parsed("Error: x\n" + "".join(f"    at f{n} (/a.js:1:2)\n" for n in range(5000)))
    half = MAX_FRAMES // 2
    assert functions(found) == [f"f{n}" for n in (*range(half), *range(5000 - half, 5000))]


def test_causes_over_the_bound_keep_the_nearest() -> None:
    java = "java.lang.Error: x\n\tat a.B.c(B.java:1)\n" + "".join(f"Caused by: a.E{n}\n" for n in range(50))
    assert [cause.type for cause in parsed(java).chained] == [f"a.E{n}" for n in range(MAX_CHAINED)]
    cause = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nE{}: x\n\n{}\n\n'
    connector = "The above exception was the direct cause of the following exception:"
    python = "".join(cause.format(n, connector) for n in range(50)) + cause.format(50, "")
    assert [cause.type for cause in parsed(python).chained] == [f"E{n}" for n in range(49, 39, -1)]


def test_the_end_of_a_text_of_too_many_lines_is_still_read() -> None:
    found = parsed("Error: x\n" + "\n" * 500_000 + "    at f (/a.js:1:2)")
    assert functions(found) == ["f"]


def _fill(unit: str, head: str = "", tail: str = "") -> str:
    return head + unit * ((MAX_LENGTH - len(head) - len(tail)) // len(unit)) + tail


TRACEBACK = "Traceback (most recent call last):\n"
CONNECTOR = "During handling of the above exception, another exception occurred:\n"
HOSTILE = {
    "nothing but line ends": _fill("\n"),
    "nothing but CRLF": _fill("\r\n"),
    "spaces": _fill(" "),
    "spaces before a frame": _fill(" ", tail="at f (/a.js:1:2)"),
    "at": _fill("at "),
    "at lines": _fill("at \n"),
    "shortest frames": _fill("at a:1:1\n"),
    "shortest Java frames": _fill("at a.b(c)\n"),
    "shortest Python frames": _fill('File "a", line 1\n'),
    "one word a line behind a frame": _fill("a\n", "Error: x\n at f (/a:1:1)\n"),
    "message lines": _fill("Error\n", tail=" at f (/a:1:1)"),
    "opening parentheses": _fill("(", "Error: x\n at f ", ":1:1)"),
    "closing parentheses": _fill(")", "Error: x\n at f (", ":1:1)"),
    "spaced parentheses": _fill(" (", "Error: x\n at f", ":1:1)"),
    "nested evals": _fill("eval at x (", "Error: x\n at f (", ", <anonymous>:1:1)"),
    "colons and digits": _fill(":1", "Error: x\n at f (/a", ")"),
    "colons": _fill(":", "Error: x\n at ", "1:1"),
    "slashes": _fill("/", "java.lang.Error\n\tat ", "a.b(c:1)"),
    "dots": _fill(".", "java.lang.Error\n\tat ", "(c:1)"),
    "dotted words": _fill("a.", tail="\n\tat a.b(c:1)"),
    "capitalised words": _fill("A ", tail="\n at f (/a:1:1)"),
    "words of a type": _fill("Error", tail="!\n at f (/a:1:1)"),
    "brackets": _fill(" [", "Error", "\n at f (/a:1:1)"),
    "bracketed pairs": _fill("[]", "Error ", "\n at f (/a:1:1)"),
    "uncaught": _fill("Uncaught ", tail="\n at f (/a:1:1)"),
    "uncaught words of a type": _fill("Error", "Uncaught ", "!\n at f (/a:1:1)"),
    "quotes of a thread": _fill('" ', 'Exception in thread "', "!\n\tat a.b(c:1)"),
    "causes of Java": _fill("Caused by: a\n", "a.b: c\n\tat a.b(c:1)\n"),
    "suppressed": _fill("\tSuppressed: a\n", "a.b: c\n\tat a.b(c:1)\n"),
    "bracketed blocks behind a long line": "Error: "
    + "x" * (MAX_LENGTH // 2)
    + "\n[a: b] {" * 25_000
    + "\n at f (/a:1:1)",
    "bracketed blocks behind a long word": "x" * (MAX_LENGTH // 2)
    + "\n[a: b] {" * 25_000
    + "\n at f (/a:1:1)",
    "causes of Node": _fill("cause: Error: a\n at f (/a:1:1)\n", "Error: x\n at f (/a:1:1)\n"),
    "property blocks": _fill(" at f (/a:1:1) {\n[cause]: E: a\n", "Error: x\n"),
    "file ends": _fill('", line 1', TRACEBACK + '  File "', "!"),
    "digits of a line": _fill("1", TRACEBACK + '  File "a", line ', "!"),
    "file starts": _fill('File "', TRACEBACK),
    "tracebacks": _fill(TRACEBACK),
    "connectors": _fill(CONNECTOR),
    "chained tracebacks": _fill(TRACEBACK + '  File "a", line 1, in f\nE: x\n' + CONNECTOR),
    "groups": _fill("  + Exception Group " + TRACEBACK),
    "group margins": _fill("  | a\n", "  + Exception Group " + TRACEBACK),
    "wide characters": _fill("\U0001f600", "Error: ", "\n at f (/a:1:1)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_trace_costs_no_more_than_its_length(name: str) -> None:
    begin = time.process_time()
    found = parse_stack(HOSTILE[name])
    spent = time.process_time() - begin
    # A machine that is busy takes half a second; what went back and forth in the text would take minutes.
    assert spent < 3
    assert found is None or msgspec.json.encode(found)


# Properties

LINE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *NODE_WITH_CAUSES.split("\n"),
            *JAVA_WITH_CAUSES.split("\n"),
            *raised(fail_from_cause_in_handler).split("\n"),
            "  + Exception Group Traceback (most recent call last):",
            "  | ExceptionGroup: x (1 sub-exception)",
            "  +-+---------------- 1 ----------------",
            "[AggregateError: x] {",
            "    at eval (eval at x (/a.js:1:2), <anonymous>:1:1)",
            f"    at f (/a.js:{2**64}:{'9' * 5000})",
            f'  File "a", line {"9" * 5000}, in f',
        ]
    ),
    st.text("at ()[]{}:./<>$1\"'\t,|+E", max_size=40).map(lambda text: f"  at {text}"),
)


def _check(stack: str) -> None:
    found = parse_stack(stack)
    if found is None:
        return
    decoded = msgspec.json.decode(msgspec.json.encode(found), type=ParsedException)
    assert decoded == found
    assert len(found.chained) <= MAX_CHAINED
    for each in (found, *found.chained):
        assert len(each.frames) <= MAX_FRAMES
        assert "frames" in msgspec.to_builtins(each)
        for frame in each.frames:
            assert frame != Frame()
            assert all(number is None or 0 <= number < 2**63 for number in (frame.line, frame.column))


@given(st.text())
def test_any_text_gives_none_or_an_exception_within_its_bounds(stack: str) -> None:
    _check(stack)


@settings(max_examples=500)
@given(st.lists(LINE, max_size=25), st.sampled_from(["\n", "\r\n"]))
def test_any_mixture_of_trace_lines_gives_none_or_an_exception_within_its_bounds(
    lines: list[str], end: str
) -> None:
    _check(end.join(lines))


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), st.integers(1, 2**63 - 1))
def test_any_file_and_line_of_a_python_frame_come_back(file: str, line: int) -> None:
    found = parsed(f'{TRACEBACK}  File "{file}", line {line}, in f\n    x\nE: m')
    assert found.frames == [Frame("f", file, line)]


# Real errors of Node


def node(tmp_path: Path, source: str, name: str = "app.js") -> str:
    if NODE is None:
        pytest.skip("node is not on PATH")
    script = tmp_path / name
    script.write_text(source)
    return subprocess.run([NODE, str(script)], capture_output=True, text=True, timeout=60, check=False).stderr


def test_real_node_error_of_a_constructor_has_type_message_and_place(tmp_path: Path) -> None:
    folder = tmp_path / "with (x86) space"
    folder.mkdir()
    stack = node(
        folder,
        "class Foo { constructor() { throw new RangeError('a\\nb') } }\n"
        "try { new Foo() } catch (e) { console.error(e.stack) }",
    )
    found = parsed(stack)
    assert heads(found) == [("RangeError", "a\nb")]
    assert found.frames[:2] == [
        Frame("new Foo", str(folder / "app.js"), 1, 35),
        Frame("Object.<anonymous>", str(folder / "app.js"), 2, 7),
    ]


def test_real_node_crash_of_a_module_is_read_behind_its_quoted_source(tmp_path: Path) -> None:
    found = parsed(node(tmp_path, "function f() { null.x }\nf()", "app.mjs"))
    assert heads(found) == [("TypeError", "Cannot read properties of null (reading 'x')")]
    assert found.frames[0] == Frame("f", (tmp_path / "app.mjs").as_uri(), 1, 21)


def test_real_node_causes_are_chained(tmp_path: Path) -> None:
    found = parsed(
        node(
            tmp_path,
            "function inner() { JSON.parse('{') }\n"
            "function mid() { try { inner() } catch (cause) { throw new Error('mid', { cause }) } }\n"
            "try { mid() } catch (cause) { throw new TypeError('outer', { cause }) }",
        )
    )
    assert [each.type for each in (found, *found.chained)] == ["TypeError", "Error", "SyntaxError"]
    assert functions(found.chained[1])[:2] == ["JSON.parse", "inner"]


def test_real_node_aggregate_error_has_its_own_head_only(tmp_path: Path) -> None:
    source = "Promise.any([Promise.reject(new Error('a', { cause: new Error('b') }))])"
    found = parsed(node(tmp_path, source))
    assert heads(found) == [("AggregateError", "All promises were rejected")]


def test_real_node_async_and_eval_frames_are_read(tmp_path: Path) -> None:
    stack = node(
        tmp_path,
        "async function thrower() { await null; eval('(() => { throw new Error(1) })()') }\n"
        "async function outer() { await thrower() }\nouter().catch((e) => console.error(e.stack))",
    )
    found = parsed(stack)
    script = str(tmp_path / "app.js")
    assert found.frames[0].file == script
    assert ("outer", script, 2) in [(frame.function, frame.file, frame.line) for frame in found.frames]

"""``flask worker``: what is mistyped is said before anything begins."""

import pytest

from tests.fixtures.commands import Commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--handler-timeout", "NaN"], "not a finite number"),
        (["--handler-timeout", "inf"], "not a finite number"),
        (["--handler-timeout", "0.5"], "not in the range"),
        (["--handler", ".x:f"], ".x:f is not MODULE:FUNCTION"),
        (["--handler", "x"], "x is not MODULE:FUNCTION"),
        (["--handler", ":f"], ":f is not MODULE:FUNCTION"),
        (["--handler", "no_such_module:f"], "cannot be imported"),
        (["--handler", "tests.fixtures.handlers:nothing"], "cannot be imported"),
        (["--handler", "tests.fixtures.handlers:GO"], "is not a function"),
        (["--group", ""], "is not 1 to 100 of"),
        (["--group", "a b\n"], "is not 1 to 100 of"),
        (["--metrics", "9100"], "is not HOST:PORT"),
    ],
)
def test_a_misuse_is_refused_with_the_usage(words: list[str], said: str) -> None:
    with Commands() as commands:
        done = commands.run("worker", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr
    assert said in done.stderr

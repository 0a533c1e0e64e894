"""Check the wording of the repository, as ``make check`` does.

Prints ``file:line: 'word': what to write instead`` for each finding, and exits with 1 when there is one.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

# Refused everywhere: code, identifiers, help, messages and documentation. The value is the replacement.
EVERYWHERE = {
    "anew": "again, or once more",
    "mend": "fix, or correct",
    "mended": "fixed, or corrected",
    "mending": "fixing, or correcting",
    "mends": "fixes, or corrects",
    "whoever": "anyone who, or the role by its name",
    "what has become of": "the status of, or what happened to",
}
# Refused in docstrings and comments only.
IN_PROSE = {
    "door": "boundary, endpoint, or the hook by its name",
    "doors": "boundaries, endpoints, or the hooks by their names",
    "room": "module, package, or space",
    "rooms": "modules, or packages",
    "tells": "returns, reports, or shows",
    "told": "notified, reported, or asked",
}
# The first word of the docstring of anything public.
OPENINGS = {
    "Give": "Return",
    "Gives": "Returns",
    "Say": "Return, or Explain",
    "Says": "Returns, or Explains",
    "Tell": "Return whether, or Report",
    "Tells": "Returns whether, or Reports",
}


class Allowed(NamedTuple):
    """An exception: a file in which some words are right."""

    path: str
    words: frozenset[str]
    reason: str


ALLOWED = (
    Allowed("tools/check_english.py", frozenset(EVERYWHERE), "It lists the words."),
    Allowed("tests/docs/test_english.py", frozenset({"anew", "what has become of"}), "They are its samples."),
)
# Files from elsewhere, and files that are generated from them.
THIRD_PARTY = (
    "*.lock",
    "*LICENSE",
    "*package-lock.json",
    "benchmarks/peers/fastapi/requirements.txt",
    "vigilry_ingest/web/docs/assets/swagger-ui-*",
)
# The mark of a comment, by the end of the file's name. Python's comments come from its own tokenizer.
COMMENTS = {
    "--": (".lua",),
    "//": (".js", ".mjs"),
    "#": (
        "Containerfile", "Makefile", "Procfile", ".cfg", ".conf", ".env", ".gitignore", ".mako", ".service",
        ".sh", ".socket", ".toml", ".yaml", ".yml", "/run",
    ),
}  # fmt: skip

ROOT = Path(__file__).resolve().parents[1]


class Finding(NamedTuple):
    """A refused word, the line that it begins on, and what to write instead."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}: write {self.instead}"


class Passage(NamedTuple):
    """A docstring or a comment, and the line that it begins on."""

    line: int
    text: str


def main(prefixes: Sequence[str]) -> int:
    """Check all files, or those whose paths start with one of the prefixes; return the exit code."""
    paths = [path for path in tracked_files() if not prefixes or path.startswith(tuple(prefixes))]
    findings = [finding for path in paths for finding in check(path, read(path))]
    for finding in findings:
        print(finding)
    print(f"{len(findings)} refused words in {len(paths)} files", file=sys.stderr)
    return 1 if findings else 0


def tracked_files() -> list[str]:
    """List the repository's own files, including new ones that are not added yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for path in sorted(set(listed)) if (ROOT / path).is_file() and not is_third_party(path)]


def is_third_party(path: str) -> bool:
    """Return whether a file comes from a third party."""
    return any(fnmatch(path, pattern) for pattern in THIRD_PARTY)


def read(path: str) -> str:
    """Read a file of the repository; one that is not text is empty."""
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def check(path: str, text: str) -> list[Finding]:
    """Find the refused words of one file, in the order of their lines."""
    found = list(_search(path, Passage(1, text), EVERYWHERE))
    if path.endswith(".py"):
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            return [Finding(path, error.lineno or 1, "a syntax error", "valid Python")]
        prose = [*_comments_of_python(text), *(docstring for docstring, _ in _docstrings(tree))]
        found += _openings(path, tree)
    else:
        prose = list(_comments(path, text))
    for passage in prose:
        found += _search(path, passage, IN_PROSE)
    allowed = {word for each in ALLOWED if each.path == path for word in each.words}
    return sorted((each for each in found if each.word not in allowed), key=lambda each: each.line)


def _search(path: str, passage: Passage, words: dict[str, str]) -> Iterator[Finding]:
    for word, instead in words.items():
        # An underscore ends a word, and a phrase may go over the end of a line, also of a comment.
        phrase = r"[\s_#/*-]+".join(word.split())
        for match in re.finditer(rf"(?<![A-Za-z]){phrase}(?![A-Za-z])", passage.text, re.IGNORECASE):
            line = passage.line + passage.text.count("\n", 0, match.start())
            yield Finding(path, line, word, instead)


def _openings(path: str, tree: ast.Module) -> Iterator[Finding]:
    for docstring, is_public in _docstrings(tree):
        first = re.match(r"\s*([A-Za-z]+)", docstring.text)
        if is_public and first and first[1] in OPENINGS:
            yield Finding(path, docstring.line, first[1], OPENINGS[first[1]])


def _docstrings(node: ast.AST, *, is_public: bool = True) -> Iterator[tuple[Passage, bool]]:
    """Yield each docstring under a node, and whether it is of something public."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        is_public = is_public and not re.match(r"_(?!_)", getattr(node, "name", ""))
        text = ast.get_docstring(node, clean=False)
        if text is not None:
            yield Passage(node.body[0].lineno, text), is_public
        # A function inside a function cannot be imported.
        is_public = is_public and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from _docstrings(child, is_public=is_public)


def _comments_of_python(text: str) -> Iterator[Passage]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(token.start[0], token.string)


def _comments(path: str, text: str) -> Iterator[Passage]:
    mark = next((mark for mark, endings in COMMENTS.items() if path.endswith(endings)), None)
    if mark is None:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if comment := re.search(rf"(?:^|\s){mark}.*", line):
            yield Passage(number, comment[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

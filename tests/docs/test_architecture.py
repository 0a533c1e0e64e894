"""docs/architecture.md against the tree: files, functions, layers and tests."""

import re
from pathlib import Path

import pytest

from tests.fixtures.servers.gunicorn import ROOT

pytestmark = pytest.mark.one_database

PAGE = (ROOT / "docs/architecture.md").read_text()
PACKAGE = ROOT / "vigilry_ingest"
STOPS = re.findall(r"^\| (\d+) \| `([^`]+)` \| (?:`(\w+)`)? ?\| (.+) \|$", PAGE, re.M)
NAMED = re.compile(r"`(\w+)`\s(?:in |of |\()`([\w/.]+\.py)`")


def defined_in(path: str) -> set[str]:
    """Return the names of the functions and classes of a module, those inside classes included."""
    return set(re.findall(r"^ *(?:def|class) (\w+)", (ROOT / path).read_text(), re.M))


def test_every_path_exists() -> None:
    paths = set(re.findall(r"`((?:vigilry_ingest|tests|deploy)/[^`*<>]*)`", PAGE))
    assert len(paths) > 50
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_the_stops_are_numbered_and_name_functions_that_their_files_define() -> None:
    assert [int(number) for number, *_ in STOPS] == list(range(1, len(STOPS) + 1))
    assert len(STOPS) > 20
    for _, path, name, _ in STOPS:
        assert not name or name in defined_in(path), (path, name)


def test_every_function_that_is_named_with_its_file_is_defined_there() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 12
    for name, path in named:
        assert name in defined_in(path), (path, name)


def test_what_is_entered_more_than_once_is_defined_where_the_table_says() -> None:
    table = PAGE.split("\n## Modules that one request enters more than once\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+\.py)` \| (.+) \|$", table, re.M)
    assert len(rows) > 3
    for path, entries in rows:
        for name in re.findall(r"`(\w+)`", entries):
            assert name in defined_in(path), (path, name)


def test_every_folder_of_the_package_is_a_layer_and_every_layer_exists() -> None:
    table = PAGE.split("\n## Layers\n")[1].split("\n## ")[0]
    layers = [
        path for row in re.findall(r"^\| (`.*?) \|", table, re.M) for path in re.findall(r"`([^`]+)`", row)
    ]
    entries = [
        each
        for each in PACKAGE.iterdir()
        if (each.is_dir() or each.suffix == ".py") and not each.name.startswith("__")
    ]
    assert sorted(layers) == sorted(_path_of(each) for each in entries)


def test_every_module_of_the_stream_is_described() -> None:
    table = PAGE.split("\n## Inside `stream/`\n")[1].split("\n## ")[0]
    for module in (PACKAGE / "stream").rglob("*.py"):
        path = str(module.relative_to(ROOT))
        folder = f"`{module.parent.relative_to(ROOT)}/`"
        assert module.name == "__init__.py" or f"`{path}`" in table or folder in table, path


def _path_of(entry: Path) -> str:
    return f"{entry.relative_to(ROOT)}{'/' if entry.is_dir() else ''}"

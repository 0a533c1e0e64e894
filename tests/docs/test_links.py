"""The Markdown files of the repository: their links and paths lead somewhere, and the version is one."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest import __version__

pytestmark = pytest.mark.one_database

PAGES = [
    ROOT / path
    for path in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    if (ROOT / path).exists()
]  # fmt: skip
PATH = re.compile(r"`((?:benchmarks|deploy|docs|examples|tests|tools|vigilry_ingest)/[\w./@-]*)`")


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_of_the_repository_that_a_page_names_exists(page: Path) -> None:
    # The changelog also names what used to be.
    paths = [] if page.name == "CHANGELOG.md" else PATH.findall(page.read_text())
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs/index.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for link in re.findall(r"\]\(([^)\s]+)\)", index.read_text())
    }
    assert set(PAGES) - linked == {index}


def test_the_changelog_has_the_version_of_the_package_and_nothing_else_repeats_it() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(__version__)} - \d{{4}}-\d\d-\d\d$", changelog, re.M)
    listed = subprocess.run(
        ["git", "grep", "-lF", f'"{__version__}"', "--", ":!*.lock", ":!*.json"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert listed == ["vigilry_ingest/__init__.py"]

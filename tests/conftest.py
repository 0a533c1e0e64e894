"""Settings for every test run: fixtures, what a run leaves out, and how several processes share the tests."""

import os
import signal

import pytest

pytest_plugins = [
    "tests.fixtures.administration",
    "tests.fixtures.brokers",
    "tests.fixtures.databases",
    "tests.fixtures.services",
]

for _name in [name for name in os.environ if name.startswith("VIGILRY_")]:
    # A developer's own settings must not change what the tests see.
    del os.environ[_name]

# A shell without job control starts background jobs with SIGINT ignored, and the commands would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Folders whose tests start and break many servers.
_LONG = {"system", "stream"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-postgresql``."""
    parser.addoption(
        "--no-postgresql",
        action="store_true",
        help="leave out the tests that need PostgreSQL; those that run on both databases run on SQLite",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what this run does not need, and distribute the rest to processes by file."""
    deselected = {item for item in items if _is_left_out(item, config)}
    config.hook.pytest_deselected(items=list(deselected))
    items[:] = [item for item in items if item not in deselected]
    if hasattr(config, "workerinput"):
        for item in items:
            # What a module's fixtures start is then started once.
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
        # The long ones first, so that all processes end at about the same time.
        items.sort(key=lambda item: item.path.parent.name not in _LONG)


def _is_left_out(item: pytest.Item, config: pytest.Config) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    callspec = getattr(item, "callspec", None)
    on_postgresql = callspec is not None and "postgresql" in callspec.params.values()
    if (
        callspec is not None
        and callspec.params.get("through") == "server"
        and item.get_closest_marker("local")
    ):
        return True
    if on_postgresql and item.get_closest_marker("one_database"):
        return True
    needs_postgresql = on_postgresql or "postgres" in item.fixturenames
    return needs_postgresql and bool(config.getoption("no_postgresql"))

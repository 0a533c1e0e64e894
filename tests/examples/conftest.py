"""What the examples' tests share: Express, installed once."""

import shutil
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES
from tests.fixtures.node import install


@pytest.fixture(scope="session")
def with_express(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install Express beside a copy of the example."""
    folder = tmp_path_factory.mktemp("express")
    for name in ("package.json", "package-lock.json", "express_errors.mjs"):
        shutil.copy(EXAMPLES / name, folder)
    return install(folder)

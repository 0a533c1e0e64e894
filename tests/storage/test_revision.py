"""The applied migrations are found without Alembic, and as Alembic finds them."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.storage.engine import NotMigrated, make_engine
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.storage.revision import check_migrated, unknown_revision

REVISIONS = [
    each.revision for each in ScriptDirectory(ROOT / "vigilry_ingest/storage/migrations").walk_revisions()
]


@pytest.mark.parametrize("revision", [*REVISIONS[::-1], "9999"])
def test_only_the_newest_revision_and_a_later_version_s_have_the_tables_of_this_one(
    tmp_path: Path, revision: str
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    if revision in REVISIONS[1:]:
        with pytest.raises(NotMigrated):
            check_migrated(engine)
    else:
        check_migrated(engine)
    assert unknown_revision(engine) == ("9999" if revision == "9999" else None)
    engine.dispose()


@pytest.mark.parametrize("left", ["DROP TABLE alembic_version", "DELETE FROM alembic_version"])
def test_a_database_of_no_revision_is_not_migrated(tmp_path: Path, left: str) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(left))
    with pytest.raises(NotMigrated):
        check_migrated(engine)
    engine.dispose()


def test_a_process_starts_without_loading_alembic() -> None:
    asked = "import sys, wsgi; sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], cwd=ROOT, check=True, timeout=30)

"""Projects in the database."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from msgspec.structs import asdict
from sqlalchemy import Engine

from vigilry_ingest.administration.errors import AdministrationError, translated_failures
from vigilry_ingest.administration.records import ErasedEvents, ListedProject, Page, ProjectRecord
from vigilry_ingest.api_keys.project_settings import Settings
from vigilry_ingest.api_keys.projects import (
    ProjectSummary,
    archive,
    change_project,
    delete_project,
    get_project,
    list_projects,
    put_project,
)
from vigilry_ingest.config.settings import Config
from vigilry_ingest.lifecycle.erasure import Counts, Erasure, StoredMeanwhile, Subject, erase_all
from vigilry_ingest.storage.models import Project
from vigilry_ingest.stream.connection.client import open_client

_BROKER_TIMEOUT_S = 10.0
# Beyond the time for which keys are cached.
_MARGIN_S = 0.5
# A wait that is announced.
_LONG_S = 3.0

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def _no_progress(_label: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _steps: None)


class DatabaseProjects:
    """The projects in a database; the events of one that is deleted are erased from the broker too.

    Parameters:
        announce: is called with what takes long
        progress: shows the progress of what does
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        *,
        announce: Callable[[str], None] = lambda _text: None,
        progress: Progress = _no_progress,
    ) -> None:
        self._engine = engine
        self._config = config
        self._announce = announce
        self._progress = progress

    def page(self, after: str, limit: int) -> Page[ListedProject]:
        """Return a part of the projects."""
        rows = list_projects(self._engine, after=after, limit=limit + 1)
        items = [_listed(row) for row in rows[:limit]]
        return Page(items=items, next=items[-1].project_id if len(rows) > limit else None)

    def get(self, name_or_id: str) -> ListedProject:
        """Return a project."""
        with translated_failures():
            return _listed(get_project(self._engine, name_or_id))

    def change(self, name_or_id: str, settings: Settings) -> ProjectRecord:
        """Change settings of a project."""
        with translated_failures():
            return project_record(change_project(self._engine, name_or_id, settings))

    def put(self, name_or_id: str, settings: Settings) -> tuple[ProjectRecord, bool]:
        """Create a project or change its settings; return it, and whether it is new."""
        with translated_failures():
            project, is_new = put_project(self._engine, name_or_id, settings)
        return project_record(project), is_new

    def count_events(self, name_or_id: str) -> ErasedEvents:
        """Count what `delete` would erase."""
        project = self.get(name_or_id)
        with open_client(self._config.redis_url, timeout_s=_BROKER_TIMEOUT_S) as client:
            counts = self._erasure(client, project.project_id).count()
        return ErasedEvents(**counts._asdict(), dry_run=True)

    def delete(self, name_or_id: str, confirm: str) -> ErasedEvents:
        """Delete a project with its events, keys and sources.

        Its keys are disabled first, so that no event arrives meanwhile, except from cached keys.
        """
        project = self.get(name_or_id)
        if confirm != project.project:
            detail = f"{confirm!r} is not the name of the project, {project.project}; nothing is deleted."
            raise AdministrationError("conflict", detail)
        id_ = project.project_id
        with open_client(self._config.redis_url, timeout_s=_BROKER_TIMEOUT_S) as client:
            erasure = self._erasure(client, id_)
            # Before anything is changed, because it may fail.
            found = erasure.count()
            with translated_failures():
                archive(self._engine, id_, is_archived=True)
            self._wait_for_caches()
            erasure.record(found)
            erased = self._erase(erasure, found)
        with translated_failures():
            delete_project(self._engine, id_)
        return ErasedEvents(**erased._asdict(), dry_run=False)

    def _erase(self, erasure: Erasure, found: Counts) -> Counts:
        try:
            with self._progress("Erasing", sum(found)) as step:
                return erase_all(erasure, step)
        except StoredMeanwhile as error:
            raise AdministrationError("conflict", str(error)) from error

    def _erasure(self, client: object, project_id: str) -> Erasure:
        return Erasure(self._engine, client, self._config.stream_partitions, Subject(project_id, {}))

    def _wait_for_caches(self) -> None:
        """Wait until no web worker takes events by a cached key or source any more."""
        seconds = self._config.key_cache_ttl_s + _MARGIN_S
        if seconds > _LONG_S:
            self._announce(f"Waiting {seconds:.0f} s until no worker has the keys in its cache.")
        time.sleep(seconds)


def project_record(project: Project) -> ProjectRecord:
    """Return the record of a project."""
    return ProjectRecord(
        project_id=project.id,
        project=project.name,
        state="archived" if project.archived_at else "live",
        per_second=project.rate_per_second,
        burst=project.burst,
        bytes_per_second=project.bytes_per_second,
        retention_days=project.retention_days,
        scrubbing=project.scrubbing,
        created_at=project.created_at,
        archived_at=project.archived_at,
    )


def _listed(row: ProjectSummary) -> ListedProject:
    own = asdict(project_record(row.project))
    return ListedProject(**own, live_keys=row.live_keys, last_used_at=row.last_used_at)

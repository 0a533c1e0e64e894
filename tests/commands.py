"""The commands, run in the tests' own process, which spares each the start of one; all else is real."""

import json
from types import TracebackType
from typing import Any, Self

from click.testing import Result

from vigilry_ingest.app import create_app
from vigilry_ingest.config import Config
from vigilry_ingest.services import services


class Commands:
    """Runs ``flask …`` in pipes; `settings` are those of Config."""

    def __init__(self, **settings: Any) -> None:
        self._app = create_app(Config(**settings))
        self._runner = self._app.test_cli_runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        with self._app.app_context():
            services().engine.dispose()
            services().publisher.close()

    def run(self, *words: str, answer: str = "") -> Result:
        """Run a command to its end, with an answer on its standard input."""
        return self._runner.invoke(args=words, input=answer)

    def well(self, *words: str) -> str:
        """Run a command, check that it ends well and complains of nothing, and return its output."""
        done = self.run(*words)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return done.stdout

    def json(self, *words: str) -> list[dict[str, Any]]:
        """Run a command with --json and return its lines."""
        # Nothing but a line feed ends a line.
        return [json.loads(line) for line in self.well(*words, "--json").split("\n")[:-1]]

    def failure_of(self, *words: str) -> str:
        """Run a command, check that it ends with exit code 1 and one clear line, and return the line."""
        done = self.run(*words)
        assert isinstance(done.exception, SystemExit), repr(done.exception)
        assert (done.exit_code, done.stdout) == (1, ""), done.output
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

"""The WSGI entry point, for gunicorn and the ``flask`` command."""

from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import ConfigError

try:
    app = create_app()
except ConfigError as error:
    # A traceback would not help the operator, and could show a password.
    raise SystemExit(f"Error: {error}") from None

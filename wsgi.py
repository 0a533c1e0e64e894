"""The WSGI entry point for gunicorn, and what ``flask`` finds its commands by."""

from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import ConfigError

try:
    app = create_app()
except ConfigError as error:
    # One line for whoever set it; a traceback would not help, and could show a password.
    raise SystemExit(f"Error: {error}") from None

"""The WSGI entry point for gunicorn, and what ``flask`` finds its commands by."""

from vigilry_ingest.app import create_app

app = create_app()

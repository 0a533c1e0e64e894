"""Take events over HTTP and put them, durably and in order, on Redis Streams.

The path of one event::

    nginx -> gunicorn -> web/auth -> web/endpoints -> web/request_body -> api/schemas -> domain/event
          -> stream/publishing -> 202

docs/architecture.md follows it file by file.
"""

__version__ = "0.1.0"

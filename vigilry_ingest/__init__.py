"""Take events over HTTP and put them, durably and in order, on Redis Streams.

The walk of one event, room by room::

    nginx -> gunicorn -> auth -> endpoints/<name> -> body -> schemas/<name> -> event -> stream -> 202
"""

__version__ = "0.1.0"

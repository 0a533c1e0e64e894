"""Ending the worker's process from any of its threads."""

import logging
import os
from typing import NoReturn


def end_process() -> NoReturn:
    """Flush the logs and end the process with code 1, for its supervisor to restart it.

    The main thread may be inside a handler that cannot be interrupted, so nothing is cleaned up: the leases
    expire, and what was not acknowledged is delivered again.
    """
    logging.shutdown()
    os._exit(1)

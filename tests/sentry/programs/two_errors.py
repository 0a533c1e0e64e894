"""Report an error, wait for a file, and report another."""

import os
import sys
import time
from pathlib import Path

import sentry_sdk

sentry_sdk.init(os.environ["SENTRY_DSN"])
sentry_sdk.capture_exception(KeyError("refused"))
sentry_sdk.flush()
while not Path(sys.argv[1]).exists():
    time.sleep(0.05)
sentry_sdk.capture_exception(KeyError("stored"))
sentry_sdk.flush()

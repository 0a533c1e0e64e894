"""The check before gunicorn starts or reloads: are the settings usable, and is the broker durable enough?

Writes what prevents the start to standard error, and exits with 1. A broker that is away is only reported. It
imports no more than it needs, because nothing is served before it ends.
"""

import sys

from vigilry_ingest.config.settings import Config, ConfigError
from vigilry_ingest.observability.tracing import make_tracing
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.stream.diagnosis import obstacles
from vigilry_ingest.stream.errors import BrokerError, reason_of


def main() -> int:
    """Check the settings and the broker, and return the exit code."""
    try:
        config = Config.from_environ()
        # These connect nothing. A worker would fail in the same way, again and again.
        make_engine(config.database_url)
        if config.tracing == "on":
            make_tracing()
        found = obstacles(config)
    except BrokerError as error:
        reason = f"{reason_of(error)} ({error.code})"
        print(f"The broker cannot be used yet: {reason}; events are refused until it can be.")
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    for finding in found:
        asked = f"VIGILRY_DURABILITY={config.durability} cannot be had"
        print(f"{asked} of the {finding.subject}: {finding.text}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

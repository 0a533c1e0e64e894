"""What gunicorn's master runs in a process of its own: can the settings be used, and the durability be had?

It says on standard error what stands in the way, and ends with 1; a broker that is away does not, and is only
told of. It loads no more than it needs, because nobody is served before it has ended.
"""

import sys

from vigilry_ingest.config.settings import Config, ConfigError
from vigilry_ingest.observability.tracing import make_tracing
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.stream.diagnosis import obstacles
from vigilry_ingest.stream.errors import BrokerError, reason_of


def main() -> int:
    """Look at the settings and at the broker that they name, and return the exit code."""
    try:
        config = Config.from_environ()
        # Nothing is connected by these. A worker would find the same, and die of it again and again.
        make_engine(config.database_url)
        if config.tracing == "on":
            make_tracing()
        found = obstacles(config)
    except BrokerError as error:
        reason = f"{reason_of(error)} ({error.code})"
        print(f"The broker cannot be used yet: {reason}; events are refused until it can.")
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

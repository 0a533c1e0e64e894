"""What buffered values rely on inside prometheus-client."""

import subprocess
import sys
from pathlib import Path

from prometheus_client import values

PROGRAM = """
import sys
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, values

made = []
stored = values.MultiProcessValue(lambda: 7)

class Recording:
    _multiprocess = True

    def __init__(self, *arguments, **options):
        made.append(self)
        self.stored = stored(*arguments, **options)

    def __getattr__(self, name):
        return getattr(self.stored, name)

values.ValueClass = Recording
counter = Counter("events", "Events.", ["kind"])
counter.labels("a").inc(2)
Histogram("seconds", "Seconds.", buckets=[1]).observe(0.5)
assert len(made) >= 4, made
made[0].stored.set(5.0)
assert made[0].stored.get() == 5.0
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_metrics_make_their_values_with_the_class_that_is_set_and_files_are_named_by_slot(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert 'events_total{kind="a"} 5.0' in done.stdout
    assert 'seconds_bucket{le="1.0"} 1.0' in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"counter_7.db", "histogram_7.db"}


def test_a_value_has_the_methods_that_metrics_call() -> None:
    for name in ("inc", "set", "get", "set_exemplar", "get_exemplar"):
        assert callable(getattr(values.MutexValue, name))

"""A complete consumer in the group "mirror": it copies every event to an SQLite database."""

import contextlib
import os
import sqlite3

import redis

STREAMS = [f"vigilry:{{{partition}}}:events" for partition in range(int(os.environ.get("PARTITIONS", "1")))]
GROUP, NAME = "mirror", f"{os.uname().nodename}:{os.getpid()}"
CLAIM_AFTER_MS = int(os.environ.get("CLAIM_AFTER_MS", "60000"))
broker = redis.Redis.from_url(os.environ["REDIS_URL"])
mirror = sqlite3.connect(os.environ["MIRROR"])
mirror.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, message TEXT, payload TEXT)")
for stream in STREAMS:
    with contextlib.suppress(redis.ResponseError):  # The group exists.
        broker.xgroup_create(stream, GROUP, id="0", mkstream=True)
while True:  # Entries that a consumer has not acknowledged for a minute come first, then new entries.
    batches = [(stream, broker.xautoclaim(stream, GROUP, NAME, CLAIM_AFTER_MS)[1]) for stream in STREAMS]
    batches += broker.xreadgroup(GROUP, NAME, dict.fromkeys(STREAMS, ">"), count=100, block=1000)
    for stream, entries in batches:
        for _, entry in entries:
            # Skip entries of other versions, and entries that were requeued for another group.
            if entry.get(b"v") == b"1" and entry.get(b"for_group", GROUP.encode()) == GROUP.encode():
                row = [entry.get(name, b"").decode() for name in (b"id", b"message", b"payload")]
                # An event may be delivered twice; its id makes the second insert do nothing.
                mirror.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", row)
        mirror.commit()
        if entries:
            broker.xack(stream, GROUP, *[entry_id for entry_id, _ in entries])

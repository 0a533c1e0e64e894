"""Keeps every event in a file of its own database: a whole consumer, in the group "mirror"."""

import contextlib
import os
import sqlite3

import redis

STREAMS = [f"vigilry:{{{partition}}}:events" for partition in range(int(os.environ.get("PARTITIONS", "1")))]
GROUP, NAME = "mirror", f"{os.uname().nodename}:{os.getpid()}"
TAKE_OVER_MS = int(os.environ.get("TAKE_OVER_MS", "60000"))
broker = redis.Redis.from_url(os.environ["REDIS_URL"])
mirror = sqlite3.connect(os.environ["MIRROR"])
mirror.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, message TEXT, payload TEXT)")
for stream in STREAMS:
    with contextlib.suppress(redis.ResponseError):  # The group is there already.
        broker.xgroup_create(stream, GROUP, id="0", mkstream=True)
while True:  # First what a consumer that died had in hand for a minute, then what is new.
    batches = [(each, broker.xautoclaim(each, GROUP, NAME, TAKE_OVER_MS)[1]) for each in STREAMS]
    batches += broker.xreadgroup(GROUP, NAME, dict.fromkeys(STREAMS, ">"), count=100, block=1000)
    for stream, entries in batches:
        for _, entry in entries:
            # What was put back for another group alone is not for us; nor is what is not version 1.
            if entry.get(b"v") == b"1" and entry.get(b"for_group", GROUP.encode()) == GROUP.encode():
                row = [entry.get(name, b"").decode() for name in (b"id", b"message", b"payload")]
                # An event may come twice: its id makes the second time do nothing.
                mirror.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", row)
        mirror.commit()
        if entries:
            broker.xack(stream, GROUP, *[entry_id for entry_id, _ in entries])

"""The tables of events on PostgreSQL, partitioned by the time at which an event was received."""

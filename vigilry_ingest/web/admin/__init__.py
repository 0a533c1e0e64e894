"""The admin API: an application of its own, on a socket that senders cannot reach."""

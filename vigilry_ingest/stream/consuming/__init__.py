"""The consuming half: groups, leases, delivery to a handler, dead letters, trimming."""

"""Consumer groups: leases, delivery to a handler, dead letters and trimming."""

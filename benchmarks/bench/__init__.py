"""``make bench``: compare this service with alternatives on the same work and machine."""

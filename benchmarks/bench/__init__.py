"""``make bench``: this service beside what one might run instead, on the same work and machine."""

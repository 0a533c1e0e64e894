"""One file an endpoint, over HTTP against the running service."""

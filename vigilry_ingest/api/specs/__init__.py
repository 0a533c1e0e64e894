"""Machine-readable specs: OpenAPI for senders, AsyncAPI for consumers of the streams."""

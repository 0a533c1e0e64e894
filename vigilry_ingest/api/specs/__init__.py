"""The interfaces, described for programs: OpenAPI for senders, AsyncAPI for consumers of the streams."""

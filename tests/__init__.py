"""All tests. They start real servers; nothing is mocked."""

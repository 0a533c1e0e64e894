"""Everything that knows an HTTP request: views, hooks, and how errors are answered."""

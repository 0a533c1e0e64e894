"""Everything that knows an HTTP request: views, hooks and error handlers."""

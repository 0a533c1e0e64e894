"""What stands in deploy/: the files themselves, and nginx with a stand-in behind it."""

"""Real servers for the tests: started by their handles, frozen, killed, restarted and stopped."""

"""API keys and projects: minting, look-up, rotation, quotas and the record of use."""

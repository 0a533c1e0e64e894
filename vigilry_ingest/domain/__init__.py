"""Frozen records, ids and event kinds."""

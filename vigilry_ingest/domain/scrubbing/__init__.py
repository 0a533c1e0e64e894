"""Scrubbing: replacing secrets and personal data in events before they are published."""

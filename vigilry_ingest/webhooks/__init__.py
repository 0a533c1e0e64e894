"""Webhooks that providers send themselves, verified by their own signatures."""

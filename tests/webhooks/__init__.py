"""Tests of webhooks that providers send themselves."""

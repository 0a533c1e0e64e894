"""The fixtures of this folder."""

from tests.webhooks.fixtures import new_receiver, receiving

__all__ = ["new_receiver", "receiving"]

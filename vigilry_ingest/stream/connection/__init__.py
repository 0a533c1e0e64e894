"""Connections to the broker's servers, and the topology that maps partitions to them."""

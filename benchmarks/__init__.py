"""Benchmarks of the running service: real servers, real processes, real faults."""

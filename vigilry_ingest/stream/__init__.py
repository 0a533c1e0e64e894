"""Everything that uses Redis: publishing, consuming, and reading the streams.

Failures leave the package as BrokerError. Functions that take a client raise redis.RedisError, which
``open_client`` translates.
"""

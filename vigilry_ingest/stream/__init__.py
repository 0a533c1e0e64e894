"""The stream room: all that knows Redis. Its failures leave as BrokerError, never as redis.RedisError."""

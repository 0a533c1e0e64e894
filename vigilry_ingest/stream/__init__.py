"""The stream room: all that knows Redis. Its failures leave as PublishError, never as redis.RedisError."""

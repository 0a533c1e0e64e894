"""What a user might run instead, doing the same work, and what the same server does with less."""

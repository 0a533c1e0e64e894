"""The broker's servers: connections, which server has a partition, and bounded questions."""

"""The intervals and timeouts of a consumer."""

from typing import NamedTuple


class Timing(NamedTuple):
    """Intervals and timeouts of a consumer, in seconds.

    ``lease_s``: without a renewal for this long, a worker loses its partitions to others.
    ``block_s``, ``cluster_block_s``: how long a read waits for entries; must be below ``client_timeout_s``.
    ``client_timeout_s``: limit for connecting and for each reply.
    ``max_reconnect_pause_s``: upper bound of the pause before reconnecting, which doubles each time.
    ``retry_pause_s``, ``max_retry_pause_s``: first pause before the handler is retried, and its upper bound.
    ``trim_interval_s``: time between two trims of the streams.
    """

    lease_s: float = 3.0
    block_s: float = 0.5
    cluster_block_s: float = 0.1
    client_timeout_s: float = 5.0
    max_reconnect_pause_s: float = 5.0
    retry_pause_s: float = 0.1
    max_retry_pause_s: float = 10.0
    trim_interval_s: float = 1.0

    @property
    def renewal_interval_s(self) -> float:
        """Return the time between two renewals of the leases.

        The renewal also looks for hung handlers and for workers that joined or left, so a long lease must not
        delay it.
        """
        return min(self.lease_s / 3, 1.0)

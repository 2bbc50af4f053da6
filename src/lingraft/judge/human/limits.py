"""How often somebody may ask: a bucket of requests that fills up again with time."""

import math
import threading
import time
from collections.abc import Callable, Hashable

_SWEEP = 10_000
"""So many buckets are held before those that are full again are thrown away."""


class RateLimit:
    """At most `burst` requests at once, and `per_second` in the long run, for each who asks."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, who: Hashable) -> int:
        """Whole seconds until the request may be repeated; 0 when it may go ahead now, and is counted."""
        now = self._clock()
        with self._lock:
            if len(self._buckets) > _SWEEP:
                self._buckets = {
                    name: kept for name, kept in self._buckets.items() if self._left(kept, now) < self._burst
                }
            left = self._left(self._buckets.get(who, (self._burst, now)), now)
            if left < 1:
                return max(1, math.ceil((1 - left) / self._per_second))
            self._buckets[who] = (left - 1, now)
            return 0

    def _left(self, bucket: tuple[float, float], now: float) -> float:
        left, since = bucket
        return min(self._burst, left + (now - since) * self._per_second)

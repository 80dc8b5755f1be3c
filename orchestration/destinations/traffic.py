"""What went over the wire to one destination, counted."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

LATENCIES_KEPT = 10_000  # of the latest answers: memory stays constant however long a push lasts


@dataclass
class Traffic:
    """Counts of one destination in one push; safe to update from several threads. Times in seconds."""

    requests: int = 0
    """Attempts made, answered or not."""
    retries: int = 0
    """Attempts that followed a failed one of the same request."""
    limited: int = 0
    """Answers that said a rate limit or quota was used up."""
    limiter_wait_seconds: float = 0.0
    """Waited before requests, so as to keep within the limits."""
    refusal: str | None = None
    """Why nothing more can be sent until a person acts: credentials, or an endpoint that is gone."""
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    """From the request to the end of its answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(
        self,
        *,
        requests: int = 0,
        retries: int = 0,
        limited: int = 0,
        waited: float = 0.0,
        latency: float | None = None,
    ) -> None:
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.limited += limited
            self.limiter_wait_seconds += waited
            if latency is not None:
                self.latencies.append(latency)

    def p95_latency(self) -> float | None:
        """Seconds; None where nothing was answered."""
        with self._lock:
            latencies = sorted(self.latencies)
        return latencies[min(int(len(latencies) * 0.95), len(latencies) - 1)] if latencies else None

"""What /metrics tells of the validation layer."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

WORDS = {
    "noted": "Acknowledged events that were looked at",
    "dropped": "Acknowledged events that nobody had time to look at; batches have them all the same",
    "copies": "Events that came again",
    "looks": "Evaluations of users who did something",
    "crossings": "Thresholds that recent events crossed",
    "batches_asked": "Batches that were asked for at once",
    "store_failures": "Times that recent events could not be had",
    "failures": "Evaluations that failed on what somebody sent",
}


class ValidationMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters = {
            word: Counter(f"tripline_validation_{word}", text, registry=registry) for word, text in WORDS.items()
        }
        self.evaluation = Histogram(
            "tripline_validation_seconds",
            "From a request to evaluate to its answer",
            registry=registry,
            buckets=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        )

    def count(self, word: str, count: int) -> None:
        self._counters[word].inc(count)

"""What /metrics tells, in Prometheus' format. No label ever holds anything that a client made up."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("tripline_requests", "HTTP requests", ["endpoint", "status"], registry=self.registry)
        self.latency = Histogram(
            "tripline_request_seconds",
            "From the first byte of a request to its answer",
            ["endpoint"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
        )
        self.accepted = Counter("tripline_events_accepted", "Events on disk", ["source"], registry=self.registry)
        self.refused = Counter(
            "tripline_events_refused", "Events that go to quarantine", ["source", "reason"], registry=self.registry
        )
        self.bytes = Counter("tripline_request_body_bytes", "Bytes of bodies, as they came", registry=self.registry)
        self.queued = Gauge("tripline_queued_bytes", "In memory, not on disk yet", registry=self.registry)
        self.waiting = Gauge("tripline_waiting_bytes", "On disk, not loaded yet", registry=self.registry)
        self.oldest = Gauge("tripline_oldest_slice_seconds", "Age of what waits longest", registry=self.registry)
        self.free = Gauge("tripline_disk_free_bytes", "Of the landing folder's disk", registry=self.registry)
        self.errors = Counter("tripline_errors", "Requests that ended in an error here", registry=self.registry)

"""A token that is fetched, runs out and is fetched again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

EARLY_SECONDS = 60.0  # a token is renewed so long before its end: a request may be on the wire for some time

Fetch = Callable[[], tuple[str, float]]
"""Returns (token, seconds it is good for). Raises DeliveryError; must tell the client's redactor of the token."""


class Token:
    """One token for all threads of a destination."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value = ""
        self._good_until = 0.0

    def value(self) -> str:
        with self._lock:
            if not self._value or time.monotonic() >= self._good_until:
                self._value, seconds = self._fetch()
                self._good_until = time.monotonic() + max(seconds - EARLY_SECONDS, 0.0)
            return self._value

    def renew(self, headers: Mapping[str, str]) -> None:
        """Forgets the token if it is the one in `headers`; another thread may have renewed it meanwhile."""
        with self._lock:
            if self._value and any(self._value in value for value in headers.values()):
                self._value = ""

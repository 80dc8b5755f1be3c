"""No test follows what somebody exported for a warehouse of their own."""

from __future__ import annotations

import os

# Settings of the tests themselves.
KEPT = ("TRIPLINE_SHARED_DATA", "TRIPLINE_REPLAY_")

for name in [name for name in os.environ if name.startswith("TRIPLINE_") and not name.startswith(KEPT)]:
    del os.environ[name]

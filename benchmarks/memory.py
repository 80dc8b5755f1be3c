"""The peak memory of a process."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_kib() -> int:
    """This process's own peak. getrusage also counts what the process was before it became this program, which is
    the parent with its whole memory; Linux tells them apart in /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

"""A campaign platform in a process of its own, which keeps a documented limit and counts.

python -m benchmarks.push_server CASE [REQUESTS SECONDS]…    a line on standard input: a line of JSON, the counts
"""

from __future__ import annotations

import json
import sys

from tests.destinations.cases import DestinationCase, all_cases
from tests.destinations.server import ScriptedServer

CHECKED = 1  # requests held against the vendor's description; of the others arrival and effects are counted


def find_case(name: str) -> DestinationCase:
    (case,) = [case for case in all_cases() if (case.label or case.name) == name]
    return case


def main() -> None:
    name, *limits = sys.argv[1:]
    with ScriptedServer(find_case(name).fake()) as server:
        server.to_check = CHECKED
        for requests, seconds in zip(limits[::2], limits[1::2], strict=True):
            server.enforce(int(requests), float(seconds))
        print(server.url, flush=True)
        for line in sys.stdin:
            server.is_down = line.strip() == "down"
            times = [seen.at for seen in server.seen]
            counts = {
                "requests": len(times),
                "seconds": times[-1] - times[0] if times else 0.0,
                "over_limit": server.over_limit,
                "invalid": server.invalid[:3],
                "effects": sum(server.effects.values()),
                "twice": sum(count > 1 for count in server.effects.values()),
            }
            print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()

"""python -m orchestration.platform --port 8091 --store received.jsonl   (secret: TRIPLINE_WEBHOOK_SECRET)"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from orchestration.platform.server import CampaignPlatform


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m orchestration.platform", description="A local campaign platform.")
    parser.add_argument("--port", type=int, default=8091, help="0 takes a free one (default: 8091)")
    parser.add_argument("--store", type=Path, required=True, help="JSON Lines file that keeps what was received")
    options = parser.parse_args()
    secret = os.environ.get("TRIPLINE_WEBHOOK_SECRET", "")
    if not secret:
        print("TRIPLINE_WEBHOOK_SECRET is not set: it takes whsec_ followed by base64", file=sys.stderr)
        return 2
    with CampaignPlatform(options.store, secret, port=options.port) as platform:
        print(f"campaign platform at {platform.url} (send to {platform.hook_url})", flush=True)
        try:
            platform.wait()
        except KeyboardInterrupt:
            print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())

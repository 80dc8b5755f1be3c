"""What the platform received, for a person."""

from __future__ import annotations

import json
from html import escape
from typing import Any

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>Campaign platform: {count} received</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }}
p.counts {{ opacity: .75; }}
div.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }}
code {{ font-size: .85em; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>What the campaign platform received</h1>
<p class="counts">{count} took effect · {messages} messages · {duplicates} duplicates without effect · \
{rejected} rejected{shown}</p>
{table}
</body>
</html>
"""
SHOWN = 500  # newest first; a browser stays quick, /received has all
KNOWN = ("idempotency_key", "received_at", "webhook_id", "user_id", "user", "trigger", "trigger_name", "campaign")


def render(snapshot: dict[str, Any]) -> str:
    """The page for a `Store.snapshot()`; everything received is escaped."""
    effects = snapshot["effects"]
    rows = "\n".join(_row(item) for item in reversed(effects[-SHOWN:]))
    head = "<tr><th>Received<th>User<th>Trigger<th>Campaign<th>Matched at<th>Evidence</tr>"
    table = f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    return PAGE.format(
        count=len(effects),
        messages=snapshot["messages"],
        duplicates=snapshot["duplicates"],
        rejected=snapshot["rejected"],
        shown=f" · the newest {SHOWN} are shown" if len(effects) > SHOWN else "",
        table=table if effects else "<p>Nothing yet. Run <code>tripline push</code>.</p>",
    )


def _row(item: dict[str, Any]) -> str:
    evidence = item.get("evidence", {k: v for k, v in item.items() if k not in (*KNOWN, "matched_at")})
    cells = (
        item.get("received_at", ""),
        item.get("user_id", item.get("user", "")),
        item.get("trigger_name", item.get("trigger", "")),
        item.get("campaign", ""),
        item.get("matched_at", ""),
    )
    plain = "".join(f"<td>{escape(str(cell))}" for cell in cells)
    return f"<tr>{plain}<td><code>{escape(json.dumps(evidence, ensure_ascii=False))}</code></tr>"

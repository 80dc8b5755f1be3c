"""`tripline redeliver` and `tripline release`."""

from __future__ import annotations

import json
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from orchestration.dead_letters import Letters, Wanted, Word, redeliver, release
from orchestration.publish import publish
from orchestration.settings import get_settings


def run(
    console: Console,
    *,
    word: str | None,
    destination: str | None,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    keys: list[str] | None,
    is_dry_run: bool,
    as_json: bool,
) -> None:
    """`word` None: refused rows are made due again; else held rows are settled by it."""
    settings = get_settings()
    wanted = Wanted(destination, reason, since, until, keys or None)
    said = Word(word) if word else None
    if said is None:
        letters = redeliver(settings, wanted, is_dry_run=is_dry_run)
    else:
        letters = release(settings, wanted, said, is_dry_run=is_dry_run)
    if not is_dry_run and letters.counts:
        publish(settings)
    _show(console, letters, said, is_dry_run=is_dry_run, as_json=as_json)


def _show(console: Console, letters: Letters, word: Word | None, *, is_dry_run: bool, as_json: bool) -> None:
    if as_json:
        counts = [{"destination": name, "reason": reason, "rows": rows} for name, reason, rows in letters.counts]
        print(json.dumps({"rows": letters.total, "is_dry_run": is_dry_run, "by_reason": counts}))
        return
    for name, reason, rows in letters.counts:
        console.print(f"{name}: {rows}, {escape(reason or '')}", highlight=False, soft_wrap=True)
    done = "are taken for delivered" if word is Word.DELIVERED else "go out with the next push"
    would = "would be meant; nothing was changed" if is_dry_run else done
    console.print(f"{letters.total} rows {would}" if letters.counts else "no such rows", highlight=False)

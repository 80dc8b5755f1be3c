"""`tripline backup`, `restore` and `upgrade`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from orchestration.backup import backup, restore
from orchestration.settings import get_settings
from orchestration.upgrade import upgrade


def run_backup(console: Console, target: Path, *, as_json: bool) -> None:
    with console.status("saving") as status:
        report = backup(get_settings(), target, progress=status.update)
    if not _printed(report, as_json):
        rows = ", ".join(f"{count:,} {table}" for table, count in report.tables.items() if count)
        console.print(f"saved {rows or 'an empty warehouse'} and {len(report.config_files)} configuration files")
        console.print(str(report.path), soft_wrap=True, highlight=False)


def run_restore(console: Console, source: Path, *, force: bool, as_json: bool) -> None:
    with console.status("restoring") as status:
        report = restore(get_settings(), source, force=force, progress=status.update)
    if not _printed(report, as_json):
        console.print(f"restored what was saved at {report.created_at:%Y-%m-%d %H:%M} UTC to", highlight=False)
        console.print(str(report.path), soft_wrap=True, highlight=False)
        if report.previous_path:
            console.print(f"what was there is kept as {report.previous_path}", soft_wrap=True, highlight=False)
        console.print("the next `tripline batch` computes everything else anew")


def run_upgrade(console: Console, *, as_json: bool) -> None:
    with console.status("upgrading") as status:
        report = upgrade(get_settings(), progress=status.update)
    if _printed(report, as_json):
        return
    if report.from_version is None:
        console.print(f"there is no warehouse yet: {report.path}", highlight=False, soft_wrap=True)
    elif not report.applied:
        console.print(f"the warehouse has version {report.to_version} already", highlight=False)
    else:
        console.print(f"upgraded to version {report.to_version}: {', '.join(report.applied)}", highlight=False)
        console.print(f"a copy of what was is {report.copy_path}", soft_wrap=True, highlight=False)


def _printed(report: BaseModel, as_json: bool) -> bool:
    if as_json:
        print(report.model_dump_json())
    return as_json

"""Where the templates of a Dagster home are, and what each is told at its start."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from orchestration.settings import Settings
from orchestration.warm.wire import Unavailable

FOLDER = "warm"
LONGEST_SOCKET_PATH = 100  # bytes: sun_path has 108 on Linux, with the zero at its end
OLD_LAUNCH_SECONDS = 86_400
FALLBACK = "last_fallback.json"
# In the environment of every Dagster process on a home of ours, or it would not be that of the template: Dagster then
# hands over at once what it tells of a new run.
EVENTS_AT_ONCE = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}


class DbtProject(BaseModel):
    """A dbt project whose manifest the template holds; `environment` is set while it is parsed."""

    model_config = ConfigDict(frozen=True)

    project_dir: str
    profiles_dir: str
    environment: dict[str, str] = {}


class Spec(BaseModel):
    """What a template is of (`pointer` is Dagster's code pointer and `instance_ref` its instance, both as Dagster
    writes them), what it watches and for how many seconds it stays without anybody who uses it."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    executable: str
    location: str
    instance_ref: str
    watch: list[str] = []
    dbt: list[DbtProject] = []
    grace_seconds: float = 20.0

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.executable}\0{self.pointer}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Place:
    """The files of one template, in `folder`, which is for this user alone."""

    folder: Path
    key: str

    @property
    def socket(self) -> Path:
        path = self.folder / f"{self.key}.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        short = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return private_folder(Path(tempfile.gettempdir()) / f"tripline-{os.getuid()}") / f"{short}.sock"

    @property
    def lock(self) -> Path:
        """Held by whoever starts the template, and by the template while it reloads."""
        return self.folder / f"{self.key}.lock"

    @property
    def spec(self) -> Path:
        return self.folder / f"{self.key}.json"

    @property
    def failure(self) -> Path:
        """Why it could not be loaded, and from which files, so that nobody waits for the same again."""
        return self.folder / f"{self.key}.failure.json"

    def launched(self, run_id: str) -> Path:
        """There from just before the fork of a run until its end was seen: outlives a template that is killed."""
        return self.folder / f"{self.key}.run-{run_id}"

    def forget_old_launches(self) -> None:
        """Those of templates that were killed; the launcher asked for them within seconds."""
        for path in self.folder.glob(f"{self.key}.run-*"):
            if path.stat().st_mtime < time.time() - OLD_LAUNCH_SECONDS:
                path.unlink(missing_ok=True)


def is_wanted(settings: Settings) -> bool:
    """Forks of a process with all of Dagster in it were tried on Linux; macOS's own libraries do not survive them."""
    return sys.platform == "linux" and settings.warm_runs


def place_of(dagster_home: Path, spec: Spec) -> Place:
    """Raises Unavailable where the folder cannot be kept from other users."""
    return Place(private_folder(dagster_home / FOLDER), spec.key)


def private_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
        if status.st_uid != os.getuid():
            raise PermissionError("it belongs to somebody else")
        if status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise Unavailable(f"{path} cannot be used: {error}") from error
    return path


def write_private(path: Path, text: str) -> None:
    """In one step, readable by this user alone."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


class Fallback(BaseModel):
    """The last run that went the ordinary way, and why; `at` in seconds since 1970, `count` since the home is there."""

    model_config = ConfigDict(frozen=True)

    at: float
    run_id: str
    reason: str
    count: int = 1


def note_fallback(dagster_home: Path, run_id: str, reason: str) -> None:
    """For `tripline doctor`; a note that cannot be written holds up no run."""
    path = dagster_home / FOLDER / FALLBACK
    earlier = read_fallback(dagster_home)
    note = Fallback(at=time.time(), run_id=run_id, reason=reason, count=earlier.count + 1 if earlier else 1)
    try:
        private_folder(path.parent)
        write_private(path, note.model_dump_json())
    except (OSError, Unavailable):
        return


def read_fallback(dagster_home: Path) -> Fallback | None:
    try:
        return Fallback(**json.loads((dagster_home / FOLDER / FALLBACK).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None

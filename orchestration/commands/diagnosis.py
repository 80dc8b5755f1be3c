"""What `tripline doctor` found, as data. Times are UTC, sizes bytes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from orchestration.commands.tables import Holder
from orchestration.commands.words import Utc


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Paths(_Frozen):
    """Where things are, absolute; `tripline doctor --path <name>` prints one."""

    home: str
    warehouse: str
    published: str
    landing: str
    sources: str
    dagster_home: str
    dbt_target: str


class Place(_Frozen):
    """A file or folder; `bytes` of a folder is what is in it."""

    exists: bool
    bytes: int


class Lock(_Frozen):
    """Whether the warehouse could be opened. `left_log_bytes`: a write-ahead log that a killed writer left, which the
    next one takes up."""

    state: Literal["open", "missing", "locked", "unreadable"]
    holder: Holder | None
    left_log_bytes: int


class LastBatch(_Frozen):
    batch_id: int
    clock_at: Utc
    is_replay: bool
    files: int
    events_read: int
    events_loaded: int
    events_duplicate: int
    events_quarantined: int
    events_superseded: int
    complete_through: Utc | None
    finished_at: Utc


class LastBuild(_Frozen):
    """`lag_seconds`: how far the watermark is behind the batch's clock."""

    built_batch_id: int
    finished_at: Utc | None
    clock_at: Utc | None
    watermark_at: Utc | None
    lag_seconds: float | None
    is_unfinished: bool


class SetAside(_Frozen):
    file_name: str
    reason: str


class Landing(_Frozen):
    """`unreadable` says why the folder cannot be looked into; nothing is known of it then."""

    unreadable: str = ""
    waiting: int
    waiting_bytes: int
    being_written: int
    set_aside: list[SetAside]


class Outbox(_Frozen):
    destination: str
    status: str
    firings: int
    oldest_decided_at: Utc | None


class Template(_Frozen):
    """A process that Dagster's runs are forked from. `runs` and `dbt_commands`: forked so far; `running`: run ids;
    `last_refusal`: the last run or dbt command that it sent the ordinary way."""

    pid: int
    location: str
    age_seconds: float
    memory_bytes: int
    runs: int
    dbt_commands: int
    running: list[str]
    reloads: int
    last_reload_at: Utc | None
    last_reload_why: str
    last_refusal_at: Utc | None
    last_refusal_why: str


class Fallback(_Frozen):
    """The last run that got a process of its own instead, and why; `count` of all so far."""

    at: Utc
    run_id: str
    why: str
    count: int


class WarmRuns(_Frozen):
    is_on: bool
    templates: list[Template]
    last_fallback: Fallback | None


class Environment(_Frozen):
    """Which variables are set, never what they hold."""

    variables: list[str]
    is_webhook_url_set: bool
    is_webhook_secret_set: bool
    delivery: str


class Problem(_Frozen):
    """`problem` needs a person; a `note` is worth knowing and does not change `ok`."""

    severity: Literal["problem", "note"]
    what: str
    fix: str


class DoctorReport(_Frozen):
    """Parts that could not be read (nothing there yet, or the warehouse is locked) are None or empty; `problems` says
    why. `read_from`: the file that batch, build, quarantine and outbox were read from."""

    checked_at: Utc
    versions: dict[str, str]
    paths: Paths
    places: dict[str, Place]
    free_disk_bytes: int
    lock: Lock
    missing_columns: list[str]
    read_from: str | None
    last_batch: LastBatch | None
    last_build: LastBuild | None
    landing: Landing
    quarantined: dict[str, int]
    outbox: list[Outbox]
    warm_runs: WarmRuns
    environment: Environment
    problems: list[Problem]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        """Nothing needs a person."""
        return all(problem.severity == "note" for problem in self.problems)

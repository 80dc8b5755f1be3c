"""What a backup says of itself, and the proof that it is whole."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from orchestration.atomic_files import replace, sync
from orchestration.errors import InputError

MANIFEST = "manifest.json"
FORMAT = 1
Progress = Callable[[str], None]


class Column(BaseModel):
    """A column as the warehouse had it; `data_type` is DuckDB's name of the type."""

    model_config = ConfigDict(frozen=True)

    name: str
    data_type: str
    is_nullable: bool

    @field_validator("data_type")
    @classmethod
    def _is_a_type(cls, value: str) -> str:
        # It becomes part of a statement.
        if not re.fullmatch(r"[A-Za-z0-9_ ,()\[\]]+", value):
            raise ValueError("no type that a backup can hold")
        return value


class TableEntry(BaseModel):
    """One table: its Parquet file in the backup, its rows, its columns in order."""

    model_config = ConfigDict(frozen=True)

    schema_name: str
    table_name: str
    file: str
    rows: int
    columns: list[Column]


class Manifest(BaseModel):
    """`files` has the SHA-256 of every other file of the backup, by its path within. `created_at` is UTC."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    release: str
    schema_version: int
    created_at: datetime
    tables: list[TableEntry]
    files: dict[str, str]

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.parts[0] not in ("tables", "seeds", "sources"):
                raise ValueError(f"{name} is no place in a backup")
        return value


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(folder: Path) -> list[Path]:
    """All files of a backup but the manifest, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)


def read_manifest(folder: Path, *, progress: Progress = lambda _: None) -> Manifest:
    """The manifest of a backup of which every file is there and unchanged; raises InputError otherwise."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} has no {MANIFEST}", "name a folder or a .tar file that `tripline backup` wrote")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path} cannot be read: {error.errors()[0]['msg']}", "use another backup") from error
    if manifest.format > FORMAT:
        raise InputError(f"{path} has format {manifest.format}", "install the release that wrote it")
    if missing := {entry.file for entry in manifest.tables} - manifest.files.keys():
        raise InputError(f"{path} has no hash for {sorted(missing)[0]}", "use another backup")
    for name, expected in manifest.files.items():
        progress(f"checking {name}")
        file = folder / name
        if not file.is_file():
            raise InputError(f"the backup lacks {name}", "use another backup; nothing was changed")
        if sha256_of(file) != expected:
            raise InputError(f"the backup's {name} is damaged (SHA-256)", "use another backup; nothing was changed")
    return manifest


def pack(folder: Path, target: Path) -> None:
    """Moves a finished backup folder to `target`, as one archive where that ends in .tar."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)
    if target.suffix != ".tar":
        replace(folder, target)
        return
    partial = target.with_name(f".{target.name}.partial")
    with tarfile.open(partial, "w") as archive:
        for path in [folder / MANIFEST, *files_of(folder)]:
            archive.add(path, arcname=path.relative_to(folder).as_posix())
    replace(partial, target)


@contextmanager
def unpacked(source: Path, room: Path) -> Iterator[Path]:
    """The folder of a backup; an archive is unpacked under `room` and removed again."""
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise InputError(f"there is no backup at {source}", "name a folder or a .tar file that `tripline backup` wrote")
    room.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".restoring-", dir=room) as folder:
        try:
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{source} cannot be unpacked: {reason}", "use another backup") from error
        yield Path(folder)

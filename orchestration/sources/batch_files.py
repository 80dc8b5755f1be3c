"""The files of one batch: read into load_records, or found to be known, unreadable, or still changing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.errors import InputError
from orchestration.settings import Settings
from orchestration.sources.collected import CollectedSource
from orchestration.sources.declarations import SEGMENT, Declaration, Source
from orchestration.sources.landing import TAKEN, Version, content_hash, move_away, name_in, set_aside
from orchestration.sources.staging import declaration_for, stage_file
from orchestration.warehouse import read_sql


@dataclass(frozen=True)
class BatchFile:
    path: Path
    file_name: str
    source_name: str
    version: Version
    content_hash: str
    reason: str | None = None  # why it was set aside, or whose content it repeats
    is_noted: bool = True


@dataclass
class BatchFiles:
    """`known` repeat a content that is loaded already; `left` stay where they are: (file name, why)."""

    taken: list[BatchFile] = field(default_factory=list)
    set_aside: list[BatchFile] = field(default_factory=list)
    known: list[BatchFile] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def stage_files(
    connection: duckdb.DuckDBPyConnection, paths: list[Path], declarations: list[Source], settings: Settings
) -> BatchFiles:
    """Fills the temporary tables load_records and load_files. No transaction is open: an unreadable file would
    end it."""
    connection.execute(read_sql("load_macros"))
    connection.execute(read_sql("load_begin"))
    files, in_batch = BatchFiles(), dict[str, str]()
    for path in paths:
        name = name_in(settings.landing_path, path)
        try:
            _stage_one(connection, path, name, declarations, files, in_batch)
        except FileNotFoundError:
            files.left.append((name, "is not there any more"))
        except OSError as error:
            files.left.append((name, f"cannot be opened: {error.strerror}"))
    return files


def _stage_one(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    declarations: list[Source],
    files: BatchFiles,
    in_batch: dict[str, str],
) -> None:
    version, digest = Version.of(path), content_hash(path)
    declaration = declaration_for(path, name, declarations)
    if declaration and declaration.is_paused:
        files.left.append((name, f"its source {declaration.name} is paused"))
        return
    source = declaration.name if declaration else SEGMENT
    known, known_name = _known_as(connection, digest, in_batch)
    if known:
        # Under the name that was loaded it is what a crash left behind after the commit, or a second delivery.
        reason = f"the same content as {known}"
        files.known.append(BatchFile(path, name, source, version, digest, reason, is_noted=name != known_name))
        return
    index = len(files.taken)
    unreadable = _stage_whole(connection, path, index, declaration)
    is_changed = Version.of(path) != version
    if unreadable or is_changed:
        connection.execute(read_sql("load_forget_file"), {"file_index": index})
    if is_changed:
        files.left.append((name, "was changed while it was read"))
        return
    if unreadable:
        files.set_aside.append(BatchFile(path, name, source, version, digest, unreadable))
        return
    connection.execute("insert into load_files values (?, ?, ?)", [index, source, name])
    files.taken.append(BatchFile(path, name, source, version, digest))
    in_batch[digest] = name


def _stage_whole(
    connection: duckdb.DuckDBPyConnection, path: Path, index: int, declaration: Declaration | CollectedSource | None
) -> str | None:
    try:
        stage_file(connection, path, index, declaration)
    except InputError as error:
        return str(error)
    return None


def _known_as(
    connection: duckdb.DuckDBPyConnection, digest: str, in_batch: dict[str, str]
) -> tuple[str | None, str | None]:
    """(what to say of the content's earlier loading, the name it had then)."""
    if digest in in_batch:
        return f"{in_batch[digest]}, in this batch", in_batch[digest]
    row = loaded_as(connection, digest)
    return (f"{row[1]}, loaded in batch {row[0]}", row[1]) if row else (None, None)


def loaded_as(connection: duckdb.DuckDBPyConnection, digest: str) -> tuple[int, str] | None:
    """(batch, file name) under which this content was loaded."""
    return connection.execute(read_sql("load_known"), {"content_hash": digest}).fetchone()


def move_files(files: BatchFiles, batch_id: int | None, landing: Path) -> list[tuple[str, str]]:
    """After the commit. Returns what could not be moved, and why; files from outside the landing folder stay."""
    problems = []
    for file in [*files.taken, *files.known, *files.set_aside]:
        if not file.path.is_relative_to(landing):
            continue
        if file in files.set_aside:
            problem = set_aside(file.path, landing, file.version, file.reason or "")
        else:
            folder = f"{TAKEN}/{batch_id}" if file in files.taken else f"{TAKEN}/known"
            problem = move_away(file.path, landing, folder, file.version)
        if problem:
            problems.append((file.file_name, problem))
    return problems

"""The files of one batch: read into load_records, or found to be known, unreadable, or still changing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.errors import InputError
from orchestration.settings import Settings
from orchestration.sources.declarations import SEGMENT, Declaration
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


@dataclass
class BatchFiles:
    """`known` repeat a content that is loaded already; `left` stay where they are: (file name, why)."""

    taken: list[BatchFile] = field(default_factory=list)
    set_aside: list[BatchFile] = field(default_factory=list)
    known: list[BatchFile] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def stage_files(
    connection: duckdb.DuckDBPyConnection, paths: list[Path], declarations: list[Declaration], settings: Settings
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
    declarations: list[Declaration],
    files: BatchFiles,
    in_batch: dict[str, str],
) -> None:
    version, digest = Version.of(path), content_hash(path)
    declaration = declaration_for(path, name, declarations)
    if declaration and declaration.is_paused:
        files.left.append((name, f"its source {declaration.name} is paused"))
        return
    source = declaration.name if declaration else SEGMENT
    known = in_batch.get(digest) or known_as(connection, digest)
    if known:
        files.known.append(BatchFile(path, name, source, version, digest, f"the same content as {known}"))
        return
    index = len(files.taken)
    try:
        stage_file(connection, path, index, declaration)
        reason = None
    except InputError as error:
        reason = str(error)
    if Version.of(path) != version:
        reason, why_left = "", "was changed while it was read"
        files.left.append((name, why_left))
    if reason is not None:
        connection.execute(read_sql("load_forget_file"), {"file_index": index})
        if reason:
            files.set_aside.append(BatchFile(path, name, source, version, digest, reason))
        return
    connection.execute("insert into load_files values (?, ?, ?)", [index, source, name])
    files.taken.append(BatchFile(path, name, source, version, digest))
    in_batch[digest] = f"{name} in the same batch"


def known_as(connection: duckdb.DuckDBPyConnection, digest: str) -> str | None:
    row = connection.execute(read_sql("load_known"), {"content_hash": digest}).fetchone()
    return f"{row[1]}, loaded in batch {row[0]}" if row else None


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

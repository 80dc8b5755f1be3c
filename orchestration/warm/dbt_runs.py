"""dbt in a fork of the template, on a manifest that was parsed before."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.warm.places import DbtProject

# What a command does with a manifest that is there already. Others write it, remove it or go without.
COMMANDS = {"build", "run", "seed", "snapshot", "test", "compile", "show", "list", "ls", "run-operation"}
# Each could mean another manifest than the one that is held.
OTHER_MANIFEST = {
    "--vars", "--target", "-t", "--profile", "--no-partial-parse", "--defer", "--state", "--defer-state",
    "--favor-state", "--empty", "--sample", "--event-time-start", "--event-time-end", "--warn-error",
    "--warn-error-options", "--no-static-parser", "--use-experimental-parser", "--single-threaded",
}  # fmt: skip
# Settings of one command; every other DBT_ variable has to be what it was when the manifest was parsed.
OF_ONE_COMMAND = {
    "DBT_TARGET_PATH", "DBT_LOG_PATH", "DBT_LOG_FORMAT", "DBT_LOG_LEVEL", "DBT_LOG_FORMAT_FILE", "DBT_LOG_LEVEL_FILE",
    "DBT_PROJECT_DIR", "DBT_PROFILES_DIR", "DBT_INDIRECT_SELECTION", "DBT_SEND_ANONYMOUS_USAGE_STATS", "DBT_USE_COLORS",
    "DBT_USE_COLORS_FILE", "DBT_QUIET", "DBT_PRINT", "DBT_WRITE_JSON",
}  # fmt: skip
ENV_VAR = re.compile(r"""env_var\(\s*['"](\w+)['"]""")
HANDLED_ERROR, UNHANDLED_ERROR = 1, 2  # dbt's exit codes


@dataclass(frozen=True)
class Held:
    """A manifest, and the values of the variables that it was parsed with (None: not set)."""

    project: DbtProject
    manifest: Any
    variables: dict[str, str | None]


_held: dict[str, Held] = {}  # by absolute project folder


class CannotParse(Exception):
    """dbt's own words."""


def hold(project: DbtProject, scratch: Path, in_fork: Callable[[Callable[[], int]], int]) -> None:
    """Parses the project and keeps its manifest; opens no warehouse. `in_fork` runs a function in a child and gives its
    exit code. `scratch`: a folder for dbt's own files. Raises CannotParse."""
    arguments = _parse_arguments(project, scratch)
    with _variables(project.environment):
        # A whole parse starts native threads, after which a fork is not safe, so a child does that; what is then left
        # to do here reads its result with one thread.
        if in_fork(lambda: _invoke(arguments).exit_code) == 0:
            parsed = _invoke(arguments)
            if parsed.exit_code == 0:
                manifest = parsed.runner_result.result
                _compile_macros(manifest)
                variables = {name: os.environ.get(name) for name in _names(project, manifest)}
                _held[_absolute(project.project_dir)] = Held(project, manifest, variables)
                return
        shutil.rmtree(scratch, ignore_errors=True)  # whatever is wrong is not to be read again
        raise CannotParse(f"dbt cannot parse {project.project_dir}; its words are in the output of the template")


@dataclass(frozen=True)
class _Invoked:
    exit_code: int
    runner_result: Any


def _invoke(arguments: Sequence[str], manifest: Any = None) -> _Invoked:
    from dbt.cli.main import dbtRunner

    done = dbtRunner(manifest=manifest).invoke(list(arguments))
    return _Invoked(0 if done.success else UNHANDLED_ERROR if done.exception else HANDLED_ERROR, done)


def _parse_arguments(project: DbtProject, scratch: Path) -> list[str]:
    scratch.mkdir(parents=True, exist_ok=True)
    places = {
        "--project-dir": project.project_dir,
        "--profiles-dir": project.profiles_dir,
        "--target-path": str(scratch),
        "--log-path": str(scratch),
    }
    options = [word for place in places.items() for word in place]
    silent = ["--quiet", "--log-level-file", "none", "--no-send-anonymous-usage-stats"]
    return [*silent, "parse", "--threads", "1", *options]


def _compile_macros(manifest: Any) -> None:
    """dbt compiles a macro's template when it is first called; done here, no run has to."""
    from dbt_common.clients.jinja import template_cache

    for macro in manifest.macros.values():
        template_cache.get_node_template(macro)


def _names(project: DbtProject, manifest: Any) -> set[str]:
    """The variables that the manifest or its profile depends on."""
    names = set(manifest.env_vars) | {name for name in os.environ if name.startswith("DBT_")} - OF_ONE_COMMAND
    for path in (Path(project.profiles_dir) / "profiles.yml", Path(project.project_dir) / "dbt_project.yml"):
        if path.exists():
            names |= set(ENV_VAR.findall(path.read_text(encoding="utf-8")))
    return names


def refusal(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Why a command has to go to the real dbt; None where the manifest that is held is the right one for it."""
    held = held_for(arguments, environment)
    if held is None:
        return "no manifest of this project is held"
    words = {word.split("=")[0] for word in arguments}
    if len(words & COMMANDS) == 0:
        return "not a command that runs on a manifest"
    if other := words & OTHER_MANIFEST:
        return f"{min(other)} may mean another manifest"
    profiles = _option("--profiles-dir", arguments) or environment.get("DBT_PROFILES_DIR") or held.project.profiles_dir
    if _absolute(profiles) != _absolute(held.project.profiles_dir):
        return "another folder of profiles"
    mine = {name for name in environment if name.startswith("DBT_")} - OF_ONE_COMMAND
    for name in sorted(mine | held.variables.keys()):
        if environment.get(name) != held.variables.get(name):
            return f"{name} is not what it was when the project was parsed"
    return None


def held_for(arguments: Sequence[str], environment: Mapping[str, str]) -> Held | None:
    folder = _option("--project-dir", arguments) or environment.get("DBT_PROJECT_DIR")
    return _held.get(_absolute(folder)) if folder else None


def _option(name: str, arguments: Sequence[str]) -> str | None:
    for position, word in enumerate(arguments):
        if word == name and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith(f"{name}="):
            return word.split("=", 1)[1]
    return None


def _absolute(folder: str) -> str:
    return os.path.realpath(folder)


def run(arguments: Sequence[str], environment: Mapping[str, str], folder: str, descriptors: Sequence[int]) -> int:
    """In a forked child: the command, as if started in `folder` with `environment`, its stdout and stderr going to
    `descriptors`. Returns dbt's exit code."""
    for number, descriptor in enumerate(descriptors, start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    held = held_for(arguments, environment)
    try:
        done = _invoke(arguments, held.manifest if held else None)
    finally:
        close_warehouse()
    if report := environment.get("TRIPLINE_TEMPLATE_REPORT"):
        Path(report).write_text(json.dumps(report_of(done.runner_result)), encoding="utf-8")
    return done.exit_code


def close_warehouse() -> None:
    """Writes DuckDB's log into the file, and lets go of it before whoever waits for this command opens it."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def report_of(done: Any) -> dict[str, Any]:
    """What `tripline batch` needs of a dbtRunner's result, fit for JSON: {"success": whether dbt says so, "exception":
    text or None, "nodes": [{"name", "kind", "status", "message"}]}."""
    nodes = [
        {
            "name": result.node.name,
            "kind": str(result.node.resource_type),
            "status": str(result.status),
            "message": result.message,
        }
        for result in getattr(done.result, "results", None) or []
    ]
    told = None if done.exception is None else str(done.exception) or type(done.exception).__name__
    return {"success": done.success, "exception": told, "nodes": nodes}


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

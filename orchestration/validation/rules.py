"""The project's SQL as dbt compiles it for a warehouse that holds one batch, in a file that an evaluator starts from.

The file is a DuckDB database: the seeds as dbt loads them (schema config), the bounds of that one batch
(batches.int_batch__limits), `rules.models`, one row per model in the order in which they build on each other, and
`rules.looks_back`: for how many seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestration.atomic_files import remove_database, replace
from orchestration.dbt import DBT_PROJECT_DIR, run_nodes
from orchestration.errors import BuildFailed, ConfigError, TriplineError
from orchestration.named_sql import run_sql
from orchestration.project_files import project_fingerprint
from orchestration.seed_files import assert_readable_seeds
from orchestration.settings import Settings
from orchestration.warehouse import connect

DATABASE = "warehouse"
WANTED = "+user_trigger_flags"
WINDOW = "{{ get_window_seconds() }}"
KEPT = 3  # files of earlier versions: an evaluator may still be starting from one


def rules_file(settings: Settings) -> Path:
    """The rules of the project as its files are now, compiled where nobody has (10 to 20 s, in a process of its own).

    Raises ConfigError naming the rows of the seeds that make no sense, BuildFailed with dbt's words for wrong SQL.
    """
    folder = settings.home / "rules"
    path = folder / f"{project_fingerprint()[:32]}.duckdb"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "orchestration.validation.rules", str(path)]
        # dbt leaves threads and a hundred megabytes behind.
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings.place_variables})
        if done.returncode:
            _raise(done.returncode, done.stderr.strip())
        _remove_older(folder)
    return path


def _raise(code: int, words: str) -> None:
    error = ConfigError if code == ConfigError.exit_code else BuildFailed
    raise error(f"the trigger SQL cannot be compiled: {words}", "mend it; the next batch would stop at it too")


def _remove_older(folder: Path) -> None:
    files = sorted(folder.glob("*.duckdb"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[KEPT:]:
        remove_database(path)


def compile_rules(path: Path, *, project_dir: Path = DBT_PROJECT_DIR) -> None:
    """Makes the file. Raises ConfigError or BuildFailed, and then there is none."""
    with tempfile.TemporaryDirectory(prefix="tripline-rules-") as folder:
        # Its name is part of the compiled SQL.
        mine = Settings(home=Path(folder), warehouse=Path(folder) / f"{DATABASE}.duckdb")
        with connect(mine.warehouse_path) as connection:
            run_sql(connection, "validation_first_batch")
        assert_readable_seeds(project_dir.parent / "seeds")
        for arguments in (["seed"], ["run", "--select", "int_batch__limits"]):
            run_nodes(mine, arguments, project_dir=project_dir)
        compiled = run_nodes(mine, ["compile", "--select", WANTED], project_dir=project_dir)
        models = [result.node for result in compiled if result.node.resource_type == "model"]
        (window,) = run_nodes(mine, ["compile", "--inline", WINDOW], project_dir=project_dir)
        with connect(mine.warehouse_path) as connection:
            run_sql(connection, "validation_rules", {"window_seconds": int(window.node.compiled_code)})
            for position, model in enumerate(models):
                row = [position, model.schema, model.name, model.config.materialized == "view", model.compiled_code]
                connection.execute("insert into rules.models values (?, ?, ?, ?, ?)", row)
        draft = path.with_suffix(f".{os.getpid()}.part")
        shutil.copyfile(mine.warehouse_path, draft)
        replace(draft, path)


def main() -> None:
    """`python -m orchestration.validation.rules FILE`: what `rules_file` runs."""
    try:
        compile_rules(Path(sys.argv[1]))
    except TriplineError as error:
        print(error.message, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

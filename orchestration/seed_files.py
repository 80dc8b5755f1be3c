"""Whether the seed files can be read at all, before dbt tries: the warehouse's own words for a row that is too short
name neither the row nor a way out. What the values mean is judged in SQL (assert_valid_config)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from orchestration.errors import ConfigError

SHOWN_CHARACTERS = 60


def assert_readable_seeds(seeds_dir: Path) -> None:
    """Raises ConfigError naming every file and line that is not as `seeds.yml` in the same folder declares it."""
    declared = yaml.safe_load((seeds_dir / "seeds.yml").read_text(encoding="utf-8"))
    problems = [
        f"seeds/{seed['name']}.csv{problem}"
        for seed in declared["seeds"]
        for problem in _problems_of(seeds_dir / f"{seed['name']}.csv", list(seed["config"]["column_types"]))
    ]
    if problems:
        lines = "\n".join(f"    - {problem}" for problem in problems)
        raise ConfigError(
            f"Nothing was built: {len(problems)} problem(s) in the configuration.\n{lines}",
            "mend the rows; the next batch catches up",
        )


def _problems_of(path: Path, columns: list[str]) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _problems_of_rows(file, columns)
    except FileNotFoundError:
        yield f" is missing; its first line is {','.join(columns)}"
    except UnicodeDecodeError as error:
        yield f" is not UTF-8 (byte {error.start}); save it as UTF-8"
    except OSError as error:
        yield f" cannot be read: {error.strerror}"


def _problems_of_rows(text: Iterable[str], columns: list[str]) -> Iterator[str]:
    reader = csv.reader(text, strict=True)
    try:
        # The order counts too: the warehouse reads columns by their place.
        names = next(reader, [])
        if names != columns:
            yield f", line 1: the columns are {','.join(names) or 'none'} instead of {','.join(columns)}"
            return
        for row in reader:
            if row and len(row) != len(names):
                told = ",".join(row)[:SHOWN_CHARACTERS]
                yield f", line {reader.line_num} ({told}): {len(row)} values instead of {len(names)}"
    except csv.Error as error:
        yield f", line {reader.line_num}: not CSV: {error}"

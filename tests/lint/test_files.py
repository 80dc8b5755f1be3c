"""Where things stand and how long they may be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR

MODELS = PROJECT_DIR / "dbt_project/models"
MACROS = PROJECT_DIR / "macros"

# Each with the reason why it is longer than the others may be.
LONG = {
    "dwell.sql": "one rule of seven steps, of no use apart",
    "distinct_in_window.sql": "one rule of five steps, of no use apart",
    "trigger_decisions.sql": "the order of the reasons is one contract, to be read in one piece",
    "int_batch__events.sql": "the one place that says what the working set is",
    "int_user_behavior.sql": "one column group per window",
    "trg_checkout_abandoned.sql": "the sequence, the absence and the evidence of both",
    "trg_related_product_views.sql": "the choice between two categories at one instant",
    "trg_time_on_page.sql": "narrows the working set to the visits that can match first",
}


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("folder", "pattern", "most"),
    [(MODELS / "triggers", "trg_*.sql", 60), (MODELS, "**/*.sql", 120), (MACROS, "**/*.sql", 60)],
    ids=["triggers", "models", "macros"],
)
def test_a_file_is_read_in_one_sitting(folder: Path, pattern: str, most: int) -> None:
    long = {path.name: _lines(path) for path in folder.glob(pattern) if _lines(path) > most and path.name not in LONG}
    assert long == {}, f"longer than {most} lines"


def test_every_exception_still_is_one() -> None:
    paths = {path.name: path for folder in (MODELS, MACROS) for path in folder.glob("**/*.sql")}
    idle = [name for name in LONG if name not in paths or _lines(paths[name]) <= 60]
    assert idle == []


def test_every_macro_has_a_file_of_its_own_name() -> None:
    for path in MACROS.glob("**/*.sql"):
        text = path.read_text(encoding="utf-8")
        names = re.findall(r"{%-?\s*macro\s+(\w+)\(", text)
        names += [
            f"materialization_{name}_{adapter}"
            for name, adapter in re.findall(r"{%-?\s*materialization\s+(\w+), adapter='(\w+)'", text)
        ]
        public = [name for name in names if not name.startswith("default__")]
        assert public == [path.stem], path.name


def test_every_trigger_is_sql_with_its_yaml_and_its_unit_tests() -> None:
    for path in (MODELS / "triggers").glob("*.sql"):
        assert path.with_suffix(".yml").is_file(), path.name
        assert path.with_name(f"{path.stem}__unit_tests.yml").is_file(), path.name


def test_data_tests_are_claims() -> None:
    for path in (PROJECT_DIR / "tests/dbt").glob("**/*.sql"):
        assert path.name.startswith("assert_"), path.name
        assert path.read_text(encoding="utf-8").startswith("-- "), f"{path.name} does not say why it holds"


def test_yaml_can_be_read_without_scrolling() -> None:
    paths = [*MODELS.glob("**/*.yml"), *MACROS.glob("**/*.yml")]
    wide = [
        f"{path.name}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    assert wide == []

"""What the README says, done as it says it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest
from typer.main import get_command

from orchestration.cli import app
from orchestration.commands.doctor import path_of
from orchestration.dbt import build, invoke
from orchestration.load import load_batch
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")
NAMED_BLOCKS = re.findall(r"```\w+ (\S+)\n(.*?)```", README, flags=re.S)
QUERIES = re.findall(r"```sql\n(.*?)```", README, flags=re.S)


def copy_of_the_project(folder: Path) -> Path:
    for name in ("dbt_project", "macros", "seeds", "tests/dbt"):
        shutil.copytree(PROJECT_DIR / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    return folder


def test_the_tenth_trigger_of_the_readme_can_be_added_as_written_and_matches(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path / "project")
    for name, text in NAMED_BLOCKS:
        path = project / name
        path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + text, encoding="utf-8")
    settings = Settings(home=tmp_path / "home")
    simulate(settings.landing_path, events=3_000, days=20, users=60, seed=3)
    load_batch(settings.warehouse_path, settings, replay=True, files=sorted(settings.landing_path.glob("*.jsonl")))

    build(settings, project_dir=project / "dbt_project")
    unit_tests = invoke(
        settings, ["test", "--select", "trg_returned_to_product,test_type:unit"], project_dir=project / "dbt_project"
    )

    ran = [result.node.name for result in unit_tests.result.results if result.node.resource_type == "unit_test"]
    assert unit_tests.success
    assert ran == ["trg_returned_to_product__at_the_threshold_matches"]
    with connect(settings.warehouse_path) as connection:
        matches, fewest_events = connection.execute(
            "select count(*), min(len(event_keys)) from triggers.trigger_matches "
            "where trigger_name = 'returned_to_product'"
        ).fetchall()[0]
    assert matches > 0
    assert fewest_events >= 3


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from orchestration.pipeline import run_batch

    settings = Settings(home=tmp_path_factory.mktemp("readme"))
    simulate(settings.landing_path, events=3_000, days=20, users=60, seed=3)
    run_batch(settings, replay=True, files=sorted(settings.landing_path.glob("*.jsonl")))
    return settings.published_path


def test_every_query_of_the_readme_runs_on_the_published_database(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:  # as the README says
        statements = [text for block in QUERIES for text in block.split(";") if text.strip()]
        assert len(statements) == 6
        for statement in statements:
            connection.execute(statement).fetchall()


def test_every_command_that_the_readme_names_exists() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    named = set(re.findall(r"tripline ([a-z]+)", README))
    assert named <= commands, named - commands


def test_every_path_that_the_readme_asks_the_doctor_for_is_one_that_it_knows(tmp_path: Path) -> None:
    names = set(re.findall(r"doctor --path (\w+)", README))
    assert {"warehouse", "published", "landing", "sources"} <= names
    for name in names:
        assert path_of(Settings(home=tmp_path), name).startswith(str(tmp_path))


def test_every_option_that_the_readme_names_exists() -> None:
    options = {
        option
        for command in get_command(app).commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
        for option in parameter.opts
    }
    named = set(re.findall(r"tripline [a-z]+(?: [^`\n]*?)?(--[a-z-]+)", README))
    assert named <= options, named - options


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT_DIR / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    assert set(re.findall(r"`?make ([a-z]+)`?", README)) - {"sense", "sure"} <= targets


def test_every_file_that_the_readme_links_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    missing = [link for link in links if not (PROJECT_DIR / link).exists()]
    assert not missing

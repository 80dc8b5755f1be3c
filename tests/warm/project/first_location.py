"""Jobs whose course a test decides by files in the folder SMALL_SIGNALS."""

import os
import time
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets
from words import WORD

from orchestration.dbt_manifest import DBT_EXECUTABLE
from orchestration.warm.stand_in import stand_in

HERE = Path(__file__).parent
SIGNALS = Path(os.environ["SMALL_SIGNALS"])
PROJECT = DbtProject(project_dir=HERE, profiles_dir=HERE, target_path=HERE / "target")


def note(name: str, text: str) -> None:
    with (SIGNALS / name).open("a") as file:
        file.write(f"{text}\n")


@dg.op
def say() -> None:
    print(f"printed: {WORD}")
    note("said", WORD)


@dg.op
def wait(context: dg.OpExecutionContext) -> None:
    note("waiting", f"{context.run_id} {os.getpid()} {os.getppid()}")
    deadline = time.monotonic() + 60
    while not (SIGNALS / "go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dg.op
def first_half() -> int:
    note("first_half", "done")
    return 1


@dg.op
def second_half(number: int) -> None:
    assert not (SIGNALS / "fail").exists(), "told to fail"


@dg.job(executor_def=dg.in_process_executor)
def say_job() -> None:
    say()


@dg.job(executor_def=dg.in_process_executor)
def wait_job() -> None:
    wait()


@dg.job(executor_def=dg.in_process_executor)
def halves_job() -> None:
    second_half(first_half())


@dbt_assets(manifest=HERE / "target" / "manifest.json", project=PROJECT)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource):
    note("before_dbt", context.run.run_id)
    while (SIGNALS / "hold dbt").exists():
        time.sleep(0.02)
    yield from dbt.cli(["build"], context=context).stream()


defs = dg.Definitions(
    assets=[models],
    jobs=[
        say_job,
        wait_job,
        halves_job,
        dg.define_asset_job("number_job", selection=["number"], executor_def=dg.in_process_executor),
        dg.define_asset_job("endless_job", selection=["endless"], executor_def=dg.in_process_executor),
    ],
    resources={
        "dbt": DbtCliResource(
            project_dir=str(HERE),
            profiles_dir=str(HERE),
            dbt_executable=str(stand_in(Path(os.environ["DAGSTER_HOME"]), DBT_EXECUTABLE)),
        )
    },
)

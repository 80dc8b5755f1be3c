"""One user's answer is what the warehouse says: the same compiled SQL, over streams that are made to be hard."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import pytest

from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.validation.evaluator import Evaluator
from orchestration.validation.rules import compile_rules
from tests.replay.harness import ask, write_lines
from tests.replay.replaying import WHOLE
from tests.replay.seeding import make_seeded
from tests.replay.streams import SHAPES, Sent, make_pack

EXAMPLES = int(os.environ.get("TRIPLINE_REPLAY_EXAMPLES", "1"))
# (seeds, kind of stream); more of them with TRIPLINE_REPLAY_EXAMPLES.
WORLDS = [("New York", "weeks late"), ("wide windows", "shuffled"), ("passive views", "links last")]
MATCHES = "select user_id, trigger_name, matched_at, * from triggers.trigger_matches order by 1, 2, 3"
TOGETHER = 30  # families that are evaluated at once
ALONE = 25


@dataclass
class World:
    """A stream that a warehouse has built, and an evaluator of the same project."""

    families: dict[str, list[bytes]]
    matches: dict[str, list[tuple[Any, ...]]]
    evaluator: Evaluator
    clock_at: datetime

    def evaluate(self, names: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
        lines = [line for name in names for line in self.families[name]]
        with self.evaluator.loaded(b"".join(line + b"\n" for line in lines), self.clock_at) as connection:
            return _by_user(connection.execute(MATCHES).fetchall())

    def expected(self, names: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
        return {user: rows for user, rows in self.matches.items() if _family_of(user) in names}


@pytest.fixture(scope="module", params=WORLDS[:EXAMPLES], ids=" with ".join)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    seeds, shape = request.param
    folder = tmp_path_factory.mktemp("world")
    project = make_seeded(folder, seeds).project
    compile_rules(folder / "rules.duckdb", project_dir=project.dbt_dir)
    history = make_pack(7, replace(SHAPES[shape], families=150))
    settings = Settings.all_in(folder / "home").model_copy(update={"settle_seconds": 0.0})
    file = write_lines(settings.landing_path, "all.jsonl", [sent.line for sent in history])
    report = load_batch(settings.warehouse_path, settings, replay=True, files=[file])
    assert report.clock_at is not None
    assert project.dbt(settings.warehouse_path, "seed").success
    assert project.dbt(settings.warehouse_path, "run", *WHOLE).success
    rows = ask(settings.warehouse_path, MATCHES)
    evaluator = Evaluator(folder / "rules.duckdb", settings)
    yield World(_families(history), _by_user(rows), evaluator, report.clock_at)
    evaluator.close()


def test_users_that_are_evaluated_together_have_the_matches_of_the_warehouse(world: World) -> None:
    names = sorted(world.families)
    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        assert world.evaluate(some) == world.expected(some)
    triggers = {row[1] for rows in world.matches.values() for row in rows}
    assert len(triggers) == 9, f"the stream tries only {sorted(triggers)}"


def test_a_user_alone_has_the_matches_of_the_warehouse(world: World) -> None:
    matched = {_family_of(user) for user in world.matches}
    for name in sorted(matched)[:ALONE]:
        assert world.evaluate([name]) == world.expected([name])


def test_events_that_make_the_sql_fail_leave_the_next_user_in_peace(world: World) -> None:
    name = sorted({_family_of(user) for user in world.matches})[0]
    with pytest.raises(duckdb.Error):
        world.evaluator.evaluate(b'{"messageId":"1"}\n', "no time")  # type: ignore[arg-type]
    assert world.evaluate([name]) == world.expected([name])


def _families(history: Sequence[Sent]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for sent in history:
        found.setdefault(sent.family, []).append(sent.line.encode())
    return found


def _family_of(user: str) -> str:
    return user.removeprefix("anon:").rpartition("-")[0]


def _by_user(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found

"""Loading history, computing it anew, and beginning on a warehouse that is old already: none of it messages anybody.

Wall clocks throughout, as in production: a year that ended a month ago, and two people of today as a control.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.load import load_batch
from orchestration.platform import CampaignPlatform
from orchestration.push import push
from orchestration.settings import Settings
from orchestration.simulate import simulate
from tests.replay.harness import write_lines
from tests.unit.conftest import WITHOUT_UNIT_TESTS, Warehouse, failures

pytestmark = pytest.mark.xdist_group("dbt_project")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MODELS = (*WITHOUT_UNIT_TESTS, "--exclude-resource-type", "test")
DECISIONS = (
    "select coalesce(reason, decision) as outcome, count(*) from triggers.trigger_decisions group by all order by all"
)
TOLD = "select user_id from triggers.campaign_outbox order by user_id"


class Shop:
    """A warehouse with a year of history, and a campaign platform that shows whom it heard of."""

    def __init__(self, home: Path, platform: CampaignPlatform) -> None:
        settings = Settings(
            home=home, settle_seconds=0, webhook_url=platform.hook_url, webhook_secret=SECRET, delivery="live"
        )  # type: ignore[arg-type]
        self.settings, self.warehouse = settings, Warehouse(settings, [])
        self.ask, self.files = self.warehouse.ask, 0

    def load_history(self) -> None:
        folder = self.settings.home / "history"
        ends = datetime.now(UTC) - timedelta(days=30)
        simulate(folder, events=6_000, days=365, users=80, start=ends - timedelta(days=365), seed=3)
        self._load(sorted(path for path in folder.iterdir() if path.is_file()))

    def load_today(self, *users: str, minutes_ago: int = 10) -> None:
        """Somebody looks at three products of a category within two minutes."""
        lines = []
        for user in users:
            for number in range(3):
                at = datetime.now(UTC) - timedelta(minutes=minutes_ago) + timedelta(seconds=40 * number)
                lines.append(
                    json.dumps({
                        "type": "track", "event": "Product Viewed", "messageId": f"{user}-{number}-{minutes_ago}",
                        "userId": user, "timestamp": at.isoformat(),
                        "properties": {"product_id": f"p{number}", "category": "tents", "url": f"/p{number}"},
                    })
                )  # fmt: skip
        self.files += 1
        self._load([write_lines(self.settings.landing_path, f"today-{self.files}.jsonl", lines)])

    def _load(self, files: list[Path]) -> None:
        assert load_batch(self.settings.warehouse_path, self.settings, files=files).batch_id is not None

    def build(self, *options: str) -> None:
        assert failures(self.warehouse.build(*MODELS, *options)) == []

    def push(self) -> dict[str, dict[str, int]]:
        report = push(self.settings)
        assert not report.problems
        return report.counts


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with CampaignPlatform(tmp_path_factory.mktemp("platform") / "received.jsonl", SECRET) as platform:
        yield platform


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, platform: CampaignPlatform) -> Shop:
    """A year loaded in one go and built for the first time."""
    shop = Shop(tmp_path_factory.mktemp("year"), platform)
    shop.load_history()
    shop.build()
    return shop


def test_a_year_of_history_in_one_go_messages_nobody(shop: Shop) -> None:
    outcomes = dict(shop.ask(DECISIONS))
    assert outcomes["stale"] > 100
    assert set(outcomes) <= {"stale", "anonymous", "no_consent"}
    assert (shop.ask(TOLD), shop.push()) == ([], {})


def test_a_full_refresh_messages_nobody_of_whom_it_did_not_know(shop: Shop) -> None:
    before = shop.ask(DECISIONS)
    shop.build("--full-refresh")
    assert (shop.ask(DECISIONS), shop.ask(TOLD), shop.push()) == (before, [], {})


def test_who_does_something_today_is_told_once_whatever_is_computed_anew(shop: Shop) -> None:
    """The control: the same pipeline does message somebody, and a full refresh does not do so again."""
    shop.load_today("today-1")
    shop.build()
    assert shop.push() == {"webhook": {"delivered": 1}}
    shop.build("--full-refresh")
    assert (shop.ask(TOLD), shop.push()) == ([], {})


def test_without_its_ledger_an_old_warehouse_begins_anew_and_tells_nobody_twice(shop: Shop) -> None:
    """What was decided is lost, as on the first run over a warehouse of events: history is stale again, and what the
    delivery log knows is not sent again, since a decision made anew is the same decision."""
    shop.load_today("today-2")
    shop.build()
    fired = shop.ask("select decision_id from triggers.trigger_firings where user_id like 'today-%' order by all")
    assert shop.push() == {"webhook": {"delivered": 1}}
    for statement in (
        "drop view triggers.trigger_firings cascade",
        "drop table triggers.trigger_decisions cascade",
        "drop table triggers.campaign_queue cascade",
    ):
        shop.ask(statement)
    shop.build("--full-refresh")
    again = shop.ask("select decision_id from triggers.trigger_firings where user_id like 'today-%' order by all")
    assert again == fired and len(fired) == 2
    assert dict(shop.ask(DECISIONS))["stale"] > 100
    assert (shop.ask(TOLD), shop.push()) == ([], {})

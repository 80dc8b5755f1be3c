"""Declared sources: the shipped ones on their real files, and the errors a person gets for a wrong declaration."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestration.errors import ConfigError
from orchestration.load import load_batch, waiting_files
from orchestration.settings import PROJECT_DIR
from orchestration.sources.declarations import SHIPPED_DIR, read_declarations, read_file
from tests.load.conftest import Shop

OWN = """
name: till
files: till/*.csv
format: csv
delimiter: ";"
columns:
  messageId: receipt || '-' || line
  userId: card
  event: "'Order Completed'"
  timestamp: strptime(day, '%d.%m.%Y')
  properties.price: replace(amount, ',', '.')
  properties.quantity: cast(count as integer)
  context.page.url: "'https://till/' || receipt"
  context.consent: json_object('email', mail = 'y')
"""


def test_the_31_google_files_load_whole(shop: Shop, shared_data: Path) -> None:
    for path in sorted((shared_data / "google_merch_store" / "daily").glob("*.parquet")):
        shutil.copyfile(path, shop.settings.landing_path / path.name)
    report = load_batch(shop.connection, shop.settings, replay=True)
    assert (report.events_read, report.events_loaded) == (459_705, 459_705)
    assert {source.source_name for source in report.sources} == {"google_merch_store"}
    counts = dict(shop.rows("select event_name, count(*) from raw.events group by all"))
    assert (counts["page_viewed"], counts["product_viewed"], counts["product_added"]) == (294_301, 53_621, 15_859)
    assert (counts["product_removed"], counts["checkout_started"], counts["order_completed"]) == (1_911, 12_400, 2_522)
    assert shop.one("select count(distinct known_user_id) from raw.events") == 61_699
    assert shop.one("select count(*) from raw.events where category in ('${escCatTitle}', '(not set)')") == 0
    assert shop.one("select count(*) from raw.events where price is not null and product_id is not null") > 80_000


def test_ottos_sessions_load_as_one_event_per_click(shop: Shop) -> None:
    shutil.copyfile(PROJECT_DIR / "examples/otto/train.jsonl", shop.settings.landing_path / "train.jsonl")
    report = load_batch(shop.connection, shop.settings, replay=True)
    assert (report.events_read, report.events_loaded) == (862, 862)
    assert shop.rows("select event_name, count(*) from raw.events group by 1 order by 1") == [
        ("order_completed", 10), ("product_added", 52), ("product_viewed", 800),
    ]  # fmt: skip
    first = "select event_id, known_user_id, product_id, occurred_at::varchar, event_text from raw.events limit 1"
    assert shop.rows(first) == [
        (
            "otto-0-1", "0", "1517085", "2022-07-31 22:00:00.025",
            '{"session":0,"aid":1517085,"ts":1659304800025,"type":"clicks"}',
        )
    ]  # fmt: skip


def test_a_source_of_ones_own_is_a_file_of_expressions(shop: Shop) -> None:
    shop.declare(OWN)
    content = "receipt;line;card;day;amount;count;mail\n1;1;c1;03.05.2024;9,95;2;y\n1;2;c1;31.02.2024;x;y;n\n1;3\n"
    shop.drop("till/a.csv", content)
    assert shop.load().quarantined == {"no_time": 1, "not_a_record": 1}
    columns = (
        "source_name, event_id, event_name, occurred_at::varchar, price::varchar, quantity::varchar, page_url, consent"
    )
    assert shop.rows(f"select {columns} from raw.events") == [
        (
            "till",
            "1-1",
            "order_completed",
            "2024-05-03 00:00:00",
            "9.9500",
            "2.0000",
            "https://till/1",
            '{"email":true}',
        )
    ]
    assert '"amount":"9,95"' in shop.one("select event_text from raw.events")


def test_a_line_without_the_list_to_explode_is_quarantined(shop: Shop) -> None:
    shop.drop("a.jsonl", '{"session":1,"events":[{"aid":1,"ts":1659304800025,"type":"clicks"}]}\n{"session":2}\nbad\n')
    assert shop.load().quarantined == {"not_a_record": 1, "not_json": 1}
    assert shop.rows("select line_number, reason from raw.quarantined_events order by 1") == [
        (2, "not_a_record"),
        (3, "not_json"),
    ]


def test_a_file_that_lacks_a_mapped_column_is_set_aside(shop: Shop) -> None:
    shop.declare(OWN)
    shop.drop("till/a.csv", "receipt;line\n1;1\n")
    (note,) = shop.load().files_set_aside
    assert note.reason.startswith(f"not readable with {shop.settings.sources_path / 'own.yml'}: ")
    assert 'Referenced column "card" not found' in note.reason
    # The statement around the expression is none that the file's owner wrote.
    assert "LINE" not in note.reason and "\n" not in note.reason


def test_the_files_of_a_paused_source_wait(shop: Shop) -> None:
    shop.declare(OWN + "is_paused: true\n")
    shop.drop("till/a.csv", "receipt;line\n1;1\n")
    assert waiting_files(shop.settings) == []
    assert shop.load().batch_id is None
    assert (shop.settings.landing_path / "till/a.csv").exists()


def test_an_own_declaration_replaces_the_shipped_one_of_its_name(shop: Shop) -> None:
    shop.declare((SHIPPED_DIR / "otto.yml").read_text() + "is_paused: true\n")
    paused = {declaration.name: declaration.is_paused for declaration in read_declarations(shop.settings.sources_path)}
    assert paused == {"otto": True, "google_merch_store": False, "site": False}


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("userId: card", "userID: card"), 8, "userID"),
        (("card", "card, day"), 8, "userId"),
        (("userId: card", "userId: (card"), 8, "columns.userId: not an SQL expression"),
        (("columns:", "fields:"), 2, "columns: Field required"),
        (("format: csv", "format: xml"), 4, "format"),
        (("delimiter", "delimeter"), 5, "delimeter"),
        (("name: till", "name: segment"), 2, "built-in"),
        (("messageId", "sentAt"), 6, "messageId"),
        (("name: till", "name: [till"), 3, "not YAML"),
    ],
)
def test_a_wrong_declaration_is_refused_naming_file_line_and_key(
    tmp_path: Path, change: tuple[str, str], line: int, says: str
) -> None:
    path = tmp_path / "own.yml"
    path.write_text(OWN.replace(*change, 1))
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    assert says in str(caught.value)
    assert f"{path}, line {line}" in str(caught.value)

"""What the loader makes of the collector's slices, whoever else claims files."""

from __future__ import annotations

import pytest

from orchestration.errors import ConfigError
from orchestration.settings import Settings
from orchestration.sources.declarations import read_declarations
from tests.collector.conftest import load_all, rows

LINE = '{"receivedAt":"2026-11-24T10:00:00Z","messageId":"%s","userId":"ada","event":"x"}\n'
GREEDY = """
name: greedy
files: '*'
format: jsonl
columns: {messageId: "'m'", userId: "'u'", event: "'x'", timestamp: "'2026-11-24'"}
"""


def test_a_slice_belongs_to_its_source_whatever_patterns_others_declare(settings: Settings) -> None:
    (settings.sources_path / "greedy.yml").write_text(GREEDY)
    for name in ("collected/site/1.jsonl", "collected/app/1.jsonl", "collected/removed/1.jsonl", "other.jsonl"):
        path = settings.landing_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LINE % name)
    report = load_all(settings)
    assert {source.source_name: source.events_loaded for source in report.sources} == {
        "site": 1, "app": 1, "removed": 1, "greedy": 1,
    }  # fmt: skip


def test_a_slice_of_a_paused_source_stays_where_it_is_until_the_source_goes_on(settings: Settings) -> None:
    (settings.sources_path / "app.yml").write_text("name: app\nkind: collector\nis_paused: true\n")
    path = settings.landing_path / "collected" / "app" / "1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(LINE % "m")
    assert load_all(settings).batch_id is None and path.exists()
    (settings.sources_path / "app.yml").write_text("name: app\nkind: collector\n")
    assert load_all(settings).events_loaded == 1


def test_what_was_refused_is_kept_as_it_was_sent_and_a_client_cannot_pretend(settings: Settings) -> None:
    path = settings.landing_path / "collected" / "app" / "1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"refused":"too_large","text":"{\\"a\\": \\"\\u00e9\\n"}\n' + LINE % "m")
    report = load_all(settings)
    assert report.quarantined == {"too_large": 1} and report.events_loaded == 1
    assert rows(settings, "select raw_text, line_number from raw.quarantined_events") == [('{"a": "é\n', 1)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: app\nkind: kafkaesque\n", 2, "none of files, collector"),
        ("name: app\nkind: collector\norigins: [shop.example]\n", 3, "https://shop.example"),
        ("name: app\nkind: collector\norigins: ['https://shop.example/path']\n", 3, "no origin"),
        ("name: app\nkind: collector\nevents_per_second: 0\n", 3, "greater than 0"),
        ("name: app\nkind: collector\nfiles: '*'\n", 3, "not permitted"),
    ],
)
def test_a_wrong_declaration_is_told_with_its_line(settings: Settings, text: str, line: int, says: str) -> None:
    (settings.sources_path / "app.yml").write_text(text)
    with pytest.raises(ConfigError, match=rf"app\.yml, line {line}, .*{says}"):
        read_declarations(settings.sources_path)

"""The collector says at once what the loader will say later: two readings of one rule must not part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.collector import cloudevents, segment, snowplow
from orchestration.collector.items import Item
from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.sources.landing import list_files
from orchestration.warehouse import connect

RECEIVED = "2026-11-24T10:00:00.000000Z"
WORDS = st.sampled_from(
    ["", " ", "u1", "null", "undefined", "anon:7", " anon:7", "\u00a0", "\u2003x", "---", "_", "日本", "é", "٣", "²",
     "½", "\u200b", "\ufeff", "Product Viewed", "a\nb", "0", "\x1c", "ǅ", "ª", "\U0001d7d9", "Ⅷ", "\u0301"]
)  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.floats(allow_nan=False, allow_infinity=False), WORDS,
    st.text(max_size=6), st.just({}), st.just([1]),
)  # fmt: skip
TYPES = st.one_of(st.sampled_from([*segment.TYPES, "Page", " page", "x"]), VALUES)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "messageId": VALUES, "userId": VALUES, "anonymousId": VALUES, "type": TYPES, "event": VALUES,
        "timestamp": VALUES, "originalTimestamp": VALUES, "sentAt": VALUES, "receivedAt": VALUES,
        "properties": VALUES, "context": VALUES, "writeKey": VALUES, "refused": VALUES,
    },
)  # fmt: skip
TEXTS = st.one_of(
    EVENTS.map(json.dumps),
    EVENTS.map(lambda event: json.dumps(event, ensure_ascii=False, indent=1)),
    VALUES.map(json.dumps),
    st.text(max_size=30),
    st.sampled_from(
        ['{"userId":"u","event":"x","a":1e999}', '{"userId":"\\ud800","event":"x"}', '{"userId":"u","event":"x",}',
         '{"userId":"u","event":"x","a":NaN}', '{"userId":"u","userId":null,"event":"x"}',
         '{"userId":"a\\u0000b","event":"x"}', '{"userId":1.10,"event":"x"}', '{"userId":"u","event":"x","a":[1,]}']
    ),
)  # fmt: skip
ANY_BYTES = st.one_of(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=30))


class Loader:
    """The real one, on a warehouse of its own."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.all_in(home).model_copy(update={"settle_seconds": 0.0})
        self.number = 0
        self.connection: duckdb.DuckDBPyConnection | None = None

    def verdicts(self, items: list[Item]) -> list[str | None]:
        """For each line the reason it was quarantined for; None where it was loaded."""
        self.number += 1
        folder = self.settings.landing_path / "collected" / "site"
        folder.mkdir(parents=True, exist_ok=True)
        # The same content is loaded once: the last line makes it another one.
        marker = b'{"refused":"marker","text":"%d"}\n' % self.number
        (folder / f"{self.number}.jsonl").write_bytes(b"".join(item.line for item in items) + marker)
        with connect(self.settings.warehouse_path, wait_seconds=10) as connection:
            report = load_batch(connection, self.settings, files=list_files(self.settings.landing_path))
            found = connection.execute(
                "select line_number, null from raw.events where batch_id = $1"
                " union all select line_number, reason from raw.quarantined_events where batch_id = $1 order by 1",
                [report.batch_id],
            ).fetchall()
        assert [line for line, _ in found] == list(range(1, len(items) + 2)), "every item is one line, and counted"
        return [reason for _, reason in found[:-1]]


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Loader:
    return Loader(tmp_path_factory.mktemp("verdicts"))


MANY = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def agree(loader: Loader, items: list[Item]) -> None:
    if items:
        expected = [item.reason for item in items]
        assert loader.verdicts(items) == expected, [item.line for item in items]


@MANY
@given(st.lists(st.tuples(st.sampled_from(segment.TYPES), ANY_BYTES), min_size=80, max_size=160))
def test_single_calls(loader: Loader, calls: list[tuple[str, bytes]]) -> None:
    agree(loader, [item for call, body in calls for item in segment.read_call(call, body).build(RECEIVED, None)])


@MANY
@given(
    st.lists(
        st.fixed_dictionaries(
            {"batch": st.one_of(st.lists(st.one_of(EVENTS, VALUES), max_size=8), VALUES)},
            optional={"context": VALUES, "sentAt": VALUES, "integrations": VALUES},
        ),
        min_size=20,
        max_size=60,
    )
)
def test_batches(loader: Loader, batches: list[dict[str, Any]]) -> None:
    bodies = [json.dumps(batch).encode() for batch in batches]
    agree(loader, [item for body in bodies for item in segment.read_call("batch", body).build(RECEIVED, None)])


def test_a_batch_whose_shared_part_is_broken_is_refused_before_it_breaks_its_items(loader: Loader) -> None:
    body = b'{"batch":[{"userId":"ada","event":"x"}],"context":{"a":"\xed\xa0\x80"}}'
    items = segment.read_call("batch", body).build(RECEIVED, None)
    assert [item.reason for item in items] == ["no_batch"]
    agree(loader, items)


CLOUD = st.fixed_dictionaries(
    {"specversion": st.sampled_from(["1.0", "1.1", "0.3"]), "id": WORDS, "source": WORDS, "type": WORDS},
    optional={
        "data": st.one_of(EVENTS, VALUES),
        "subject": WORDS,
        "time": WORDS,
        "userid": WORDS,
        "data_base64": WORDS,
    },
)


@MANY
@given(st.lists(st.one_of(CLOUD, VALUES, EVENTS), min_size=60, max_size=120), st.lists(ANY_BYTES, max_size=10))
def test_cloudevents(loader: Loader, events: list[Any], others: list[bytes]) -> None:
    items = cloudevents.read_batch(json.dumps(events).encode()).build(RECEIVED, None)
    for body in others:
        items += cloudevents.read_structured(body).build(RECEIVED, None)
        headers = {"ce-id": "1", "ce-source": "/s", "ce-type": "Viewed", "ce-specversion": "1.0", "ce-userid": "u%20"}
        items += cloudevents.read_binary(headers, body).build(RECEIVED, None)
    agree(loader, items)


SNOWPLOW = st.fixed_dictionaries(
    {"e": st.sampled_from(["pv", "pp", "se", "ue", "tr", "ti", "??"])},
    optional=dict.fromkeys(
        ("eid", "uid", "duid", "dtm", "stm", "ttm", "se_ac", "ue_pr", "ue_px", "tr_tt", "url"), WORDS
    ),
)


@MANY
@given(st.lists(st.one_of(SNOWPLOW, VALUES), min_size=60, max_size=120))
def test_snowplow(loader: Loader, events: list[Any]) -> None:
    agree(loader, snowplow.read_payload(json.dumps({"data": events}).encode()).build(RECEIVED, None))

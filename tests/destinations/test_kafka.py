"""Firings into a topic, on librdkafka's mock cluster: what is there, and what the log says of it, agree."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError

from orchestration.commands.preview import preview
from orchestration.destinations.base import Destination, OutboxRow, Outcome, SendResult
from orchestration.destinations.registry import Registry
from orchestration.errors import ConfigError, EndpointRefused
from orchestration.push import push
from orchestration.push_report import PushReport
from orchestration.settings import get_settings
from tests.destinations.case_webhook import SINGLE as WEBHOOK
from tests.destinations.kafka_gate import Gate
from tests.destinations.rows import outbox_row
from tests.destinations.topics import Topic, headers_of
from tests.push.conftest import PUSH, Shop, eventually
from tests.streams.mock_cluster import PRODUCE, PRODUCER_ID, MockCluster

NOT_LEADER, TOO_LARGE, TOPIC_DENIED, CLUSTER_DENIED, OUT_OF_ORDER, INVALID_RECORD = 6, 10, 29, 31, 45, 87
FOREVER = 60_000  # milliseconds
CANARY = "canary-kafka-password"


@pytest.fixture(scope="module")
def shared() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: MockCluster) -> Iterator[MockCluster]:
    yield shared
    shared.tell("forgive", PRODUCE)


@pytest.fixture
def fragile() -> Iterator[MockCluster]:
    """For a test that leaves it as no other could use it."""
    with MockCluster() as cluster:
        yield cluster


def use(cluster: MockCluster, patch: pytest.MonkeyPatch, partitions: int = 1, **more: str) -> Topic:
    """A new topic of the cluster's, and the environment that leads there."""
    topic = Topic(cluster.brokers, f"firings-{uuid4().hex[:8]}")
    cluster.tell("topic", topic.name, partitions)
    quick = {"TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS": "10", "TRIPLINE_PUSH_CONNECT_TIMEOUT_SECONDS": "1"}
    given = {"TRIPLINE_KAFKA_BROKERS": cluster.brokers, "TRIPLINE_KAFKA_TOPIC": topic.name, **quick, **more}
    for name, value in given.items():
        patch.setenv(name, value)
    return topic


@pytest.fixture
def create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Destination]]:
    """Makes the destination as a push does, from the environment as it stands."""
    made: list[Destination] = []
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path))

    def create() -> Destination:
        made.append(Registry(settings=get_settings()).create("kafka", get_settings()))
        return made[-1]

    yield create
    for destination in made:
        destination.close()


def rows_of(count: int, **changes: Any) -> list[OutboxRow]:
    return [outbox_row(number, **changes) for number in range(count)]


def outcomes(results: Sequence[SendResult]) -> dict[str, int]:
    return dict(Counter(str(result.outcome) for result in results))


def run() -> PushReport:
    return push(get_settings())


# What a consumer gets


def test_a_firing_is_in_its_topic_once_under_its_user_and_says_what_the_webhook_says(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch, partitions=3)
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(20, campaign="to_kafka")
    assert run().counts == {"kafka": {"delivered": 20}}
    assert run().counts == {}
    messages = topic.messages()
    logged = shop.run(
        "select idempotency_key, user_id, decision_id, trigger_name from triggers.campaign_deliveries"
        " where status = 'delivered' order by all"
    )
    found = [
        (said["idempotency-key"], (message.key() or b"").decode(), said["decision-id"], said["trigger"])
        for message in messages
        if (said := headers_of(message))
    ]
    assert sorted(found) == logged
    assert {said["campaign"] for said in map(headers_of, messages)} == {"to_kafka"}
    assert {said["content-type"] for said in map(headers_of, messages)} == {"application/json"}
    places = {answer for (answer,) in shop.run("select distinct answer from triggers.campaign_deliveries") if answer}
    assert places == {f"{topic.name}/{one.partition()}, offset {one.offset()}" for one in messages}


def test_the_value_is_the_webhooks_body_byte_for_byte(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch)
    row = outbox_row(7, campaign="Grüße", properties={"category": "Schuhe \N{HIGH VOLTAGE SIGN}"})
    create().send([row])
    (message,) = topic.messages()
    for name, value in WEBHOOK.environment("http://127.0.0.1:1").items():
        monkeypatch.setenv(name, value)
    webhook = Registry(settings=get_settings()).create("webhook", get_settings())
    (request,) = webhook.prepare([row])
    webhook.close()
    assert message.value() == request.body
    assert headers_of(message)["campaign"] == "Grüße"


def test_a_campaign_may_name_a_topic_of_its_own(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, other = use(cluster, monkeypatch), Topic(cluster.brokers, f"carts-{uuid4().hex[:8]}")
    cluster.tell("topic", other.name, 1)
    shop.add_campaign("usual", "kafka")
    shop.add_campaign("carts", "kafka", None, other.name)
    shop.fire(2, campaign="usual")
    shop.fire(3, first=2, campaign="carts")
    assert run().counts == {"kafka": {"delivered": 5}}
    assert (len(topic.messages()), len(other.messages())) == (2, 3)


def test_a_user_has_the_partition_that_javas_producers_give_the_key(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch, partitions=10)
    create().send(rows_of(30))
    assert len({message.partition() for message in topic.messages()}) > 3
    # The vectors of org.apache.kafka.common.utils.UtilsTest: murmur2 of a key, made positive.
    vectors = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}
    create().send([outbox_row(number, user_id=name) for number, name in enumerate(vectors)])
    found = {(one.key() or b"").decode(): one.partition() for one in topic.messages()}
    assert {name: found[name] for name in vectors} == {
        name: (value & 0x7FFFFFFF) % 10 for name, value in vectors.items()
    }


def test_what_a_preview_shows_is_what_is_sent_and_it_asks_no_broker(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch)
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(3, campaign="to_kafka")
    with monkeypatch.context() as away:
        away.setenv("TRIPLINE_KAFKA_BROKERS", "127.0.0.1:1")
        (sending,) = preview(get_settings(), is_redacted=False).sendings
    assert run().counts == {"kafka": {"delivered": 3}}
    shown = [(one.method, one.path, one.headers, one.body) for one in sending.requests]
    messages = topic.messages()
    assert [method for method, *_ in shown] == ["PRODUCE"] * 3
    assert [said[1:] for said in shown] == [
        (one.topic(), {"key": (one.key() or b"").decode(), **headers_of(one)}, json.loads(one.value() or b""))
        for one in messages
    ]


def test_a_limit_that_a_person_sets_is_kept_by_messages(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cluster, monkeypatch, TRIPLINE_PUSH_RATE_LIMITS='{"kafka": [[20, 1]]}')
    destination = create()
    started = time.monotonic()
    assert outcomes(destination.send(rows_of(21))) == {"delivered": 21}
    assert time.monotonic() - started > 0.9
    assert destination.traffic.limiter_wait_seconds > 0.5


# Rows that will never be taken


def test_a_campaign_that_asks_for_what_cannot_be_is_refused_by_name_and_the_others_go_out(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cluster, monkeypatch)
    rows = [outbox_row(0, platform_ref="no such/topic"), outbox_row(1, action="profile"), outbox_row(2)]
    results = {result.row.user_id: result for result in create().send(rows)}
    assert [results[user].outcome for user in ("u0", "u1", "u2")] == ["rejected", "rejected", "delivered"]
    assert 'seeds/campaigns.csv, campaign "come_back": no topic can be called' in results["u0"].answer
    assert "knows no action" in results["u1"].answer


def test_a_message_that_is_too_large_loses_only_itself(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch)
    rows = rows_of(12)
    rows[5] = outbox_row(5, properties={"text": "x" * 1_100_000})
    results = create().send(rows)
    assert outcomes(results) == {"delivered": 11, "rejected": 1}
    (lost,) = [result for result in results if result.outcome is Outcome.REJECTED]
    assert lost.row.user_id == "u5" and "size too large" in lost.answer
    assert topic.keys()[rows[5].idempotency_key] == 0


def test_of_a_batch_that_a_broker_refuses_only_the_record_at_fault_is_lost(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch)
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(8, campaign="to_kafka")
    cluster.tell("errors", PRODUCE, INVALID_RECORD, 4)  # all eight, the first four of them, two, one
    assert run().counts == {"kafka": {"delivered": 7, "rejected": 1}}
    ((user, reason),) = shop.run("select user_id, reason from triggers.dead_letters")
    assert "failed to validate record" in reason
    keys = topic.keys()
    assert len(keys) == 7 and set(keys.values()) == {1}
    assert user not in {(one.key() or b"").decode() for one in topic.messages()}


@pytest.mark.parametrize("size", [1, 500])
def test_a_topic_that_takes_nothing_does_not_reject_a_whole_outbox_though_another_is_in_order(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    use(cluster, monkeypatch, TRIPLINE_PUSH_BATCH_SIZES=json.dumps({"kafka": size}))
    wrong = f"wrong-{uuid4().hex[:8]}"
    cluster.tell("topic", wrong, 1)
    cluster.tell("topic_errors", wrong, PRODUCE, TOO_LARGE, 200)
    rows = [outbox_row(number, platform_ref=wrong if number % 2 else None) for number in range(60)]
    results = create().send(rows)
    assert outcomes(results) == {"delivered": 30, "rejected": 8, "failed": 22}
    assert {result.row.platform_ref for result in results if result.outcome is Outcome.DELIVERED} == {None}


# Brokers that are away, and brokers that say no


def test_brokers_that_are_down_get_everything_when_they_are_back(
    shop: Shop, fragile: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(fragile, monkeypatch)
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(5, campaign="to_kafka")
    for broker in (1, 2, 3):
        fragile.tell("down", broker)
    started = time.monotonic()
    assert run().counts == {"kafka": {"failed": 5}}
    assert time.monotonic() - started < 5, "it does not wait for as long as for an answer"
    ((answer,),) = shop.run("select distinct answer from triggers.campaign_deliveries where status = 'failed'")
    assert topic.name in answer and "Connection refused" in answer
    for broker in (1, 2, 3):
        fragile.tell("up", broker)
    assert run().counts == {"kafka": {"delivered": 5}}
    assert shop.final() == {"delivered": 5}
    assert list(topic.keys().values()) == [1] * 5


def test_what_never_left_because_the_brokers_went_down_in_the_middle_is_not_in_doubt(
    fragile: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fragile, monkeypatch)
    destination = create()
    rows = rows_of(20)
    assert outcomes(destination.send(rows[:10])) == {"delivered": 10}
    for broker in (1, 2, 3):
        fragile.tell("down", broker)
    results = destination.send(rows[10:])
    assert outcomes(results) == {"failed": 10}
    assert all("Connection refused" in result.answer for result in results)


def test_a_leader_that_moves_costs_a_retry_and_nothing_else(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch)
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(5, campaign="to_kafka")
    cluster.tell("errors", PRODUCE, NOT_LEADER, 1)
    report = run()
    assert report.counts == {"kafka": {"delivered": 5}}
    traffic = report.traffic["kafka"]
    assert (traffic.requests, traffic.retries) == (10, 5), "every message twice on the wire"
    assert len(traffic.latencies) == 5 and (traffic.p95_latency() or 0) > 0
    assert list(topic.keys().values()) == [1] * 5


def test_a_topic_that_may_not_be_written_to_rejects_nobody_and_holds_up_no_other_topic(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, denied = use(cluster, monkeypatch), Topic(cluster.brokers, f"denied-{uuid4().hex[:8]}")
    cluster.tell("topic", denied.name, 1)
    cluster.tell("topic_error", denied.name, TOPIC_DENIED)
    shop.add_campaign("open", "kafka")
    shop.add_campaign("shut", "kafka", None, denied.name)
    shop.fire(2, campaign="open")
    shop.fire(3, first=2, campaign="shut")
    report = run()
    assert report.counts == {"kafka": {"delivered": 2, "failed": 3}}
    problem = report.problems["kafka"]
    assert isinstance(problem, EndpointRefused) and denied.name in str(problem) and "authorization" in str(problem)
    cluster.tell("topic_error", denied.name, 0)
    assert run().counts == {"kafka": {"delivered": 3}}
    assert (len(topic.messages()), len(denied.messages())) == (2, 3)


def test_a_right_that_is_taken_away_in_the_middle_rejects_nobody(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cluster, monkeypatch)
    destination = create()
    assert outcomes(destination.send(rows_of(3))) == {"delivered": 3}
    cluster.tell("errors", PRODUCE, TOPIC_DENIED, 1)
    assert outcomes(destination.send(rows_of(3))) == {"failed": 3}
    assert destination.traffic.refusal
    assert outcomes(destination.send(rows_of(3))) == {"failed": 3}, "nothing more is sent in this push"


def test_a_cluster_that_allows_no_idempotent_writes_says_so(
    fragile: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fragile, monkeypatch)
    fragile.tell("errors", PRODUCER_ID, CLUSTER_DENIED, 10)
    destination = create()
    results = destination.send(rows_of(3))
    assert outcomes(results) == {"failed": 3}
    assert "Cluster authorization failed" in (destination.traffic.refusal or "")


def test_a_missing_topic_is_named_and_its_rows_wait_for_it(
    cluster: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch)
    cluster.tell("topic_error", topic.name, KafkaError.UNKNOWN_TOPIC_OR_PART)
    (result,) = create().send(rows_of(1))
    assert result.outcome is Outcome.FAILED
    assert result.answer.startswith(f"{topic.name}: ") and "Unknown topic" in result.answer


# What is in doubt


def test_a_message_whose_answer_never_comes_is_written_again_under_the_same_key(
    shop: Shop, fragile: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(fragile, monkeypatch, TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS="1.5")
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(1, campaign="to_kafka")
    fragile.tell("late", PRODUCE, FOREVER)
    started = time.monotonic()
    assert run().counts == {"kafka": {"unknown": 1}}
    assert time.monotonic() - started < 8, "a broker that is silent does not hold a push"
    assert list(topic.keys().values()) == [1], "it had been written"
    assert run().counts == {"kafka": {"delivered": 1}}
    assert list(topic.keys().values()) == [2], "one key, by which a consumer knows it again"
    assert shop.final() == {"delivered": 1}


def test_what_is_in_doubt_waits_for_a_person_where_the_policy_is_to_hold_it(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = use(cluster, monkeypatch, TRIPLINE_PUSH_CRASH_POLICIES='{"kafka": "hold"}')
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(1, campaign="to_kafka")
    cluster.tell("errors", PRODUCE, OUT_OF_ORDER, 1)  # after which an idempotent producer knows nothing any more
    assert run().counts == {"kafka": {"unknown": 1}}
    run()
    assert shop.final() == {"held": 1}
    assert topic.messages() == []


def test_brokers_that_stay_silent_cost_a_push_no_more_than_it_may_lose(
    fragile: MockCluster, create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS": "1.5", "TRIPLINE_PUSH_MAX_WAIT_SECONDS": "0.5"}
    use(fragile, monkeypatch, TRIPLINE_PUSH_BATCH_SIZES='{"kafka": 2}', **more)
    fragile.tell("late", PRODUCE, *[FOREVER] * 20)
    destination = create()
    started = time.monotonic()
    results = destination.send(rows_of(10))
    assert outcomes(results) == {"unknown": 2, "failed": 8}
    assert any("had cost this push" in result.answer for result in results)
    destination.close()
    assert time.monotonic() - started < 6


def test_a_push_killed_in_the_middle_leaves_a_topic_and_a_log_that_the_next_one_brings_together(
    shop: Shop, fragile: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"TRIPLINE_PUSH_GROUP_ROWS": "10", "TRIPLINE_PUSH_BATCH_SIZES": '{"kafka": 10}'}
    topic = use(fragile, monkeypatch, TRIPLINE_PUSH_CLAIM_ROWS="20", **small)
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(60, campaign="to_kafka")
    fragile.tell("late", PRODUCE, 0, 0, FOREVER)
    process = subprocess.Popen([sys.executable, "-c", PUSH], env=dict(os.environ))
    try:
        eventually(lambda: len(topic.keys()) == 30, "the third group is written, and nobody has told", 30)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = shop.final()
    assert left["claimed"] >= 10 and left.get("delivered", 0) <= 20
    counts = run().counts["kafka"]
    assert set(counts) == {"delivered"}
    assert shop.final() == {"delivered": 60}
    logged = {key for (key,) in shop.run("select distinct idempotency_key from triggers.campaign_deliveries")}
    keys = topic.keys()
    assert set(keys) == logged, "every firing is there"
    assert sum(keys.values()) == 30 + counts["delivered"], "and twice only what the log did not know to be there"
    assert max(keys.values()) == 2
    values = {}
    for message in topic.messages():
        key = headers_of(message)["idempotency-key"]
        assert values.setdefault(key, message.value()) == message.value(), "a copy is a copy"


# Settings and secrets


def test_a_dry_run_needs_no_brokers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_DRY_RUN", '["kafka"]')
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(2, campaign="to_kafka")
    assert run().counts == {"kafka": {"dry_run": 2}}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BROKERS", "", "TRIPLINE_KAFKA_BROKERS is not set"),
        ("TOPIC", " ", "TRIPLINE_KAFKA_TOPIC is not set"),
        ("TOPIC", "a b", 'no topic can be called "a b"'),
        ("SETTINGS", f"sasl.password={CANARY}", "no JSON object"),
        ("SETTINGS", f'{{"sasl.password": ["{CANARY}"]}}', "no JSON object"),
        ("SETTINGS", '{"acks": "1"}', "'acks' is the destination's own"),
        ("SETTINGS", '{"no.such": "x"}', 'No such configuration property: "no.such"'),
        ("SETTINGS", '{"sasl.password": "${SHOP_PASSWORD}"}', "SHOP_PASSWORD is not set"),
        ("SETTINGS", f'{{"security.protocol": "SSL", "ssl.key.pem": "{CANARY}"}}', "TRIPLINE_KAFKA_SETTINGS"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_before_anything_is_claimed_and_without_its_secret(
    create: Callable[[], Destination], monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    for variable, text in {"BROKERS": "127.0.0.1:1", "TOPIC": "firings", name: value}.items():
        monkeypatch.setenv(f"TRIPLINE_KAFKA_{variable}", text)
    with pytest.raises(ConfigError) as error:
        create()
    assert says in str(error.value) and CANARY not in str(error.value)


def test_a_wrong_password_stops_the_push_rejects_nobody_and_is_seen_nowhere_even_if_the_broker_repeats_it(
    shop: Shop, cluster: MockCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    topic = use(cluster, monkeypatch)
    monkeypatch.setenv("SHOP_PASSWORD", CANARY)
    sasl = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN", "sasl.username": "shop", "debug": "all"}
    shop.add_campaign("to_kafka", "kafka")
    shop.fire(3, campaign="to_kafka")
    with Gate() as gate, monkeypatch.context() as wrong:
        wrong.setenv("TRIPLINE_KAFKA_BROKERS", gate.address)
        wrong.setenv("TRIPLINE_KAFKA_SETTINGS", json.dumps({**sasl, "sasl.password": "${SHOP_PASSWORD}"}))
        started = time.monotonic()
        report = run()
        assert time.monotonic() - started < 5
    assert report.counts == {"kafka": {"failed": 3}}
    assert isinstance(report.problems["kafka"], EndpointRefused)
    told = repr(report) + json.dumps(report.as_dict(), default=str) + str(report.problems["kafka"])
    rows = shop.run("select to_json(d)::varchar from triggers.campaign_deliveries as d")
    text = told + caplog.text + str(rows) + repr(get_settings())
    assert "you sent  shop ***" in told and "you sent  shop ***" in str(rows), "the broker's words are kept"
    assert "sasl.mechanisms" in caplog.text, "so is what librdkafka says when it is asked to say everything"
    assert CANARY not in text
    assert run().counts == {"kafka": {"delivered": 3}}
    assert len(topic.keys()) == 3

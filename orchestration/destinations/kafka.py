"""Kafka: a firing is a message of a topic, keyed by the user.

By an idempotent producer (KIP-98): what librdkafka sends again within a push is in the topic once. Its sessions know
nothing of each other, and a topic knows no keys: what a later push sends again is there twice, under one idempotency
key, for consumers to see. The value is what the webhook sends, one firing a message.

Messages have the time at which they are sent, not the match's: brokers refuse old ones, or delete them with the
segment they would belong to.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, SendResult
from orchestration.destinations.batches import Hunt, halves, log_bug
from orchestration.destinations.kafka_message import Message, Report
from orchestration.destinations.limiter import RateLimiter
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.traffic import Traffic
from orchestration.destinations.vendors import action_of, read_settings, wrong_campaign
from orchestration.destinations.webhook import message_of
from orchestration.destinations.wire import Request
from orchestration.errors import ConfigError, PermanentDeliveryError
from orchestration.settings import Settings
from orchestration.sources.streams.base import from_environment

if TYPE_CHECKING:
    from orchestration.destinations.kafka_session import Session

NAME = "kafka"
ACTIONS = ("message",)
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
SETTINGS = "TRIPLINE_KAFKA_SETTINGS"

CAPABILITIES = Capabilities(
    max_batch_size=500,  # on the wire at once, and so what a kill leaves unrecorded: it will be in the topic twice
    idempotency_key_field="idempotency-key",
    deduplicates=False,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    permanent_statuses=frozenset(),
    partial_failure="the brokers answer for every message; what was refused in company is sent again alone",
    history=None,  # who reads the topic acts on what is in it
    promises={
        CrashPolicy.RESEND: "nothing is lost; what is in doubt is written again with the same idempotency-key header, "
        "and takes effect once where consumers keep the keys they have seen",
        CrashPolicy.HOLD: "no push writes what an earlier one may have written; what is in doubt waits for a person",
    },
)


class KafkaSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_KAFKA_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_KAFKA_", extra="ignore")

    brokers: str = Field(default="", description="host:port of some of them, with commas")
    topic: str = Field(default="", description="of campaigns that name none as their platform_ref")
    settings: SecretStr | None = Field(
        default=None,
        description="librdkafka's own, as a JSON object; ${NAME} in a value stands for an environment variable",
    )


def create(settings: Settings) -> KafkaDestination:
    """Raises ConfigError where brokers or topic are missing, or a setting makes no sense."""
    # Importing it takes as long as a small push; most have nothing for Kafka.
    from orchestration.destinations.kafka_session import Session

    ours = read_settings(KafkaSettings)
    brokers = _required(ours.brokers, "TRIPLINE_KAFKA_BROKERS", "it is host:port of one broker or some, with commas")
    topic = _required(ours.topic, "TRIPLINE_KAFKA_TOPIC", "it is the topic of campaigns that name none")
    if not TOPIC.fullmatch(topic):
        raise ConfigError(f'TRIPLINE_KAFKA_TOPIC: no topic can be called "{topic}"', "mend the environment variable")
    push_settings = PushSettings()
    traffic = Traffic()
    limits = push_settings.limits_of(NAME, CAPABILITIES)
    session = Session(
        brokers,
        _given(ours.settings),
        SETTINGS,
        answer_seconds=push_settings.answer_timeout_seconds,
        connect_seconds=push_settings.connect_timeout_seconds,
        limiter=RateLimiter(limits, push_settings.share_of(NAME), traffic) if limits else None,
        traffic=traffic,
    )
    return KafkaDestination(session, traffic, topic, push_settings)


def _required(value: str, variable: str, what: str) -> str:
    if not value.strip():
        raise ConfigError(f"{variable} is not set", what)
    return value.strip()


def _given(settings: SecretStr | None) -> dict[str, Any]:
    """Without a word of what is wrong with it: the whole of it may be a secret."""
    try:
        given = json.loads(settings.get_secret_value()) if settings else {}
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise ConfigError(f"{SETTINGS} is no JSON object of settings", 'for example {"security.protocol": "SASL_SSL"}')
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    return {**given, **from_environment(texts, Path(SETTINGS))}


class KafkaDestination:
    """`topic`: where a campaign names none."""

    capabilities = CAPABILITIES

    def __init__(self, session: Session, traffic: Traffic, topic: str, push_settings: PushSettings) -> None:
        self.traffic = traffic
        self._session = session
        self._topic = topic
        self._at_once = push_settings.batch_size_of(NAME, CAPABILITIES)
        self._patience = push_settings.max_wait_seconds
        self._lost_seconds = 0.0
        self._hunts: defaultdict[str, Hunt] = defaultdict(Hunt)
        """By topic: one that takes nothing must not reject an outbox because another is in order."""

    def encode(self, row: OutboxRow) -> Message:
        """Raises PermanentDeliveryError where the campaign asks for what cannot be."""
        action_of(row, ACTIONS)
        topic = (row.platform_ref or "").strip() or self._topic
        if not TOPIC.fullmatch(topic):
            raise wrong_campaign(row, f'no topic can be called "{topic}"')
        request = Request.of_json(topic, message_of([row]))
        headers = {
            "idempotency-key": row.idempotency_key,
            "decision-id": row.decision_id,
            "trigger": row.trigger_name,
            "campaign": row.campaign,
        }
        return Message(topic, row.user_id, request.body, {**headers, **request.headers})

    def prepare(self, rows: Sequence[OutboxRow]) -> list[Request]:
        """The topic as the path, and the message's key before its headers."""
        written, _ = self._written(rows)
        return [
            Request(message.topic, message.value, "PRODUCE", {"key": message.key, **message.headers})
            for _, message in written
        ]

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        written, results = self._written(rows)
        for start in range(0, len(written), self._at_once):
            results += self._deliver(written[start : start + self._at_once])
        return results

    def reconcile(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        raise NotImplementedError("a topic is not searched for keys")

    def close(self) -> None:
        self._session.close()

    def _written(self, rows: Sequence[OutboxRow]) -> tuple[list[tuple[OutboxRow, Message]], list[SendResult]]:
        """Rows with their messages, and results of those that can have none."""
        written, results = [], []
        for row in rows:
            try:
                written.append((row, self.encode(row)))
            except PermanentDeliveryError as error:
                results.append(SendResult(row, Outcome.REJECTED, answer=error.message))
            except Exception as error:  # a bug; nothing was sent, so nothing is in doubt
                log_bug([row], error)
                told = f"not sent: the row could not be put into a message ({type(error).__name__})"
                results.append(SendResult(row, Outcome.FAILED, answer=told))
        return written, results

    def _deliver(self, written: Sequence[tuple[OutboxRow, Message]]) -> list[SendResult]:
        """A broker refuses a batch for the sake of one message in it: what was refused is halved until it is alone."""
        results = []
        refused = defaultdict(list)
        for (row, message), report in zip(written, self._reports([message for _, message in written]), strict=True):
            hunt = self._hunts[message.topic]
            hunt.has_taken = hunt.has_taken or report.outcome is Outcome.DELIVERED
            if report.outcome is not Outcome.REJECTED or report.is_own_fault:
                results.append(SendResult(row, report.outcome, answer=report.told))
            elif len(written) > 1:
                refused[message.topic].append((row, message))
            elif hunt.is_hopeless:
                results.append(_left_for_later(row, hunt))
            else:
                hunt.refused_alone += 1
                results.append(SendResult(row, Outcome.REJECTED, answer=report.told))
        for topic, left in refused.items():
            for half in halves(left):
                if self._hunts[topic].is_hopeless:
                    results += [_left_for_later(row, self._hunts[topic]) for row, _ in half]
                elif half:
                    results += self._deliver(half)
        return results

    def _reports(self, messages: Sequence[Message]) -> list[Report]:
        if self.traffic.refusal is not None:
            return [Report(Outcome.FAILED, f"not sent: {self.traffic.refusal}") for _ in messages]
        if self._lost_seconds >= self._patience:
            told = f"not sent: the brokers had cost this push {self._lost_seconds:.0f} s"
            return [Report(Outcome.FAILED, told) for _ in messages]
        started = time.monotonic()
        reports = self._session.send(messages)
        if not any(report.outcome in (Outcome.DELIVERED, Outcome.REJECTED) for report in reports):
            self._lost_seconds += time.monotonic() - started
        return reports


def _left_for_later(row: OutboxRow, hunt: Hunt) -> SendResult:
    told = f"not sent: {hunt.refused_alone} rows before it were each refused, and the topic took none"
    return SendResult(row, Outcome.FAILED, answer=told)

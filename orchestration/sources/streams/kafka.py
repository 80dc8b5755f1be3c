"""Kafka: a topic's messages, by confluent-kafka.

Partitions are assigned by hand and not by the consumer group: only the process that has the warehouse may read on, and
which one that is, DuckDB's lock decides. The group's offsets are committed for whoever watches the lag.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from pydantic import Field, field_validator

from orchestration.collector import cloudevents
from orchestration.errors import ConfigError
from orchestration.librdkafka import SECRET_WORDS, text_of, words_of
from orchestration.sources.streams.base import (
    Gap,
    Portion,
    Position,
    SourceStopped,
    SourceUnavailable,
    StreamDeclaration,
    from_environment,
)
from orchestration.sources.streams.messages import Messages

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0  # for a broker's answer; a batch with dead brokers takes so much longer
ID_SECONDS = 2.0  # for the topic's id, which not every broker knows
CONSUME_ROWS = 10_000
POLL_SECONDS = 0.1
OWN = ("group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "enable.partition.eof")


class KafkaSource(StreamDeclaration):
    """A declared topic. `settings` are librdkafka's own; `${NAME}` in them stands for an environment variable."""

    kind: Literal["kafka"]
    brokers: str = Field(min_length=1)
    topic: str = Field(min_length=1)
    group: str = ""
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict, repr=False)

    @field_validator("settings")
    @classmethod
    def _secrets_are_elsewhere(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, given in value.items():
            if name in OWN:
                raise ValueError(f"{name!r} is the loader's own to set")
            if any(word in name for word in SECRET_WORDS) and "location" not in name and "${" not in str(given):
                raise ValueError(
                    f"{name!r}: a secret does not belong into a file; name a variable, as ${{KAFKA_PASSWORD}}"
                )
        return value


class KafkaReader:
    """Use `close` when done. Raises ConfigError for settings that librdkafka does not take."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source
        self._trouble = ""
        spelled = {name: text_of(value) for name, value in source.settings.items()}
        self._settings: dict[str, Any] = {
            "fetch.wait.max.ms": "50",  # of a batch's time; the end of a partition is known beforehand
            "client.id": "tripline",
            "error_cb": self._note,
            **from_environment(spelled, source.path),
            "bootstrap.servers": from_environment({"brokers": source.brokers}, source.path)["brokers"],
        }
        own: dict[str, Any] = {
            "group.id": source.group or f"tripline-{source.name}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # a gap is told, and never jumped over
            "enable.partition.eof": True,
        }
        try:
            self._consumer = Consumer({**self._settings, **own}, logger=logger)
        except (KafkaException, ValueError, TypeError) as error:
            raise ConfigError(f"{source.path}, settings: {words_of(error)}", "mend the declaration") from None

    def close(self) -> None:
        self._consumer.close()

    def read(self, known: Mapping[str, Position]) -> list[Portion]:
        bounds = self._bounds()
        # A broker that did not tell at first never will, and answering nothing takes it a while.
        stream_id = self._topic_id() if not known or any(at.stream_id for at in known.values()) else None
        portions = {
            number: self._first(number, low, high, known.get(self._name(number)), stream_id)
            for number, (low, high) in bounds.items()
        }
        self._consume(portions, bounds)
        return list(portions.values())

    def waiting(self, known: Mapping[str, Position]) -> Mapping[str, int]:
        found = {}
        for number, (low, high) in self._bounds().items():
            at = known.get(self._name(number))
            begin = int(at.position) if at else low if self._source.start == "earliest" else high
            found[self._name(number)] = high - begin if low <= begin <= high else high - low
        return found

    def committed(self, portions: Sequence[Portion]) -> None:
        offsets = [
            TopicPartition(self._source.topic, int(portion.partition.rpartition("/")[2]), int(portion.next_position))
            for portion in portions
        ]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            logger.info("%s: the group's offsets were not committed: %s", self._source.name, words_of(error))

    def _note(self, error: KafkaError) -> None:
        self._trouble = error.str()

    def _name(self, number: int) -> str:
        return f"{self._source.topic}/{number}"

    def _topic_id(self) -> str | None:
        """Another one where the topic was deleted and made anew; None where the broker does not tell."""
        try:
            admin = AdminClient(self._settings, logger=logger)
            topics = admin.describe_topics(TopicCollection([self._source.topic]), request_timeout=ID_SECONDS)
            found = topics[self._source.topic].result(timeout=2 * ID_SECONDS).topic_id
        except (KafkaException, ValueError, TypeError, TimeoutError):
            return None
        return str(found) if found is not None else None

    def _bounds(self) -> dict[int, tuple[int, int]]:
        """(first offset, the one after the last) of every partition."""
        with self._told():
            topic = self._consumer.list_topics(self._source.topic, timeout=ANSWER_SECONDS).topics[self._source.topic]
            if topic.error:
                raise KafkaException(topic.error)
            return {
                number: self._consumer.get_watermark_offsets(
                    TopicPartition(self._source.topic, number), timeout=ANSWER_SECONDS
                )
                for number in sorted(topic.partitions)
            }

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            words = words_of(error)
            because = f" ({self._trouble})" if self._trouble and self._trouble not in words else ""
            raise SourceUnavailable(
                f"{self._source.name}: {words}{because}",
                f"look after the brokers, or the settings in {self._source.path}; the next batch tries again",
            ) from None

    def _first(self, number: int, low: int, high: int, at: Position | None, stream_id: str | None) -> Portion:
        """An empty portion at the place where reading goes on. Raises SourceStopped."""
        name = self._name(number)
        if at is None:
            return Portion(name, str(low if self._source.start == "earliest" else high), stream_id=stream_id)
        portion = Portion(name, at.position, stream_id=stream_id or at.stream_id, seen_through=at.seen_through)
        if at.stream_id and stream_id and at.stream_id != stream_id:
            self._jump(portion, low, "the topic was deleted and made anew")
        return portion

    def _jump(self, portion: Portion, low: int, reason: str) -> None:
        """Goes on at the partition's first offset. Raises SourceStopped where nobody allowed that."""
        if self._source.on_gap == "stop":
            raise SourceStopped(
                f"{self._source.name}: {portion.partition} was read up to offset {portion.next_position}, and goes on "
                f"at {low} now: {reason}",
                f"to go on there, with a row in raw.stream_gaps, set `on_gap: skip` in {self._source.path}",
            )
        portion.gap = Gap(portion.partition, portion.next_position, str(low), reason)
        portion.next_position = str(low)

    def _consume(self, portions: dict[int, Portion], bounds: Mapping[int, tuple[int, int]]) -> None:
        """Fills the portions, each up to the end that its partition had at first, or that its leader tells; polls no
        further than one batch is allowed to be. Where a position is none any more, the leader says so, too."""
        read = {number: Messages() for number in portions}
        begins = {number: int(portion.next_position) for number, portion in portions.items()}
        places = dict(begins)
        pending, rows, size = set(portions), 0, 0
        deadline = time.monotonic() + self._source.max_seconds
        self._assign(places)
        while (
            pending and rows < self._source.max_rows and size < self._source.max_bytes and time.monotonic() < deadline
        ):
            with self._told():
                got = self._consumer.consume(min(CONSUME_ROWS, self._source.max_rows - rows), POLL_SECONDS)
            ended = set()
            for message in got:
                number, offset = message.partition(), message.offset()
                if number not in pending or offset is None:
                    continue  # the next batch's; or an event of the whole client, of which `_note` knows
                if error := message.error():
                    if self._meet(error, number, offset, portions[number], bounds[number], places):
                        ended.add(number)
                    continue
                rows, size = rows + 1, size + len(message.value() or b"")
                _add(read[number], offset, message)
                places[number] = offset + 1
                if begins[number] < bounds[number][1] <= offset + 1:
                    ended.add(number)
            pending -= ended
        with self._told():
            self._consumer.unassign()
        for number, portion in portions.items():
            portion.next_position = str(places[number])
            portion.messages = read[number].table()
            portion.seen_through = max(
                filter(None, (portion.seen_through, read[number].last_received_at)), default=None
            )
            portion.waiting = max(bounds[number][1] - places[number], 0)

    def _assign(self, places: Mapping[int, int]) -> None:
        with self._told():
            self._consumer.assign(
                [TopicPartition(self._source.topic, number, place) for number, place in places.items()]
            )

    def _meet(
        self,
        error: KafkaError,
        number: int,
        offset: int,
        portion: Portion,
        bounds: tuple[int, int],
        places: dict[int, int],
    ) -> bool:
        """Whether there is nothing more to read of the partition. Raises SourceStopped, SourceUnavailable."""
        if error.code() == KafkaError._PARTITION_EOF:
            # Transactions leave places in a partition where no message is.
            places[number] = max(places[number], offset)
            return True
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            low, high = bounds
            lost = "deleted before they were read: the topic keeps them for too short a time"
            anew = f"the partition ends at {high}: it was made anew, or cut off"
            self._jump(portion, low, lost if places[number] < low else anew)
            places[number] = low
            self._assign(places)
            return False
        if error.retriable():
            return False
        portion.error = error.str()
        return True


def _add(messages: Messages, offset: int, message: Message) -> None:
    kind, milliseconds = message.timestamp()
    moment = datetime.now(UTC) if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1e3, UTC)
    value: Any = message.value()
    given: Any = message.headers() or []
    payload = None
    if given:
        named = {str(name).lower(): (held or b"").decode("utf-8", "replace") for name, held in given}
        payload = _cloudevent(named, value or b"")
    key: Any = message.key()
    messages.add(offset, str(offset), value, moment, key=key, headers=given, payload=payload)


def _cloudevent(headers: Mapping[str, str], value: bytes) -> Any:
    """CloudEvents' Kafka protocol binding 1.0: attributes in `ce_` headers, or all of it in the value."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == cloudevents.STRUCTURED:
        return cloudevents.read_structured(value)
    if "ce_specversion" in headers:
        spelled = {f"ce-{name[3:]}": given for name, given in headers.items() if name.startswith("ce_")}
        return cloudevents.read_binary(spelled, value)
    return None

"""One idempotent producer during one push: hands messages over, and waits for the brokers' word on each of them.

librdkafka tries again by itself until `answer_seconds` are over, and nothing here waits much longer. Whether a message
that ran out of time had left, it does not tell Python (`rd_kafka_message_status`). Its statistics do: they count what
was transmitted to each partition, and where that is no more than what is known to have arrived, nothing else had left.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from orchestration.destinations.base import Outcome
from orchestration.destinations.http import ANSWER_CHARS
from orchestration.destinations.kafka_message import Message, Report
from orchestration.destinations.kafka_words import DENIED, REFUSED, CleanLog, Company, Place, Word, secrets_in
from orchestration.destinations.limiter import RateLimiter
from orchestration.destinations.secrets import Redactor
from orchestration.destinations.traffic import Traffic
from orchestration.errors import ConfigError
from orchestration.librdkafka import text_of, words_of

POLL_SECONDS = 0.05
STATISTICS_SECONDS = 0.1  # between two of librdkafka's; the end of a push waits for two
GRACE_SECONDS = 2.0  # librdkafka looks for messages that ran out of time once a second
CLOSE_SECONDS = 2.0
OWN = frozenset(
    {
        "bootstrap.servers", "metadata.broker.list", "transactional.id", "statistics.interval.ms",
        "enable.idempotence", "acks", "request.required.acks", "delivery.report.only.error",
        # Fewer tries than the time allows would end in an error that hides what an earlier try had done.
        "retries", "message.send.max.retries", "message.timeout.ms", "delivery.timeout.ms",
    }
)  # fmt: skip


class Session:
    """Opens nothing before the first `send`. Raises ConfigError where librdkafka does not take `given`, which are its
    own settings; `name` says where they stand. One thread at a time may send."""

    def __init__(
        self,
        brokers: str,
        given: Mapping[str, Any],
        name: str,
        *,
        answer_seconds: float,
        connect_seconds: float,
        limiter: RateLimiter | None,
        traffic: Traffic,
    ) -> None:
        for setting in sorted(OWN & given.keys()):
            raise ConfigError(f"{name}: {setting!r} is the destination's own to set", "take it out")
        settings = {setting: text_of(value) for setting, value in given.items()}
        self._settings: dict[str, Any] = {
            "client.id": "tripline",
            # As Java's producers do it, so that a user's firings lie beside what others key by the user.
            "partitioner": "murmur2_random",
            "socket.connection.setup.timeout.ms": max(round(connect_seconds * 1000), 1000),  # its least
            "topic.metadata.propagation.max.ms": round(connect_seconds * 1000),
            **settings,
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": max(round(answer_seconds * 1000), 1),
        }
        self._brokers = brokers
        self._answer_seconds, self._connect_seconds = answer_seconds, connect_seconds
        self._limiter, self._traffic = limiter, traffic
        self.redactor = Redactor(secrets_in(settings))
        self._check(name)
        self._producer: Producer | None = None
        self._changed = threading.Condition()
        self._is_closing = threading.Event()
        self._is_dead = False
        self._trouble = ""
        self._statistics: dict[str, Any] = {}
        self._statistics_told = 0
        self._known: Counter[Place] = Counter()
        """Transmissions of which the outcome is known, or was given up."""
        self._left = 0
        """Messages that were transmitted at least once."""

    def send(self, messages: Sequence[Message]) -> list[Report]:
        """One report for each, in their order."""
        producer = self._open()
        company = Company(len(messages))
        for index, message in enumerate(messages):
            with self._limiter.turn() if self._limiter else nullcontext():
                self._hand_over(producer, message, company, index)
        self._wait(producer, company)
        is_clear = not any(word is not None and word.is_doubtful for word in company.words)
        doubtful = frozenset() if is_clear else self._places_in_doubt()
        pairs = zip(messages, company.words, strict=True)
        return [self._report(message.topic, word, doubtful) for message, word in pairs]

    def close(self) -> None:
        """Takes no longer than a few CLOSE_SECONDS, whatever the brokers do."""
        if self._producer is None:
            return
        with suppress(KafkaException):
            self._producer.flush(CLOSE_SECONDS)
        self._wait_for_statistics()
        total = sum(self._transmitted().values())
        self._traffic.count(requests=total, retries=max(total - self._left, 0))
        self._is_closing.set()
        self._thread.join(CLOSE_SECONDS)

    def _check(self, name: str) -> None:
        """Without brokers a producer reaches out to nobody, and yet takes or refuses its settings."""
        try:
            Producer({**self._settings, "log_level": 0})
        except (KafkaException, ValueError, TypeError) as error:
            raise ConfigError(f"{name}: {self.redactor.clean(words_of(error))}", "mend it") from None

    def _open(self) -> Producer:
        if self._producer is None:
            own: dict[str, Any] = {
                "bootstrap.servers": self._brokers,
                "statistics.interval.ms": round(STATISTICS_SECONDS * 1000),
                "stats_cb": self._take_statistics,
                "error_cb": self._note,
                "throttle_cb": lambda event: self._traffic.count(limited=int(event.throttle_time > 0)),
            }
            self._producer = Producer({**self._settings, **own}, logger=CleanLog(self.redactor))
            # A thread of its own, so that a broker's word is heard at once, and statistics never pile up.
            self._thread = threading.Thread(target=self._listen, name="kafka", daemon=True)
            self._thread.start()
        return self._producer

    def _listen(self) -> None:
        producer = self._producer
        assert producer is not None
        while not self._is_closing.is_set():
            try:
                producer.poll(POLL_SECONDS)
            except KafkaException as error:  # raised for fatal ones, in place of a call of `_note`
                self._note(error.args[0])
        # The last reference: freeing it ends librdkafka's threads, which may take as long as a look-up of a name.
        producer.purge(blocking=False)
        self._producer = None

    def _note(self, error: KafkaError) -> None:
        told = self.redactor.clean(error.str())
        with self._changed:
            if error.code() != KafkaError._ALL_BROKERS_DOWN:  # which says less than what came before it
                self._trouble = told
            self._is_dead = self._is_dead or error.fatal()
            if error.code() in DENIED:
                self._traffic.refusal = told
            self._changed.notify_all()

    def _hand_over(self, producer: Producer, message: Message, company: Company, index: int) -> None:
        deadline = time.monotonic() + self._answer_seconds + GRACE_SECONDS
        word = Word(KafkaError._FATAL, "not handed over")
        while not self._is_stopped() and time.monotonic() < deadline:
            try:
                producer.produce(
                    message.topic,
                    message.value,
                    message.key.encode(),
                    headers={name: text.encode() for name, text in message.headers.items()},
                    on_delivery=partial(self._hear, company, index),
                )
                return
            except BufferError:  # its queue is full
                time.sleep(POLL_SECONDS)
            except KafkaException as error:
                word = Word(error.args[0].code(), words_of(error))
                break
        with self._changed:
            company.hear(index, word)

    def _hear(self, company: Company, index: int, error: KafkaError | None, message: Delivered) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        place = None if topic is None or partition is None or partition < 0 else (topic, partition)
        with self._changed:
            if error is not None:
                company.hear(index, Word(error.code(), error.str(), place))
            else:
                if place is not None:
                    self._known[place] += 1
                self._traffic.count(latency=message.latency())
                # A repeated message that the broker knew by its number has no offset.
                told = f"{topic}/{partition}" + (f", offset {offset}" if offset is not None and offset >= 0 else "")
                company.hear(index, Word(None, told, place))
            if not company.waiting:
                self._changed.notify_all()

    def _wait(self, producer: Producer, company: Company) -> None:
        """Until every word is there. What is in vain to wait for is taken back; what had left may still be answered."""
        started = time.monotonic()
        deadline = started + self._answer_seconds + GRACE_SECONDS
        if self._heard_all(company, deadline, lambda: self._is_stopped() or self._is_out_of_reach(started)):
            return
        producer.purge(in_flight=False, blocking=False)
        if not self._heard_all(company, deadline):
            producer.purge(blocking=False)
            self._heard_all(company, time.monotonic() + GRACE_SECONDS)

    def _heard_all(self, company: Company, deadline: float, is_in_vain: Callable[[], bool] = lambda: False) -> bool:
        with self._changed:
            while company.waiting and time.monotonic() < deadline and not is_in_vain():
                self._changed.wait(POLL_SECONDS)
            return not company.waiting

    def _is_stopped(self) -> bool:
        return self._is_dead or self._traffic.refusal is not None

    def _is_out_of_reach(self, since: float) -> bool:
        if time.monotonic() < since + self._connect_seconds:
            return False
        return not any(broker["state"] == "UP" for broker in self._statistics.get("brokers", {}).values())

    def _report(self, topic: str, word: Word | None, doubtful: Set[Place] | None) -> Report:
        if word is None:
            return Report(Outcome.UNKNOWN, f"{topic}: no word of it came")
        if word.code is None:
            self._left += 1
            return Report(Outcome.DELIVERED, word.told)
        told = self.redactor.clean(f"{topic}: {word.told}")[:ANSWER_CHARS]
        if word.code in REFUSED:
            self._left += word.place is not None
            # Before it had a partition, it was this process that found it too large.
            is_own_fault = word.place is None and word.code == KafkaError.MSG_SIZE_TOO_LARGE
            return Report(Outcome.REJECTED, told, is_own_fault)
        if word.code in DENIED and self._traffic.refusal is None:
            self._traffic.refusal = told
        if not word.is_doubtful:
            return Report(Outcome.FAILED, self._with_trouble(told))
        has_left = doubtful is None or word.place in doubtful
        self._left += has_left
        return Report(Outcome.UNKNOWN if has_left else Outcome.FAILED, self._with_trouble(told))

    def _with_trouble(self, told: str) -> str:
        why = self._traffic.refusal or self._trouble
        return f"{told} ({why})"[:ANSWER_CHARS] if why and why != told else told

    def _places_in_doubt(self) -> Set[Place] | None:
        """Partitions to which more was transmitted than is known to have arrived; from now on that is known, too.
        None where nobody can tell."""
        if not self._wait_for_statistics():
            return None
        transmitted = self._transmitted()
        places = {place for place, messages in transmitted.items() if messages > self._known[place]}
        self._known.update({place: transmitted[place] - self._known[place] for place in places})
        return places

    def _take_statistics(self, text: str) -> None:
        found = json.loads(text)
        with self._changed:
            self._statistics = found
            self._statistics_told += 1
            self._changed.notify_all()

    def _wait_for_statistics(self) -> bool:
        """False where none come. The next ones may have been on their way already, so it is the second that counts."""
        with self._changed:
            enough = self._statistics_told + 2
            return self._changed.wait_for(lambda: self._statistics_told >= enough, 20 * STATISTICS_SECONDS)

    def _transmitted(self) -> dict[Place, int]:
        """Messages by partition, each as often as it went out."""
        return {
            (topic, int(number)): partition["txmsgs"]
            for topic, found in self._statistics.get("topics", {}).items()
            for number, partition in found["partitions"].items()
        }

"""What a consumer finds in a topic."""

from __future__ import annotations

from collections import Counter

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition


class Topic:
    def __init__(self, brokers: str, name: str) -> None:
        self.brokers, self.name = brokers, name

    def messages(self) -> list[Message]:
        quick = {"enable.partition.eof": True, "fetch.wait.max.ms": 10, "log_level": 0}
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "readers", **quick})
        partitions = consumer.list_topics(self.name, 10).topics[self.name].partitions
        consumer.assign([TopicPartition(self.name, number, 0) for number in partitions])
        found, left = [], set(partitions)
        while left:
            message = consumer.poll(10)
            assert message is not None
            if (error := message.error()) is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
        consumer.close()
        return found

    def keys(self) -> Counter[str]:
        """How often each idempotency key is there."""
        return Counter(headers_of(message)["idempotency-key"] for message in self.messages())


def headers_of(message: Message) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers() or []}

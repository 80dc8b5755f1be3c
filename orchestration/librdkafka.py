"""What the programs that speak Kafka have in common: librdkafka's settings and words."""

from __future__ import annotations

from confluent_kafka import KafkaError

SECRET_WORDS = ("password", "secret", "pem", "token")


def text_of(value: object) -> str:
    """A setting's value as librdkafka reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def words_of(error: Exception) -> str:
    """What is wrong, without codes."""
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)

"""What librdkafka says, and what it means for a row."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError

from orchestration.destinations.secrets import Redactor
from orchestration.librdkafka import SECRET_WORDS

logger = logging.getLogger(__name__)

REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError._INVALID_DIFFERENT_RECORD,  # of one that is in order, in a batch with one that is not
        KafkaError.TOPIC_EXCEPTION,
    }
)
"""The message, or what shared its batch, will never be taken."""
DENIED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
"""Credentials, whatever is sent."""
NOT_TAKEN = frozenset(
    {
        KafkaError.INVALID_TIMESTAMP,  # it is this machine's clock that sets it
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    }
)
"""Nothing was written, and a person can mend it without touching the row."""

Place = tuple[str, int]  # topic and partition


@dataclass(frozen=True, slots=True)
class Word:
    """What librdkafka says of a message. `place`: None where it never had a partition."""

    code: int | None
    told: str
    place: Place | None = None

    @property
    def is_doubtful(self) -> bool:
        """The message may have left, and what became of it then is not known."""
        return self.code is not None and self.place is not None and self.code not in REFUSED | DENIED | NOT_TAKEN


class Company:
    """Messages that were handed over together."""

    def __init__(self, size: int) -> None:
        self.words: list[Word | None] = [None] * size
        self.waiting = size

    def hear(self, index: int, word: Word) -> None:
        self.waiting -= self.words[index] is None
        self.words[index] = word


class CleanLog:
    """What librdkafka wants to log. Outcomes are data, so none of it is an error here."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def log(self, level: int, message: str, *args: object) -> None:
        logger.log(min(level, logging.INFO), "%s", self._redactor.clean(message % args))


def secrets_in(settings: Mapping[str, str]) -> set[str]:
    """Values of secret settings, and the words they are made of: a list of names and values may hold one."""
    words = (*SECRET_WORDS, "passphrase", "oauthbearer.config")
    secrets = {value for name, value in settings.items() if any(word in name for word in words)}
    return secrets | {part for value in secrets for part in re.split(r"[\s,=]+", value) if len(part) >= 6}

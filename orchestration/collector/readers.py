"""Read keys: who may be told what is known of people. Write keys stand in the source of web pages and open nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from pathlib import Path

from starlette.requests import Request

from orchestration.collector.keys import Writers, are_keys, read_private, write_private
from orchestration.collector.settings import CollectorSettings
from orchestration.errors import ConfigError
from orchestration.settings import Settings
from orchestration.sources.landing import Version

logger = logging.getLogger(__name__)


class Readers:
    """All read keys, as the environment and the keys file have them just now."""

    def __init__(self, settings: Settings, collector: CollectorSettings, writers: Writers) -> None:
        """Raises ConfigError."""
        self._collector, self._writers = collector, writers
        self._file = read_keys_file(settings, collector)
        self._seen = self._signature()
        self._digests = self._read()

    def may_read(self, request: Request) -> bool:
        """From the header alone: addresses are written into logs on the way.

        Every key is compared to the end, so that time tells nobody how much of one was right.
        """
        given = _key_of(request.headers.get("authorization", ""))
        if not given:
            return False
        digest = _digest(given)
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        # Listed here by mistake, a key that everybody can read in a page would open everything.
        return found and self._writers.find(given.decode(errors="replace")) is None

    def refresh(self) -> None:
        """As Writers.refresh."""
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._digests = self._read()
        except ConfigError as error:
            logger.error("the read keys stay as they were: %s", error)
        else:
            logger.info("read keys read anew: %d", len(self._digests))

    def _signature(self) -> Version | None:
        return Version.of(self._file) if self._file.is_file() else None

    def _read(self) -> list[bytes]:
        listed = read_private(self._file) or []
        if not are_keys(listed):
            raise ConfigError(f"{self._file}: read keys are a list of text", "for example `[a-long-random-word]`")
        given = [key.get_secret_value() for key in self._collector.read_keys]
        return [_digest(key.encode()) for key in [*given, *listed]]


def read_keys_file(settings: Settings, collector: CollectorSettings) -> Path:
    given = collector.read_keys_file
    return given.expanduser().absolute() if given else settings.home / "read_keys.yml"


def make_first_read_key(settings: Settings, collector: CollectorSettings) -> bool:
    """Writes a keys file with one key where there is none, nor a key in the environment."""
    path = read_keys_file(settings, collector)
    if collector.read_keys or path.exists():
        return False
    write_private(path, [secrets.token_urlsafe(32)])
    return True


def _key_of(authorization: str) -> bytes:
    """Of `Bearer <key>`, or of Basic authentication, whose name is the key."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode("latin-1")  # as Starlette read the bytes
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given.strip(), validate=True).partition(b":")[0]
        except ValueError:
            return b""
    return b""


def _digest(key: bytes) -> bytes:
    """Of one length for all keys, which is what is compared in constant time."""
    return hashlib.sha256(key).digest()

"""Keeping credentials out of everything that is returned, raised or logged."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

import httpx


class Redactor:
    """Blots out known secrets, as they are and as they look in URLs and basic authentication."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learns more of them, such as a token that was fetched in the course of a push."""
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._secrets = sorted({*self._secrets, *forms}, key=len, reverse=True)

    def clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text.replace("\x00", "")


def _forms(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret, safe=""), quote_plus(secret), unquote(secret), encoded}


def origin_of(url: httpx.URL) -> str:
    """Scheme, host and port: all of a URL that may be shown, since hooks carry tokens in path, query and userinfo."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def secrets_of(url: httpx.URL) -> set[str]:
    """The parts of a URL that a platform might echo and nobody may read; short words of the query are no secrets."""
    path = url.raw_path.decode("ascii")
    query = url.query.decode("ascii")
    values = {value for pair in query.split("&") for value in (pair.partition("=")[2],) if len(value) >= 6}
    parts = {url.password, query, path if len(path) > 12 else "", url.userinfo.decode("ascii"), *values}
    return (parts | {unquote(part) for part in parts}) - {""}


class _OriginOnly(logging.Filter):
    """httpx logs the whole URL of every request at INFO."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(origin_of(a) if isinstance(a, httpx.URL) else a for a in record.args)
        return True


class _NoHeaders(logging.Filter):
    """httpcore logs whole requests, headers included, at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        return False


_ORIGIN_ONLY, _NO_HEADERS = _OriginOnly(), _NoHeaders()


def keep_logs_clean() -> None:
    """Makes the transport's own loggers silent about credentials; may be called again."""
    logging.getLogger("httpx").addFilter(_ORIGIN_ONLY)
    for name in ("httpcore.http11", "httpcore.connection", "httpcore.proxy", "httpcore.http2"):
        logging.getLogger(name).addFilter(_NO_HEADERS)

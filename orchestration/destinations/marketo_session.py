"""Marketo's token, and what its answers mean (Adobe's developer guide, pages Authentication and Error Codes).

A REST answer is HTTP 200 whatever happened: `success: false` with `errors[].code` speaks of the whole call, `result[]`
of single records. "A 6xx code indicates that the entire request failed and was not executed."
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from orchestration.destinations.base import Capabilities, CrashPolicy
from orchestration.destinations.http import HttpClient, judge_by_status
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.tokens import Token
from orchestration.destinations.vendors import OTHER_TRY
from orchestration.destinations.wire import Answer, Judge, Meaning, Request, Verdict
from orchestration.errors import EndpointRefused, PermanentDeliveryError, RetryableDeliveryError, UnknownOutcome

EXPIRED = frozenset({601, 602})  # access token invalid, expired
LIMITED = frozenset({606, 607, 615})  # calls in 20 seconds, calls of the day, concurrent calls
DAILY = 607
# Bad gateway, time-out, unavailable, system error, subscription out of reach, transient error, lock wait; and two
# queues that are full (1016, 1029).
LATER = frozenset({500, 502, 604, 608, 611, 614, 713, 719, 1016, 1029})
# Permission, method, path, content type, kind of subscription, feature: no row is at fault, and no other row would
# fare better.
STOP = frozenset({603, 605, 610, 612, 616, 703})
UNKNOWN_LEAD = 1004
DAY_BEGINS = timedelta(hours=6)  # the quota is reset at 12:00 AM CST, which is 06:00 UTC

IDENTITY = Capabilities(
    max_batch_size=1,
    idempotency_key_field=None,
    deduplicates=False,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    permanent_statuses=frozenset(),
    # 401: client id or secret are wrong. Any other refusal is of the address, and a person's to mend, too.
    endpoint_statuses=frozenset(range(400, 500)) - OTHER_TRY,
)


class Session:
    """A client that keeps itself a token. Closing it closes both."""

    def __init__(
        self,
        base_url: str,
        identity_url: str,
        client_id: str,
        client_secret: str,
        capabilities: Capabilities,
        push_settings: PushSettings,
    ) -> None:
        # Calls for tokens count towards no limit, so they have a client of their own.
        self._identity = HttpClient(
            "marketo identity", identity_url, IDENTITY, push_settings, secrets=(client_id, client_secret)
        )
        # The documented form; the secret is in the query, which no log and no error of the client shows.
        given = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._path = f"/oauth/token?{urlencode(given)}"
        self._token = Token(self._fetch)
        self.client = HttpClient(
            "marketo",
            base_url,
            capabilities,
            push_settings,
            secrets=(client_id, client_secret),
            authorize=lambda request: {"authorization": f"Bearer {self._token.value()}"},
            judge=make_judge(capabilities),
            renew=self._token.renew,
        )

    def close(self) -> None:
        self.client.close()
        self._identity.close()

    def _fetch(self) -> tuple[str, float]:
        try:
            said = self._identity.send(Request(self._path, method="GET")).json()
        except (EndpointRefused, PermanentDeliveryError) as error:
            self.client.traffic.refusal = f"no token: {self._identity.traffic.refusal or error.message}"
            raise EndpointRefused("no token", http_status=error.http_status, answer=error.answer) from None
        except UnknownOutcome as error:  # of the token; nothing that matters was sent
            raise RetryableDeliveryError("no token", answer=error.answer) from None
        try:
            token, seconds = str(said["access_token"]), float(said["expires_in"])
        except (LookupError, TypeError, ValueError):
            raise RetryableDeliveryError("no token: the answer holds none") from None
        for client in (self.client, self._identity):
            client.redactor.add(token)
        return token, seconds


def make_judge(capabilities: Capabilities) -> Judge:
    by_status = judge_by_status(capabilities, expired=frozenset({401}))

    def judge(answer: Answer) -> Verdict:
        if answer.status == 504:  # what came of it behind the gateway is not known
            return Verdict(Meaning.IN_DOUBT)
        if not answer.is_ok:
            return by_status(answer)
        body = answer.json()
        if not isinstance(body, dict) or "success" not in body:
            return Verdict(Meaning.IN_DOUBT, reason="the answer cannot be understood")
        if body["success"]:
            return Verdict(Meaning.TAKEN)
        return judge_code(code_of(body.get("errors")), datetime.now(UTC))

    return judge


def judge_code(code: int, now: datetime) -> Verdict:
    """What the code of a whole call means; `now` is aware."""
    if code in EXPIRED:
        return Verdict(Meaning.EXPIRED)
    if code in LIMITED:
        # Marketo names no time; it asks for exponential backoff.
        return Verdict(Meaning.LIMITED, seconds_to_new_quota(now) if code == DAILY else None)
    if code in LATER:
        return Verdict(Meaning.LATER)
    if code in STOP:
        return Verdict(Meaning.STOP)
    return Verdict(Meaning.REFUSED) if code else Verdict(Meaning.IN_DOUBT, reason="the answer names no error")


def seconds_to_new_quota(now: datetime) -> float:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY_BEGINS
    return ((today if now < today else today + timedelta(days=1)) - now).total_seconds()


def code_of(errors: Any) -> int:
    """The first error's code, which comes as text or number; 0 where there is none."""
    try:
        return int(errors[0]["code"])
    except (LookupError, TypeError, ValueError):
        return 0


def reasons_of(record: Mapping[str, Any]) -> tuple[int, str]:
    """Code and words of a record that was skipped: `reasons` in the guide's general part, `errors` for activities."""
    given = record.get("reasons") or record.get("errors") or []
    words = "; ".join(f"{item.get('code')}: {item.get('message')}" for item in given if isinstance(item, dict))
    return code_of(given), words or f"status {record.get('status')}, no reason given"

"""Marketo Engage, by its REST API (Adobe's developer guide, experienceleague.adobe.com/docs/marketo-developer, 2026).

| action | what is sent | `platform_ref` |
| --- | --- | --- |
| `activity` (default) | a custom activity per firing, the key as its primary attribute | the activity type's id |
| `campaign` | Request Campaign: leads, with the tokens they have in common | the smart campaign's id |

Both name leads by id: that of the profile (`marketo_lead_id`), else the one that Marketo says of the e-mail, for
which a lead is created where there is none. Neither recognises repetitions (activities are "write-once"), so what is in
doubt is read back; a requested campaign leaves nothing that could be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, RateLimit, SendResult
from orchestration.destinations.marketo_reading import activity_types, held_keys
from orchestration.destinations.marketo_session import Session
from orchestration.destinations.marketo_settings import MarketoSettings
from orchestration.destinations.marketo_steps import Activities, Leads, Requested, is_unknown_lead, mail_of
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.vendors import OTHER_TRY, action_of, read_settings, required_secret, wrong_campaign
from orchestration.destinations.wire import Request
from orchestration.errors import ConfigError, DeliveryError, PermanentDeliveryError
from orchestration.settings import Settings

ACTIONS = ("activity", "campaign")

CAPABILITIES = Capabilities(
    max_batch_size=300,  # activities and leads; 100 leads where a campaign is requested
    max_body_bytes=1_000_000,  # "1 MB" (Integration Best Practices)
    idempotency_key_field="input[].primaryAttributeValue",
    deduplicates=False,
    crash_policy=CrashPolicy.RECONCILE,
    can_reconcile=True,
    permanent_statuses=frozenset(range(400, 500)) - {401, 403, 404} - OTHER_TRY,
    endpoint_statuses=frozenset({403, 404}),
    # Of the whole instance, shared with every other integration; Adobe advises to use half, and five calls at once of
    # the ten that it allows. The 50,000 calls a day are not spread over the day: 607 says when they are used up.
    rate_limits=(RateLimit(100, 20),),
    max_concurrency=5,
    partial_failure="200 with a status and reasons for each record of activities and leads; a refused request for a "
    "campaign is halved around the lead at fault",
    needs=("marketo_lead_id", "email"),
    promises={
        CrashPolicy.RECONCILE: "what is in doubt is looked for among the leads' activities after five minutes, and "
        "sent if it is not there; twice if Marketo shows it only later; a requested campaign cannot be looked for, and "
        "stays in doubt",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person: the policy for requested "
        "campaigns",
        CrashPolicy.RESEND: "nothing is lost; what is in doubt may be recorded, and a campaign run, twice",
    },
)


def create(settings: Settings) -> MarketoDestination:
    """Raises ConfigError where TRIPLINE_MARKETO_BASE_URL, _CLIENT_ID or _CLIENT_SECRET is missing or unusable."""
    own = read_settings(MarketoSettings)
    if not own.base_url:
        hint = "see Admin, Integration, Web Services; it looks like https://123-ABC-456.mktorest.com"
        raise ConfigError("TRIPLINE_MARKETO_BASE_URL is not set", hint)
    base_url = own.base_url.removesuffix("/rest")
    whose = "see Admin, Integration, LaunchPoint, View Details of the custom service"
    client_id = required_secret(own.client_id, "TRIPLINE_MARKETO_CLIENT_ID", whose)
    client_secret = required_secret(own.client_secret, "TRIPLINE_MARKETO_CLIENT_SECRET", whose)
    push_settings = PushSettings()
    session = Session(
        base_url, own.identity_url or f"{base_url}/identity", client_id, client_secret, CAPABILITIES, push_settings
    )
    return MarketoDestination(session, own, push_settings.batch_size_of("marketo", CAPABILITIES))


class MarketoDestination:
    """Leads first, then activities and campaigns."""

    capabilities = CAPABILITIES

    def __init__(self, session: Session, own: MarketoSettings, batch_size: int) -> None:
        self.own, self.session, self.traffic = own, session, session.client.traffic
        client, ids = session.client, dict[str, int]()
        self.leads = Leads(client, CAPABILITIES, own, creates=own.create_leads, ids=ids)
        self.finder = Leads(client, CAPABILITIES, own, creates=False, ids=ids)
        self.activities = Activities(client, CAPABILITIES, batch_size, self.leads, own)
        requested = Requested(client, CAPABILITIES, batch_size, self.leads, own)
        self.steps: dict[str, Activities | Requested] = {"activity": self.activities, "campaign": requested}
        self._types: dict[int, set[str] | None] | None = None

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        sound, results = self._sort_out(rows)
        try:
            sound, refused = self._known_to_marketo(sound)
        except DeliveryError as error:
            return results + _same(sound, Outcome.FAILED, error)
        known, nameless = self.leads.resolve(sound)
        results += refused + nameless
        sent = self._step(known)
        # A profile's lead may have been merged or deleted since: its e-mail says which one it is now.
        lost = [r.row for r in sent if is_unknown_lead(r) and r.row.email and self.leads.given_id(r.row) is not None]
        if lost:
            self.leads.distrusted |= {row.external_ids["marketo_lead_id"].strip() for row in lost}
            keys = {row.idempotency_key for row in lost}
            known, nameless = self.leads.resolve(lost)
            sent = [r for r in sent if r.row.idempotency_key not in keys] + nameless + self._step(known)
        return results + [self._settled_later(result) for result in sent]

    def prepare(self, rows: Sequence[OutboxRow]) -> list[Request]:
        """Where a lead's id is known only after its e-mail was looked up, words stand for it."""
        sound, _ = self._sort_out(rows)
        requests = self.leads.prepare(self.leads.unknown(sound))
        for action, step in self.steps.items():
            requests += step.prepare([row for row in sound if self._action(row) == action])
        return requests

    def reconcile(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        sound, wrong = self._sort_out(rows)
        results = [SendResult(r.row, Outcome.UNKNOWN, answer=r.answer) for r in wrong]
        told = "a requested campaign cannot be read back; use the policy hold, and settle it with tripline release"
        results += [SendResult(r, Outcome.UNKNOWN, answer=told) for r in sound if self._action(r) != "activity"]
        sought = [row for row in sound if self._action(row) == "activity"]
        known, nameless = self.finder.resolve(sought)
        for result in nameless:
            # Somebody who is no lead has no activities.
            is_nobody = not mail_of(result.row) or mail_of(result.row) in self.finder.absent
            in_doubt = SendResult(result.row, Outcome.UNKNOWN, answer=result.answer)
            results.append(self._missing(result.row) if is_nobody else in_doubt)
        return results + self._read_back(known)

    def close(self) -> None:
        self.session.close()

    def _action(self, row: OutboxRow) -> str:
        return action_of(row, ACTIONS)

    def _sort_out(self, rows: Sequence[OutboxRow]) -> tuple[list[OutboxRow], list[SendResult]]:
        """Rows whose campaign says what can be sent, and refusals of the others."""
        sound, refused = [], []
        for row in rows:
            try:
                self.steps[self._action(row)].check(row)
                sound.append(row)
            except PermanentDeliveryError as error:
                refused += _same([row], Outcome.REJECTED, error)
        return sound, refused

    def _known_to_marketo(self, rows: list[OutboxRow]) -> tuple[list[OutboxRow], list[SendResult]]:
        """The same, by what Marketo says of its activity types, asked once. Raises DeliveryError where it cannot."""
        if all(self._action(row) != "activity" for row in rows):
            return rows, []
        if self._types is None:
            self._types = activity_types(self.session.client)
        sound, refused = [], []
        for row in rows:
            if self._action(row) != "activity":
                sound.append(row)
            elif (type_id := self.activities.type_id(row)) not in self._types:
                error = wrong_campaign(row, f"Marketo has no activity type {type_id}")
                refused += _same([row], Outcome.REJECTED, error)
            elif missing := sorted(self.own.attributes.keys() - (self._types[type_id] or self.own.attributes.keys())):
                # The setting's fault, and so no row's: it goes out when that is mended.
                told = f"TRIPLINE_MARKETO_ATTRIBUTES: activity type {type_id} has no attribute {', '.join(missing)}"
                self.traffic.refusal = told
                refused.append(SendResult(row, Outcome.FAILED, answer=f"not sent: {told}"))
            else:
                sound.append(row)
        return sound, refused

    def _step(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        return [
            result
            for action, step in self.steps.items()
            for result in step.send([row for row in rows if self._action(row) == action])
        ]

    def _settled_later(self, result: SendResult) -> SendResult:
        return replace(result, retry_after=self.own.settle_seconds) if result.outcome is Outcome.UNKNOWN else result

    def _read_back(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        results: list[SendResult] = []
        by_type: dict[int, list[OutboxRow]] = {}
        for row in rows:
            by_type.setdefault(self.activities.type_id(row), []).append(row)
        for type_id, meant in by_type.items():
            leads = {row.idempotency_key: self.finder.id_of(row) or 0 for row in meant}
            left = {row.idempotency_key: row for row in meant}
            try:
                for part, held in held_keys(self.session.client, meant, leads, type_id):
                    for row in part:
                        del left[row.idempotency_key]
                        results.append(_found(row) if row.idempotency_key in held else self._missing(row))
            except DeliveryError as error:
                results += _same(list(left.values()), Outcome.UNKNOWN, error)
        return results

    def _missing(self, row: OutboxRow) -> SendResult:
        if row.previous_status == "claimed":
            # A push died with it a moment ago, perhaps; Marketo may still be at work on it.
            told = "not among the lead's activities yet; looked for again"
            return SendResult(row, Outcome.UNKNOWN, 200, told, self.own.settle_seconds)
        return SendResult(row, Outcome.NOT_FOUND, 200, "not among the lead's activities")


def _found(row: OutboxRow) -> SendResult:
    return SendResult(row, Outcome.DELIVERED, 200, "found among the lead's activities")


def _same(rows: Sequence[OutboxRow], outcome: Outcome, error: DeliveryError) -> list[SendResult]:
    """`answer` is clean: it is the client's, or made of the campaign's row."""
    told, wait = error.answer or error.message, getattr(error, "retry_after", None)
    return [SendResult(row, outcome, error.http_status, told, wait) for row in rows]

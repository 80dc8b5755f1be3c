"""Marketo's calls that carry rows: leads by e-mail, custom activities, requested campaigns.

Sources: Adobe's developer guide, pages Leads, Activities (Add Custom Activities) and Smart Campaigns (Request), and
the published description of the REST API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestration.destinations.base import Capabilities, OutboxRow, Outcome, SendResult
from orchestration.destinations.batches import BatchDestination, ItemFailure, settle
from orchestration.destinations.http import HttpClient
from orchestration.destinations.marketo_session import LATER, LIMITED, UNKNOWN_LEAD, reasons_of
from orchestration.destinations.marketo_settings import MarketoSettings, values_of
from orchestration.destinations.repeats import without_repeats
from orchestration.destinations.vendors import wrong_campaign
from orchestration.destinations.wire import Answer, Request

LEADS_AT_ONCE = 300
ACTIVITIES_AT_ONCE = 300
REQUESTED_AT_ONCE = 100
WAITING = LATER | LIMITED


class Leads(BatchDestination):
    """E-mails to lead ids, learned once a push; creates leads where `creates`.

    One call at a time: upserts of one e-mail at the same time make two leads of it (Leads, Create and Update).
    """

    def __init__(
        self,
        client: HttpClient,
        capabilities: Capabilities,
        own: MarketoSettings,
        *,
        creates: bool,
        ids: dict[str, int],
    ) -> None:
        super().__init__(client, replace(capabilities, max_concurrency=1), LEADS_AT_ONCE)
        self.own, self.creates, self.ids = own, creates, ids
        self.absent: set[str] = set()
        """E-mails that Marketo has no lead for, and that were not to become one."""
        self.distrusted: set[str] = set()
        """Lead ids of profiles that Marketo does not know: merged or deleted since."""

    def id_of(self, row: OutboxRow) -> int | None:
        """The lead's id, as far as it is known."""
        given = self.given_id(row)
        return given if given is not None else self.ids.get(mail_of(row))

    def given_id(self, row: OutboxRow) -> int | None:
        given = (row.external_ids.get("marketo_lead_id") or "").strip()
        return int(given) if re.fullmatch(r"[0-9]{1,18}", given) and given not in self.distrusted else None

    def name_of(self, row: OutboxRow) -> int | str:
        """The lead's id, or, in what is only shown, whose id it will be."""
        known = self.id_of(row)
        return known if known is not None else f"the lead of {row.email}"

    def resolve(self, rows: Sequence[OutboxRow]) -> tuple[list[OutboxRow], list[SendResult]]:
        """Those whose lead is known now, and what became of the others."""
        asked = self.send(self.unknown(rows))
        said = {mail_of(result.row): result for result in asked}
        known = [row for row in rows if self.id_of(row) is not None]
        others = [_for(row, said.get(mail_of(row))) for row in rows if self.id_of(row) is None]
        return known, others

    def unknown(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """One row for each e-mail that must be looked up."""
        first = {mail_of(row): row for row in reversed(rows) if row.email and self.id_of(row) is None}
        return list(reversed(first.values()))

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        body: dict[str, Any] = {
            # Only the key is sent, so that updateOnly changes nothing: a look-up of 300, with a reason for each.
            "action": "createOrUpdate" if self.creates else "updateOnly",
            "lookupField": "email",
            "input": [{"email": row.email} for row in rows],
        }
        if self.creates and self.own.partition_name:
            body["partitionName"] = self.own.partition_name
        return Request.of_json("/rest/v1/leads.json", body)

    def decode(self, rows: Sequence[OutboxRow], answer: Answer) -> list[SendResult]:
        failures: dict[int, ItemFailure] = {}
        for index, (row, record) in enumerate(zip(rows, records_of(answer), strict=True)):
            if record.get("status") in ("created", "updated") and record.get("id"):
                self.ids[mail_of(row)] = int(record["id"])
                continue
            code, words = reasons_of(record)
            failures[index] = _failure(code, words)
            if code == UNKNOWN_LEAD:
                self.absent.add(mail_of(row))
                told = f"not sent: Marketo has no lead with this e-mail ({words})"
                failures[index] = ItemFailure(told, Outcome.FAILED)
        return settle(rows, answer, failures)


class Activities(BatchDestination):
    """POST /rest/v1/activities/external.json: one record a row, the key as its primary attribute."""

    def __init__(
        self, client: HttpClient, capabilities: Capabilities, batch_size: int, leads: Leads, own: MarketoSettings
    ) -> None:
        super().__init__(client, capabilities, min(batch_size, ACTIVITIES_AT_ONCE))
        self.leads, self.own = leads, own

    def type_id(self, row: OutboxRow) -> int:
        """Raises PermanentDeliveryError naming the campaign where none is given."""
        if not row.platform_ref and self.own.activity_type_id:
            return self.own.activity_type_id
        return whole_number(row, "the id of a custom activity type, or TRIPLINE_MARKETO_ACTIVITY_TYPE_ID")

    def check(self, row: OutboxRow) -> None:
        self.type_id(row)

    def group_key(self, row: OutboxRow) -> Hashable:
        return row.platform_ref

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        return Request.of_json("/rest/v1/activities/external.json", {"input": [self._activity(row) for row in rows]})

    def decode(self, rows: Sequence[OutboxRow], answer: Answer) -> list[SendResult]:
        failures = {}
        for index, (_, record) in enumerate(zip(rows, records_of(answer), strict=True)):
            if record.get("status") != "added":
                failures[index] = _failure(*reasons_of(record))
        return settle(rows, answer, failures)

    def _activity(self, row: OutboxRow) -> dict[str, Any]:
        attributes = values_of(row, self.own.attributes)
        return {
            "leadId": self.leads.name_of(row),
            "activityDate": f"{row.matched_at:%Y-%m-%dT%H:%M:%S}Z",
            "activityTypeId": self.type_id(row),
            "primaryAttributeValue": row.idempotency_key,
            "attributes": [{"apiName": name, "value": value} for name, value in attributes.items()],
        }


class Requested(BatchDestination):
    """POST /rest/v1/campaigns/{id}/trigger.json: leads and one set of tokens for all of them."""

    def __init__(
        self, client: HttpClient, capabilities: Capabilities, batch_size: int, leads: Leads, own: MarketoSettings
    ) -> None:
        super().__init__(client, capabilities, min(batch_size, REQUESTED_AT_ONCE))
        self.leads, self.own = leads, own

    def check(self, row: OutboxRow) -> None:
        whole_number(row, "the id of a smart campaign")

    def group_key(self, row: OutboxRow) -> Hashable:
        return row.platform_ref, json.dumps(self._tokens(row))

    def _cut(self, rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
        # A lead that a request names twice would run through the campaign once.
        return [part for batch in super()._cut(rows) for part in without_repeats(batch, self.leads.name_of)]

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        campaign_id = whole_number(rows[0], "the id of a smart campaign")
        given: dict[str, Any] = {"leads": [{"id": self.leads.name_of(row)} for row in rows]}
        if tokens := self._tokens(rows[0]):
            given["tokens"] = tokens
        return Request.of_json(f"/rest/v1/campaigns/{campaign_id}/trigger.json", {"input": given})

    def _tokens(self, row: OutboxRow) -> list[dict[str, str]]:
        values = values_of(row, self.own.tokens)
        return [{"name": f"{{{{my.{name}}}}}", "value": str(value)} for name, value in values.items()]


def whole_number(row: OutboxRow, what: str) -> int:
    """The campaign's platform_ref. Raises PermanentDeliveryError naming the campaign where it is none."""
    given = (row.platform_ref or "").strip()
    if not re.fullmatch(r"[1-9][0-9]{0,17}", given):
        raise wrong_campaign(row, f'platform_ref is "{given}", and must be {what}')
    return int(given)


def mail_of(row: OutboxRow) -> str:
    """The e-mail as Marketo compares it; empty where there is none."""
    return (row.email or "").strip().lower()


def records_of(answer: Answer) -> list[Mapping[str, Any]]:
    """`result`, in the order of the input. Raises TypeError and KeyError where there is none."""
    records: list[Mapping[str, Any]] = answer.json()["result"]
    return records


def is_unknown_lead(result: SendResult) -> bool:
    return result.outcome is Outcome.REJECTED and re.search(rf"\b{UNKNOWN_LEAD}\b", result.answer) is not None


def _failure(code: int, words: str) -> ItemFailure:
    return ItemFailure(words, Outcome.FAILED if code in WAITING else Outcome.REJECTED)


def _for(row: OutboxRow, said: SendResult | None) -> SendResult:
    """What the look-up of a row's e-mail means for the row: nothing was sent, whatever is in doubt about the lead."""
    if said is None:
        return SendResult(row, Outcome.REJECTED, answer="marketo_lead_id is no lead's id, and no e-mail is known")
    outcome = Outcome.FAILED if said.outcome in (Outcome.UNKNOWN, Outcome.DELIVERED) else said.outcome
    return SendResult(row, outcome, said.http_status, said.answer, said.retry_after)

"""What is read of Marketo: which custom activities it already holds, and which types of them there are.

Sources: Adobe's developer guide, pages Activities (Query, Describe) and Paging Tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from orchestration.destinations.base import OutboxRow
from orchestration.destinations.http import HttpClient
from orchestration.destinations.wire import Request
from orchestration.errors import RetryableDeliveryError

LEADS_AT_ONCE = 30
PAGES_AT_MOST = 200  # of 300 activities, for 30 leads: more is a token that does not move


def held_keys(
    client: HttpClient, rows: Sequence[OutboxRow], leads: Mapping[str, int], type_id: int
) -> Iterator[tuple[list[OutboxRow], set[str]]]:
    """For each part of the rows, the keys that activities of this type carry. `leads`: lead ids by idempotency key.

    Lazy, a few calls a part; raises DeliveryError at the part whose reading fails.
    """
    by_lead: dict[int, list[OutboxRow]] = defaultdict(list)
    for row in rows:
        by_lead[leads[row.idempotency_key]].append(row)
    ids = sorted(by_lead)
    for start in range(0, len(ids), LEADS_AT_ONCE):
        part = ids[start : start + LEADS_AT_ONCE]
        meant = [row for lead in part for row in by_lead[lead]]
        yield meant, _keys(client, part, type_id, min(row.matched_at for row in meant))


def _keys(client: HttpClient, leads: Sequence[int], type_id: int, since: datetime) -> set[str]:
    # An activity's date is its match's; a second earlier, for dates are sent without fractions.
    moment = f"{since - timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}Z"
    page = _get(client, "/rest/v1/activities/pagingtoken.json", {"sinceDatetime": moment})
    keys: set[str] = set()
    for _ in range(PAGES_AT_MOST):
        asked = {
            "nextPageToken": str(page.get("nextPageToken")),
            "activityTypeIds": str(type_id),
            "leadIds": ",".join(map(str, leads)),
        }
        page = _get(client, "/rest/v1/activities.json", asked)
        keys |= {str(activity.get("primaryAttributeValue")) for activity in page.get("result") or []}
        if not page.get("moreResult"):
            return keys
    raise RetryableDeliveryError("the activities could not be read to their end")


def activity_types(client: HttpClient) -> dict[int, set[str] | None]:
    """Attributes by type; None where Marketo does not tell all their API names. Raises DeliveryError."""
    body = _get(client, "/rest/v1/activities/types.json", {})
    return {int(kind["id"]): _api_names(kind.get("attributes") or []) for kind in body.get("result") or []}


def _api_names(attributes: Sequence[Mapping[str, Any]]) -> set[str] | None:
    names = [attribute.get("apiName") for attribute in attributes]
    return None if None in names else {str(name) for name in names}


def _get(client: HttpClient, path: str, query: Mapping[str, str]) -> dict[str, Any]:
    request = Request(f"{path}?{urlencode(query)}" if query else path, method="GET")
    body = client.send(request).json()
    if not isinstance(body, dict):
        raise RetryableDeliveryError("the answer was cut")
    return body

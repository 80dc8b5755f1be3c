"""A made-up HTTP API, declared in YAML."""

from __future__ import annotations

from collections.abc import Mapping

from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen

SECRET = "canary-rest-token"
DECLARATION = """\
url: {url}/v2/firings
headers:
  authorization: {env: SHOP_API_TOKEN, prefix: "Bearer "}
  x-source: tripline
batch_size: 100
deduplicates: true
idempotency_key_field: firings[].key
needs: [email]
history: '`past` is true: the API keeps the firing and starts nothing'
body: |
  {"firings": [
    {% for row in rows %}
    {
      "key": {{ row.idempotency_key | tojson }},
      "to": {{ row.email | tojson }},
      "user": {{ row.user_id | tojson }},
      "what": {{ row.payload.trigger | tojson }},
      "at": {{ row.matched_at | tojson }},
      "past": {{ row.is_history | tojson }},
      "product": {{ row.payload.properties.product_id | default(none) | tojson }}
    }{{ "," if not loop.last }}
    {% endfor %}
  ]}
"""


class ShopApi(FakePlatform):
    deduplicates = True

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Bearer {SECRET}"

    def problems(self, seen: Seen) -> list[str]:
        wanted = {"key", "to", "user", "what", "at", "past", "product"}
        wrong = [f"{sorted(wanted ^ firing.keys())}" for firing in seen.json()["firings"] if firing.keys() != wanted]
        return wrong + ([] if seen.path == "/v2/firings" else ["wrong path"])

    def items(self, seen: Seen) -> list[Item]:
        return [Item(firing["key"], firing["user"]) for firing in seen.json()["firings"]]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(202, {"accepted": len(self.items(seen))})

    def is_silent(self, seen: Seen) -> bool:
        return all(firing["past"] for firing in seen.json()["firings"])


BATCH = DestinationCase(
    name="shop_api",
    label="declared REST, batches",
    environment=lambda url: {"SHOP_API_TOKEN": SECRET},
    wrong_credentials={"SHOP_API_TOKEN": "canary-rest-other"},
    secrets=(SECRET, "canary-rest-other"),
    fake=ShopApi,
    expected_key=lambda row: row.idempotency_key,
    files={"destinations/shop_api.yml": DECLARATION},
)

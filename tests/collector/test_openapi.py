"""The description that is served is true: what fits it and what does not is answered as it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as examples
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from orchestration.collector.app import make_app
from orchestration.collector.settings import CollectorSettings
from orchestration.collector.spool import Spool
from orchestration.settings import Settings
from tests.collector.conftest import KEY, READ_KEY, copy_of_shop
from tests.collector.readers import BEARER

pytestmark = pytest.mark.xdist_group("reading")  # of the published batch

CHECKS = [
    schemathesis.checks.CHECKS.get_one("not_a_server_error"), status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip
BASIC = {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}


@pytest.fixture(scope="module")
def described(shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    home = tmp_path_factory.mktemp("described")
    copy_of_shop(shop, home)
    (home / "sources").mkdir()
    (home / "sources" / "site.yml").write_text("name: site\nkind: collector\nevents_per_second: 1000000\n")
    settings = Settings.all_in(home)
    with Spool(settings.landing_path) as spool, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPLINE_VALIDATION_ENABLED", "false")  # tests/validation/test_described.py has it
        app = make_app(settings, CollectorSettings(keys={"site": [KEY]}, read_keys=[READ_KEY]), spool)  # type: ignore[dict-item]
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("described").exclude(path="/v1/evaluate")


MANY = examples(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@schema.parametrize()
@MANY
def test_every_answer_to_who_has_a_key_is_one_that_the_description_names(case: schemathesis.Case) -> None:
    is_reading = {"readKey": []} in case.operation.definition.raw.get("security", [])
    case.call_and_validate(headers=BEARER if is_reading else BASIC, checks=CHECKS)


# A user, a device of another one, and a device of nobody: made-up ids are nobody's.
@pytest.mark.parametrize("asked", ["capped", "anon:dev-1", "dev-2"])
@pytest.mark.parametrize("path", ["/v1/triggers", "/v1/users/{id}/triggers", "/v1/users/{id}/explain"])
def test_what_is_told_of_known_users_is_as_described(described: Any, path: str, asked: str) -> None:
    case = described[path]["GET"].Case(path_parameters={"id": asked} if "{id}" in path else {})
    assert case.call_and_validate(headers=BEARER, checks=CHECKS).status_code == 200


@schema.parametrize()
@MANY
def test_every_answer_to_who_has_none_is_one_that_the_description_names(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)

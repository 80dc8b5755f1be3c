"""The description that is served is true: what fits it and what does not is answered as it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator

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
from tests.collector.conftest import KEY

CHECKS = [
    schemathesis.checks.CHECKS.get_one("not_a_server_error"), status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip
BASIC = {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    home = tmp_path_factory.mktemp("described")
    (home / "sources").mkdir()
    (home / "sources" / "site.yml").write_text("name: site\nkind: collector\nevents_per_second: 1000000\n")
    settings = Settings.all_in(home)
    with Spool(settings.landing_path) as spool:
        app = make_app(settings, CollectorSettings(keys={"site": [KEY]}), spool)  # type: ignore[dict-item]
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("described")


MANY = examples(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@schema.parametrize()
@MANY
def test_every_answer_to_who_has_a_key_is_one_that_the_description_names(case: schemathesis.Case) -> None:
    case.call_and_validate(headers=BASIC, checks=CHECKS)


@schema.parametrize()
@MANY
def test_every_answer_to_who_has_none_is_one_that_the_description_names(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)

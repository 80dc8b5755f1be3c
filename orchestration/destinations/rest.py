"""Any HTTP API, declared in YAML: TRIPLINE_HOME/destinations/<name>.yml is the destination `<name>`.

    url: https://api.example.com/v2/events
    headers:
      authorization: {env: EXAMPLE_TOKEN, prefix: "Bearer "}
      idempotency-key: {template: "{{ row.idempotency_key }}"}
    body: |
      {"user": {{ row.user_id | tojson }}, "event": {{ row.payload.trigger | tojson }}}

`body` is a Jinja template, rendered in a sandbox; it sees `row`, and with a `batch_size` above 1 only `rows`. A row
has the fields of `ROW_FIELDS`; `payload` is the outbox's, parsed. Secrets come from the environment, by name, and
only in headers. A declaration is checked when it is read, on made-up rows, before anything is sent.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, RateLimit
from orchestration.destinations.batches import BatchDestination
from orchestration.destinations.http import HttpClient
from orchestration.destinations.samples import sample_row
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.wire import Request
from orchestration.errors import ConfigError, PermanentDeliveryError
from orchestration.settings import Settings

ROW_FIELDS = (
    "idempotency_key", "decision_id", "campaign", "trigger_name", "user_id", "matched_at", "decided_at", "email",
    "phone", "external_ids", "action", "platform_ref", "is_history", "payload",
)  # fmt: skip
LIKE_A_SECRET = re.compile(r"auth|token|secret|key|cookie|password|signature", re.IGNORECASE)
HARMLESS = frozenset({"idempotency-key", "x-idempotency-key"})


def _dumps(value: Any, **options: Any) -> str:
    def say_what_is_missing(leaf: Any) -> Any:
        if isinstance(leaf, StrictUndefined):
            str(leaf)  # raises UndefinedError, naming it
        raise TypeError(f"{type(leaf).__name__} is nothing that JSON has")

    return json.dumps(value, default=say_what_is_missing, **options)


JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
JINJA.policies["json.dumps_function"] = _dumps


class SecretHeader(BaseModel):
    """A header whose value is an environment variable's, after `prefix`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    prefix: str = ""


class TemplateHeader(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    template: str


class Declaration(BaseModel):
    """One REST destination, as its file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str | SecretHeader | TemplateHeader] = {}
    body: str
    batch_size: int = Field(default=1, ge=1, le=10_000)
    max_body_bytes: int | None = Field(default=None, ge=1)
    rate_limits: list[tuple[int, float]] = Field(default=[], description="[requests, seconds] pairs, all at once")
    max_concurrency: int = Field(default=1, ge=1, le=64)
    idempotency_key_field: str | None = Field(default=None, description="where headers or body carry the key")
    deduplicates: bool = False
    crash_policy: CrashPolicy | None = Field(default=None, description="resend where it deduplicates, else hold")
    permanent_statuses: list[int] = sorted(set(range(400, 500)) - {401, 403, 408, 410, 425, 429})
    endpoint_statuses: list[int] = [401, 403, 410]
    needs: list[str] = []
    history: str | None = Field(default=None, description="how `row.is_history` keeps past events silent")

    @field_validator("url")
    @classmethod
    def _url_holds_no_secret(cls, value: str) -> str:
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("is no address: it begins with http:// or https:// and names a host")
        if url.userinfo:
            raise ValueError("holds a user or password; use a header with env")
        return value

    @field_validator("headers")
    @classmethod
    def _secrets_come_from_the_environment(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, header in value.items():
            if isinstance(header, str) and LIKE_A_SECRET.search(name) and name.lower() not in HARMLESS:
                raise ValueError(f"{name} looks like a secret: name an environment variable, {name}: {{env: NAME}}")
        return {name.lower(): header for name, header in value.items()}

    @model_validator(mode="after")
    def _policy_can_be(self) -> Declaration:
        if self.crash_policy is CrashPolicy.RECONCILE:
            raise ValueError("crash_policy: a REST destination cannot be read back; resend or hold")
        if self.deduplicates and not self.idempotency_key_field:
            raise ValueError("idempotency_key_field: where it deduplicates, say where the key stands")
        return self

    def capabilities(self) -> Capabilities:
        default = CrashPolicy.RESEND if self.deduplicates else CrashPolicy.HOLD
        twice = "" if self.deduplicates else "; what is in doubt may take effect twice"
        return Capabilities(
            max_batch_size=self.batch_size,
            max_body_bytes=self.max_body_bytes,
            rate_limits=tuple(RateLimit(requests, seconds) for requests, seconds in self.rate_limits),
            max_concurrency=self.max_concurrency,
            idempotency_key_field=self.idempotency_key_field,
            deduplicates=self.deduplicates,
            crash_policy=self.crash_policy or default,
            can_reconcile=False,
            permanent_statuses=frozenset(self.permanent_statuses),
            endpoint_statuses=frozenset(self.endpoint_statuses),
            partial_failure="a request is taken or refused as a whole; a refused batch is halved around the row at "
            "fault",
            history=self.history,
            needs=tuple(self.needs),
            promises={
                CrashPolicy.RESEND: f"nothing is lost{twice}",
                CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
            },
        )


class RestKind:
    """The destination that a file declares. Raises ConfigError naming the file and what is wrong in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem

    @cached_property
    def declaration(self) -> Declaration:
        try:
            declaration = Declaration.model_validate(yaml.safe_load(self.path.read_text(encoding="utf-8")))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()]
            raise self._wrong("; ".join(wrong)) from None
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise self._wrong(f"cannot be read ({type(error).__name__})") from None
        problem = _problem(declaration)
        if problem:
            raise self._wrong(problem)
        return declaration

    @property
    def CAPABILITIES(self) -> Capabilities:
        return self.declaration.capabilities()

    def create(self, settings: Settings) -> RestDestination:
        """Raises ConfigError where the file makes no sense or a variable that it names is not set."""
        secrets = {
            name: header.prefix + os.environ.get(header.env, "")
            for name, header in self.declaration.headers.items()
            if isinstance(header, SecretHeader)
        }
        for header in self.declaration.headers.values():
            if isinstance(header, SecretHeader) and not os.environ.get(header.env):
                raise ConfigError(f"{header.env} is not set", f"{self.path.name} takes a header from it")
        values = [os.environ[h.env] for h in self.declaration.headers.values() if isinstance(h, SecretHeader)]
        push_settings = PushSettings()
        client = HttpClient(
            self.name,
            self.declaration.url,
            self.CAPABILITIES,
            push_settings,
            secrets=values,
            authorize=lambda request: secrets,
        )
        return RestDestination(self.declaration, client, push_settings.batch_size_of(self.name, self.CAPABILITIES))

    def _wrong(self, what: str) -> ConfigError:
        where = f"{self.path.parent.name}/{self.path.name}"
        return ConfigError(f"{where}: {what}", "docs/destinations.md says what it may hold")


class RestDestination(BatchDestination):
    def __init__(self, declaration: Declaration, client: HttpClient, batch_size: int) -> None:
        super().__init__(client, declaration.capabilities(), batch_size)
        self.declaration = declaration

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        try:
            headers, body = render(self.declaration, rows)
        except (TemplateError, ValueError, ArithmeticError, LookupError, TypeError) as error:
            raise PermanentDeliveryError(f"the template does not fit this row: {error}") from None
        return Request("", body.encode(), self.declaration.method, {"content-type": "application/json", **headers})


def render(declaration: Declaration, rows: Sequence[OutboxRow]) -> tuple[dict[str, str], str]:
    """Headers without secrets, and the body. Raises jinja2.TemplateError, and ValueError where it is no JSON."""
    views = [_view(row) for row in rows]
    context: dict[str, Any] = {"row": views[0]} if declaration.batch_size == 1 else {"rows": views}
    headers = {name: header for name, header in declaration.headers.items() if isinstance(header, str)}
    for name, header in declaration.headers.items():
        if isinstance(header, TemplateHeader):
            headers[name] = _template(header.template).render(context)
    body = _template(declaration.body).render(context)
    if "json" in headers.get("content-type", "application/json"):
        json.loads(body)
    return headers, body


@lru_cache(maxsize=256)
def _template(text: str) -> Template:
    return JINJA.from_string(text)


def _view(row: OutboxRow) -> Mapping[str, Any]:
    view = {name: getattr(row, name) for name in ROW_FIELDS}
    for name in ("matched_at", "decided_at"):
        view[name] = f"{view[name].isoformat(timespec='microseconds')}Z"
    return {**view, "payload": json.loads(row.payload)}


def _problem(declaration: Declaration) -> str:
    """What goes wrong with made-up rows, whose texts hold what JSON must escape; empty where nothing does."""
    samples = [sample_row(number) for number in range(min(declaration.batch_size, 2))]
    try:
        render(declaration, samples)
    except TemplateError as error:
        return f"the template: {error}"
    except json.JSONDecodeError as error:
        return f"body is no JSON ({error}); write texts as {{{{ row.user_id | tojson }}}}"
    except Exception as error:
        return f"the template: {type(error).__name__}: {error}"
    return ""

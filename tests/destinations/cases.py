"""The destinations that the contract suite runs against. A new one is a module with a CASE, and a line in CASES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.destinations.base import OutboxRow
from tests.destinations.rows import outbox_row
from tests.destinations.server import FakePlatform


@dataclass(frozen=True)
class DestinationCase:
    """One destination under test."""

    name: str
    """In the registry."""
    environment: Callable[[str], Mapping[str, str]]
    """What to set, given the server's address: addresses, and credentials that hold each of `secrets`."""
    wrong_credentials: Mapping[str, str]
    """What to set so that the platform refuses everything."""
    secrets: tuple[str, ...]
    """Texts that may never be seen outside the request's headers."""
    fake: Callable[[], FakePlatform]
    expected_key: Callable[[OutboxRow], str | None]
    """What must stand in the platform's key field for a row; None where it has no such field."""
    row: Callable[..., OutboxRow] = outbox_row
    """As `outbox_row`, with what this platform needs."""
    names_the_wait: bool = True
    """A rate limited answer says how long to wait, to the second."""
    label: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files in TRIPLINE_HOME, by path; {url} stands for the server's address."""

    def write_files(self, home: Path, url: str) -> None:
        for name, text in self.files.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{url}", url))


def all_cases() -> list[DestinationCase]:
    from tests.destinations import (
        case_braze,
        case_customerio,
        case_hubspot,
        case_iterable,
        case_klaviyo,
        case_marketo,
        case_rest,
        case_segment,
        case_webhook,
    )

    return [
        case_webhook.SINGLE,
        case_webhook.BATCH,
        case_rest.BATCH,
        case_braze.CASE,
        case_iterable.CASE,
        case_klaviyo.CASE,
        case_marketo.CASE,
        case_segment.CASE,
        case_hubspot.EVENT,
        case_hubspot.EMAIL,
        case_hubspot.CONTACT,
        case_customerio.CASE,
    ]

"""What a person does in Dagster's UI, over the same GraphQL."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RETRY = """mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } eventConnection { events {
  ... on MessageEvent { message eventType } ... on LogsCapturedEvent { fileKey } } } } } }"""
LOGS = "query($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }"


def within(seconds: float, look: Callable[[], T | None], what: str) -> T:
    """The first thing that `look` gives; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Run:
    run_id: str
    status: str
    tags: dict[str, str]
    messages: list[str]
    log_keys: list[str]

    def said(self, words: str) -> list[str]:
        return [message for message in self.messages if words in message]


class UI:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.load(answer)
        assert not told.get("errors"), told["errors"]
        return told["data"]

    def locations(self) -> dict[str, str]:
        """The load status of each code location; none while the web server does not answer."""
        query = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
        try:
            entries = self.ask(query)["workspaceOrError"]["locationEntries"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}
        return {entry["name"]: entry["loadStatus"] for entry in entries}

    def is_up(self, *locations: str) -> bool:
        return {name for name, status in self.locations().items() if status == "LOADED"} >= set(locations)

    def launch(self, job: str, location: str = "first_location") -> str:
        selector = {"jobName": job, "repositoryName": "__repository__", "repositoryLocationName": location}
        told = self.ask(LAUNCH, params={"selector": selector, "mode": "default", "runConfigData": "{}"})
        return str(told["launchRun"]["run"]["runId"])

    def retry(self, run_id: str) -> str:
        told = self.ask(RETRY, params={"parentRunId": run_id, "strategy": "FROM_FAILURE"})
        return str(told["launchRunReexecution"]["run"]["runId"])

    def terminate(self, run_id: str) -> str:
        return str(self.ask(TERMINATE, id=run_id)["terminateRun"]["__typename"])

    def run(self, run_id: str) -> Run:
        told = self.ask(RUN, id=run_id)["runOrError"]
        events = told["eventConnection"]["events"]
        return Run(
            run_id,
            told["status"],
            {tag["key"]: tag["value"] for tag in told["tags"]},
            [event["message"] for event in events if event.get("message")],
            [event["fileKey"] for event in events if event.get("fileKey")],
        )

    def ended(self, run_id: str, seconds: float = 60) -> Run:
        def look() -> Run | None:
            run = self.run(run_id)
            return run if run.status in ENDED else None

        return within(seconds, look, f"the end of run {run_id}")

    def output(self, run: Run) -> str:
        """What its steps printed, as the UI shows it."""
        keys = [[run.run_id, "compute_logs", key] for key in run.log_keys]
        return "".join(self.ask(LOGS, key=key)["capturedLogs"]["stdout"] or "" for key in keys)

"""The platform's HTTP side, on 127.0.0.1 only.

POST /hook       a signed message; 200 {"duplicates": n}, 401 for a wrong signature, 400 for a body that is none
GET  /           a page for people                  GET /received   the same as JSON, with counts
POST /admin/behaviour   {"script": [step, …], "rejected_users": {user: reason}}, see behaviour.py
POST /admin/release     lets a `process_then_wait` answer go out
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from orchestration.platform.behaviour import Behaviour, Step
from orchestration.platform.page import render
from orchestration.platform.store import Store

MAX_BODY_BYTES = 32 * 1024 * 1024


class CampaignPlatform:
    """A running platform; use as a context manager. `port` 0 takes a free one."""

    def __init__(self, store: Path, secret: str, *, port: int = 0) -> None:
        self.store = Store(store)
        self.behaviour = Behaviour()
        self.requests: Counter[str] = Counter()
        self.verifier = Webhook(secret)
        self._server = _Server(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.hook_url = f"{self.url}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> CampaignPlatform:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.behaviour.stopped.set()
        self.behaviour.released.set()
        self._server.shutdown()
        self._server.server_close()
        self.store.close()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> None:
        """Blocks until the server is stopped."""
        self._thread.join()

    def received(self) -> dict[str, Any]:
        """What GET /received answers: counts, `effects` in the order of arrival, `requests` by what they met."""
        return {**self.store.snapshot(), "requests": dict(self.requests)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], platform: CampaignPlatform) -> None:
        super().__init__(address, _Handler)
        self.platform = platform


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for the acknowledgement of its own headers
    server: _Server
    JSON: ClassVar[str] = "application/json"

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, render(self.server.platform.received()), "text/html; charset=utf-8")
        elif self.path == "/received":
            self._answer(200, json.dumps(self.server.platform.received()))
        else:
            self._answer(404, '{"error": "not found"}')

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(413, '{"error": "too large"}')
            return
        body = self.rfile.read(length)
        path = self.path.partition("?")[0]
        # A web page of somebody else cannot send this type without asking first.
        if path.startswith("/admin/") and self.headers.get("content-type") == self.JSON:
            self._admin(path, body)
        elif path == "/hook":
            self._hook(body)
        else:
            self._answer(404, '{"error": "not found"}')

    def _admin(self, path: str, body: bytes) -> None:
        behaviour = self.server.platform.behaviour
        if path == "/admin/release":
            behaviour.released.set()
        else:
            try:
                wanted = json.loads(body)
                behaviour.set(wanted.get("script", []), wanted.get("rejected_users", {}))
            except (ValueError, TypeError) as error:
                self._answer(400, json.dumps({"error": str(error)}))
                return
        self._answer(200, "{}")

    def _hook(self, body: bytes) -> None:
        platform = self.server.platform
        try:
            message = platform.verifier.verify(body, dict(self.headers.items()))
        except (WebhookVerificationError, ValueError):  # ValueError: a header that is not even shaped like a signature
            platform.requests["unverified"] += 1
            self._answer(401, '{"error": "the signature does not fit"}')
            return
        data = message.get("data") if isinstance(message, dict) else None
        items = data if isinstance(data, list) else [data]
        if not items or not all(isinstance(item, dict) for item in items):
            self._answer(400, '{"error": "data is neither an object nor a list of objects"}')
            return
        step = platform.behaviour.next_step()
        platform.requests[step.kind] += 1
        self._meet(step, self.headers["webhook-id"], items)

    def _meet(self, step: Step, webhook_id: str, items: list[dict[str, Any]]) -> None:
        platform = self.server.platform
        if step.kind == "status":
            headers = {"retry-after": step.retry_after} if step.retry_after is not None else {}
            self._answer(step.status, step.body or json.dumps({"error": f"told to answer {step.status}"}), **headers)
            return
        if step.kind in ("reset", "silence"):
            self._go_dark(step.kind)
            return
        refusal = platform.behaviour.refusal_of(items)
        if refusal is not None:
            platform.store.reject(webhook_id, refusal)
            self._answer(400, json.dumps({"error": refusal}))
            return
        duplicates = platform.store.take(webhook_id, items)
        if step.kind in ("process_then_reset", "process_then_silence"):
            self._go_dark(step.kind.removeprefix("process_then_"))
            return
        if step.kind == "process_then_wait":
            platform.behaviour.released.wait()
        self._answer(200, json.dumps({"duplicates": duplicates}))
        platform.requests["answered"] += 1

    def _go_dark(self, how: str) -> None:
        self.close_connection = True
        if how == "silence":
            self.server.platform.behaviour.stopped.wait()
        # Lingering for zero seconds makes closing a reset instead of a goodbye; an open rfile would put it off.
        self.rfile.close()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _answer(self, status: int, body: str, content_type: str = JSON, **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        self.send_header("x-content-type-options", "nosniff")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the store is the record, and a test's output is no place for it."""

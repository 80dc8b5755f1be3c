"""Two servers that speak Kinesis, each in a process of its own: moto's, and kinesalite from npm."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.needs import needs

NODE = Path(__file__).parent / "node"


class Proxy:
    """In front of a server: answers its next calls of GetRecords with `troubles`, the names of Kinesis' errors."""

    def __init__(self, endpoint: str) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if proxy.troubles and self.headers["x-amz-target"].endswith(".GetRecords"):
                    error = json.dumps({"__type": proxy.troubles.pop(), "message": "told to"}).encode()
                    self._answer(400, {"content-type": "application/x-amz-json-1.1"}, error)
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = httpx.post(endpoint + self.path, content=body, headers=headers)
                kept = {name: answer.headers[name] for name in ("content-type", "date") if name in answer.headers}
                self._answer(answer.status_code, kept, answer.content)

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in {"date": formatdate(usegmt=True), **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: a test's output is no place for it."""

        self.troubles: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def moto() -> Iterator[str]:
    port = _free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port) as url:
        yield url


@contextmanager
def kinesalite(folder: Path) -> Iterator[str]:
    npm = needs("npm", why="kinesalite, a second implementation of Kinesis, runs on Node 20")
    for path in NODE.iterdir():
        shutil.copy(path, folder)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True, timeout=300)
    port = _free_port()
    words = ["--port", str(port), "--createStreamMs", "0", "--deleteStreamMs", "0", "--updateStreamMs", "0"]
    with _running(["node", str(folder / "node_modules" / "kinesalite" / "cli.js"), *words], port) as url:
        yield url


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert server.poll() is None and time.monotonic() < deadline, f"{command[0]} does not answer"
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

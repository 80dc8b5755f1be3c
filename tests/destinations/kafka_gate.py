"""A broker that lets nobody in by SASL PLAIN, and repeats in its answer what it was sent."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from types import TracebackType

VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36  # numbers of requests in Kafka's protocol
UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 35, 58


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while head := self._read(4):
            request = self._read(struct.unpack(">i", head)[0])
            kind, version, number, name_size = struct.unpack(">hhih", request[:10])
            answer = _answer(kind, version, request[10 + max(name_size, 0) :])
            self.request.sendall(struct.pack(">ii", 4 + len(answer), number) + answer)

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            part = self.request.recv(size - len(read))
            if not part:
                return b""
            read += part
        return read


def _answer(kind: int, version: int, body: bytes) -> bytes:
    if kind == VERSIONS and version > 0:
        return struct.pack(">hi", UNSUPPORTED_VERSION, 0)
    if kind == VERSIONS:
        known = ((0, 3, 7), (3, 0, 5), (HANDSHAKE, 0, 1), (VERSIONS, 0, 0), (22, 0, 1), (AUTHENTICATE, 0, 0))
        return struct.pack(">hi", 0, len(known)) + b"".join(struct.pack(">hhh", *one) for one in known)
    if kind == HANDSHAKE:
        return struct.pack(">hih", 0, 1, 5) + b"PLAIN"
    assert kind == AUTHENTICATE
    words = b"you sent " + body[4:].replace(b"\x00", b" ")
    return struct.pack(">hh", AUTHENTICATION_FAILED, len(words)) + words + struct.pack(">i", 0)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    address_family = socket.AF_INET


class Gate:
    """Use as a context manager; `address` is what clients connect to."""

    def __enter__(self) -> Gate:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

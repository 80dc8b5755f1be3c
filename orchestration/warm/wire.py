"""Messages between a template and those who use it: one JSON object a line, over a unix socket, between processes of
one user."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

Message = dict[str, Any]
ANSWER_SECONDS = 5.0
LONGEST_MESSAGE = 8 << 20  # bytes; an environment and a serialized run take some tens of kilobytes


class Unavailable(Exception):
    """There is no template to talk to, or it did not answer."""


class NoAnswer(Unavailable):
    """The message went out, and nothing came back: it may have been acted upon."""


def call(path: Path, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
    """The answer of the template that listens at `path`.

    Raises Unavailable where nobody listens, NoAnswer where the connection broke or `seconds` passed after sending.
    """
    with connected(path, seconds) as connection:
        send(connection, message)
        try:
            return receive(connection)
        except OSError as error:
            raise NoAnswer(f"no answer to '{message['op']}' from {path}: {error or 'it took too long'}") from error


def connected(path: Path, seconds: float | None) -> socket.socket:
    """A connection to a process of this user. Raises Unavailable."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(str(path))
        if not is_same_user(connection):
            raise OSError("it belongs to somebody else")
    except OSError as error:
        connection.close()
        raise Unavailable(f"{path}: {error}") from error
    return connection


def send(connection: socket.socket, message: Message) -> None:
    """Raises Unavailable: half a line is not acted upon."""
    try:
        connection.sendall(encode(message))
    except OSError as error:
        raise Unavailable(str(error)) from error


def encode(message: Message) -> bytes:
    return json.dumps(message).encode() + b"\n"


def receive(connection: socket.socket) -> Message:
    """The next message. Raises OSError where there is none, or no sense in it."""
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(65_536)
        if not part:
            raise ConnectionResetError("the connection was closed")
        line += part
    return decode(line)


def decode(line: bytes) -> Message:
    """Raises OSError where the line is no JSON object."""
    try:
        message = json.loads(line)
    except ValueError as error:
        raise OSError(f"not a message: {line[:80]!r}") from error
    if not isinstance(message, dict):
        raise OSError(f"not a message: {line[:80]!r}")
    return message


def is_same_user(connection: socket.socket) -> bool:
    """What is sent holds the environment, secrets too; so the other end has to be this user's (or root's)."""
    if sys.platform != "linux":
        return False
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (os.getuid(), 0)

"""The template's socket and those who are connected to it."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.warm.wire import LONGEST_MESSAGE, Message, decode, encode, is_same_user

ANSWER_SECONDS = 1.0  # for whoever does not read: an answer is small and fits into the socket's buffer
DESCRIPTORS = 2  # stdout and stderr of a dbt command


@dataclass(eq=False)
class Visitor:
    """One connection: what came of its current line, and the descriptors that were sent along."""

    connection: socket.socket
    line: bytes = b""
    descriptors: list[int] = field(default_factory=list)

    def answer(self, message: Message) -> None:
        """Whoever is gone gets no answer; that is seen at the next read."""
        self.connection.settimeout(ANSWER_SECONDS)
        try:
            self.connection.sendall(encode(message))
        except OSError:
            pass
        finally:
            self.connection.setblocking(False)

    def drop_descriptors(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

    def close(self) -> None:
        self.drop_descriptors()
        self.connection.close()


class Door:
    """Single-threaded: `wait` gives what was said since, and who left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._visitors: set[Visitor] = set()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Whoever holds the template's lock may replace a socket that a dead one left.
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(before)
        self._listener.listen(16)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def wake_on(self, descriptor: int) -> None:
        """`wait` returns when something can be read from it, and reads it."""
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, selectors.EVENT_READ)

    def wait(self, seconds: float) -> Iterator[tuple[Visitor, Message | None]]:
        """(visitor, message), or (visitor, None) for one who left. Whoever talks no sense is shown out."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._let_in()
            elif isinstance(key.data, Visitor):
                yield from self._hear(key.data)
            elif isinstance(key.fileobj, int):
                os.read(key.fileobj, 4096)

    def _let_in(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # gone again
            return
        if not is_same_user(connection):
            connection.close()
            return
        connection.setblocking(False)
        visitor = Visitor(connection)
        self._visitors.add(visitor)
        self._selector.register(connection, selectors.EVENT_READ, visitor)

    def _hear(self, visitor: Visitor) -> Iterator[tuple[Visitor, Message | None]]:
        try:
            part, descriptors, _, _ = socket.recv_fds(visitor.connection, 1 << 20, DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            part, descriptors = b"", []
        visitor.descriptors += descriptors
        visitor.line += part
        try:
            if not part or len(visitor.line) > LONGEST_MESSAGE:
                raise OSError("closed")
            while b"\n" in visitor.line:
                line, visitor.line = visitor.line.split(b"\n", 1)
                yield visitor, decode(line)
        except OSError:
            self.show_out(visitor)
            yield visitor, None

    def show_out(self, visitor: Visitor) -> None:
        if visitor in self._visitors:
            self._visitors.remove(visitor)
            self._selector.unregister(visitor.connection)
            visitor.close()

    def close_in_child(self) -> None:
        """In a forked process: lets go of everything here and leaves the socket to the template."""
        for visitor in self._visitors:
            visitor.close()
        self._visitors.clear()
        self._listener.close()
        self._selector.close()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self.close_in_child()

"""The published database, for requests: open only while somebody reads, and never for longer than it is the last one.

Two published files take turns, and publishing makes a copy of everything where the one of before is still open here. So
a file is let go soon after another one took its name, by whoever reads last or by a look at it meanwhile. Answers are
kept with the file that they are from.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from orchestration.commands.tables import Tables, open_published
from orchestration.settings import Settings

THREADS = 2  # of reading, beside the loop that takes events
WAITING = 100  # readers; a machine that is behind by more gains nothing from a longer queue
# A query runs in the thread that asked. The memory is for the counts over all matches, which want the most.
LIMITS = {"threads": 1, "memory_limit": "256MB"}
LOOK_SECONDS = 0.2
IDLE_SECONDS = 10.0
KEPT_BYTES = 8 * 1024 * 1024
OPEN_TRIES = 5

Version = tuple[int, int, int]


class NothingToRead(Exception):
    """There is no published database, or one that cannot be read: tried again later it may be there."""


class TooManyReaders(Exception):
    pass


@dataclass(frozen=True)
class Answer:
    """JSON and its strong ETag: the text names its build, so it is another one wherever the build is."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, model: BaseModel) -> Answer:
        body = model.model_dump_json().encode()
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class _Kept:
    """Answers by question, the latest asked for, in so many bytes; None is the answer of what nobody knows."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answer | None] = OrderedDict()
        self._bytes = 0

    def get(self, question: str) -> Answer | None:
        self._answers.move_to_end(question)
        return self._answers[question]

    def __contains__(self, question: str) -> bool:
        return question in self._answers

    def keep(self, question: str, answer: Answer | None) -> None:
        if question in self._answers:  # another reader was as quick
            return
        self._answers[question] = answer
        self._bytes += _size(question, answer)
        while self._bytes > KEPT_BYTES:
            self._bytes -= _size(*self._answers.popitem(last=False))


def _size(question: str, answer: Answer | None) -> int:
    return 200 + len(question) + (len(answer.body) if answer else 0)


@dataclass
class _Opened:
    version: Version
    tables: Tables
    closing: ExitStack
    readers: int = 0
    used_at: float = field(default_factory=time.monotonic)
    kept: _Kept = field(default_factory=_Kept)


class Views:
    """Opens nothing and starts no thread before the first question."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._lock = threading.Lock()  # of what follows
        self._opened: _Opened | None = None
        self._looking: threading.Thread | None = None
        self._is_over = threading.Event()

    async def ask(self, question: str, make: Callable[[Tables], BaseModel | None]) -> Answer | None:
        """What `make` makes of the tables, None where it does; `question` names it among all questions.

        Raises NothingToRead, TooManyReaders.
        """
        if self._waiting >= WAITING:
            raise TooManyReaders
        self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="reading")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, question, make)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """A question after it opens everything anew."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        with self._lock:
            self._let_go()
            looking = self._looking
        self._is_over.set()
        if looking:  # a thread that outlives the interpreter has DuckDB complain of what it holds
            looking.join(timeout=1)

    def _answer(self, question: str, make: Callable[[Tables], BaseModel | None]) -> Answer | None:
        with self._reading() as opened:
            with self._lock:
                if question in opened.kept:
                    return opened.kept.get(question)
                cursor = opened.tables.connection.cursor()  # has temporary tables of its own
            with cursor:
                made = make(replace(opened.tables, connection=cursor))
            answer = None if made is None else Answer.of(made)
            with self._lock:
                opened.kept.keep(question, answer)
            return answer

    @contextmanager
    def _reading(self) -> Iterator[_Opened]:
        with self._lock:
            if self._opened and self._opened.version != self._version():
                self._let_go()
            opened = self._opened = self._opened or self._open()
            opened.readers += 1
            self._look_after()
        try:
            yield opened
        finally:
            with self._lock:
                opened.readers -= 1
                opened.used_at = time.monotonic()
                if opened is not self._opened and not opened.readers:
                    opened.closing.close()

    def _version(self) -> Version | None:
        try:
            stat = self._settings.published_path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _open(self) -> _Opened:
        """Raises NothingToRead."""
        problem = ""
        for _ in range(OPEN_TRIES):
            version = self._version()
            if version is None:
                raise NothingToRead
            with ExitStack() as closing:
                tables = closing.enter_context(open_published(self._settings, LIMITS))
                is_same = self._version() == version
                if is_same and tables.published.state == "open":
                    return _Opened(version, tables, closing.pop_all())
                problem = tables.published.problem
            if is_same:
                break
        raise NothingToRead(problem)

    def _let_go(self) -> None:
        """Closed here, or by its last reader."""
        if self._opened and not self._opened.readers:
            self._opened.closing.close()
        self._opened = None

    def _look_after(self) -> None:
        if self._looking is None:
            self._is_over.clear()
            self._looking = threading.Thread(target=self._look, name="reading-look", daemon=True)
            self._looking.start()

    def _look(self) -> None:
        while True:
            self._is_over.wait(LOOK_SECONDS)
            with self._lock:
                opened = self._opened
                is_idle = opened and not opened.readers and time.monotonic() - opened.used_at > IDLE_SECONDS
                if opened and (is_idle or self._is_over.is_set() or opened.version != self._version()):
                    self._let_go()
                if self._opened is None:
                    self._looking = None
                    return

"""A Ctrl-C that is heard even where a library loses it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heard_interrupts() -> Iterator[Callable[[], None]]:
    """Gives a function that raises KeyboardInterrupt if Ctrl-C was pressed since; to be called between steps.

    Ctrl-C raises at once as ever, but that exception can get lost on its way, for example in C code that clears errors:
    a batch that was stopped while it opened the warehouse once went on to its end. Where SIGINT is ignored, as in the
    background of a shell, it stays ignored.
    """
    pressed = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)

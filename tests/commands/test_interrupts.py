"""Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from orchestration.interrupts import heard_interrupts


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """SIGINT as a terminal leaves it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_that_a_library_loses_still_stops_the_command_at_its_next_step() -> None:
    with heard_interrupts() as stop_if_asked:
        stop_if_asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        # Here the exception is gone, as it is where C code clears it.
        with pytest.raises(KeyboardInterrupt):
            stop_if_asked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_in_the_background_of_a_shell_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heard_interrupts() as stop_if_asked:
        signal.raise_signal(signal.SIGINT)
        stop_if_asked()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN

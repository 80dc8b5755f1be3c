"""The warm launcher on a machine where answers get lost, if a test says so."""

import os
import signal
from pathlib import Path

from orchestration.warm.launcher import WarmRunLauncher
from orchestration.warm.wire import Message, NoAnswer, call

SIGNALS = Path(os.environ["SMALL_SIGNALS"])


class FaultyLauncher(WarmRunLauncher):
    def _call(self, socket: Path, message: Message) -> Message:
        answer = super()._call(socket, message)
        if message["op"] == "launch" and (SIGNALS / "lose the answer").exists():
            (SIGNALS / "lose the answer").unlink()
            raise NoAnswer("lost by the test")
        if message["op"] == "launch" and (SIGNALS / "lose the template").exists():
            (SIGNALS / "lose the template").unlink()
            os.kill(call(socket, {"op": "about"})["pid"], signal.SIGKILL)
            raise NoAnswer("lost by the test, with its template")
        return answer

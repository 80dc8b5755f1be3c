"""The collector as it is, or with a spool that forgets at once: what durability costs is the difference."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from unittest import mock

from orchestration.collector import server
from orchestration.collector.settings import get_collector_settings
from orchestration.collector.spool import Spool
from orchestration.settings import get_settings


class Forgetting(Spool):
    def append(self, source: str, lines: bytes) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done


@contextmanager
def _spool(forgets: bool) -> Iterator[None]:
    with mock.patch.object(server, "Spool", Forgetting if forgets else Spool):
        yield


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--forget", action="store_true")
    options = parser.parse_args()
    import logging

    logging.getLogger("tripline.access").disabled = True
    with _spool(options.forget):
        server.serve(get_settings(), get_collector_settings(), lambda url, spool: print(url, flush=True))


if __name__ == "__main__":
    main()

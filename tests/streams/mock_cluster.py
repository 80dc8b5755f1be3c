"""librdkafka's own mock cluster, as a process of its own: brokers that other processes reach, and that misbehave.

python -m tests.streams.mock_cluster: prints the addresses, then does what standard input says, a line each:
`down 1`, `up 1`, `errors 1 <code> <count>` (of the next fetches), `late 0 <ms> <ms> …` (each broker answers its next
produce requests so much later, when they have taken effect), `forgive 0` (no more errors), `topic <name> <partitions>`,
`topic_error <name> <code>`, `topic_errors <name> 0 <code> <count>` (of the next produce requests to its partition 0);
answers `ok`. A broker that was told to be late knows no errors any more.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

from orchestration.settings import PROJECT_DIR

PRODUCE = 0  # the request's number in Kafka's protocol
FETCH = 1
LIST_OFFSETS = 2
PRODUCER_ID = 22
BROKERS = 3


class MockCluster:
    """Use as a context manager. `brokers` is what clients connect to."""

    def __enter__(self) -> MockCluster:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.streams.mock_cluster"],
            cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.brokers = self._process.stdout.readline().strip()
        assert self.brokers
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def tell(self, *words: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"


def _library() -> ctypes.CDLL:
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    (path,) = folder.glob("librdkafka*")
    return ctypes.CDLL(str(path))


def main() -> None:
    library = _library()
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new", "rd_kafka_mock_cluster_bootstraps"):
        getattr(library, name).restype = ctypes.c_void_p
    words = ctypes.create_string_buffer(512)
    handle = library.rd_kafka_new(0, ctypes.c_void_p(library.rd_kafka_conf_new()), words, ctypes.c_size_t(512))
    assert handle, words.value
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(ctypes.c_void_p(handle), BROKERS))
    print(ctypes.string_at(library.rd_kafka_mock_cluster_bootstraps(cluster)).decode(), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["down", broker]:
                library.rd_kafka_mock_broker_set_down(cluster, int(broker))
            case ["up", broker]:
                library.rd_kafka_mock_broker_set_up(cluster, int(broker))
            case ["topic", name, partitions]:
                library.rd_kafka_mock_topic_create(cluster, name.encode(), int(partitions), 1)
            case ["errors", api, code, count]:
                codes = [ctypes.c_int(int(code))] * int(count)
                push = library.rd_kafka_mock_push_request_errors
                push(cluster, ctypes.c_int16(int(api)), ctypes.c_size_t(len(codes)), *codes)
            case ["topic_errors", name, api, code, count]:
                codes = [ctypes.c_int(int(code))] * int(count)
                push = library.rd_kafka_mock_partition_push_request_errors
                push(cluster, name.encode(), 0, ctypes.c_int16(int(api)), ctypes.c_size_t(len(codes)), *codes)
            case ["late", api, *milliseconds]:
                pairs = [ctypes.c_int(number) for given in milliseconds for number in (0, int(given))]
                for broker in range(1, BROKERS + 1):
                    push = library.rd_kafka_mock_broker_push_request_error_rtts
                    push(cluster, broker, ctypes.c_int16(int(api)), ctypes.c_size_t(len(milliseconds)), *pairs)
            case ["forgive", api]:
                library.rd_kafka_mock_clear_request_errors(cluster, ctypes.c_int16(int(api)))
            case ["topic_error", name, code]:
                library.rd_kafka_mock_topic_set_error(cluster, name.encode(), int(code))
        print("ok", flush=True)


if __name__ == "__main__":
    main()

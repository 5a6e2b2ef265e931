"""Which servers the lean clients trust: real TLS, certificates of the tests' own authorities."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import SSLError

from inference.aws import trust
from tests.integration.clients.conftest import Maker
from tests.integration.clients.scripted_server import ScriptedServer, says, then_closes
from tests.integration.receivers import Authority

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authorities")


@pytest.fixture(scope="module")
def amazon(folder: Path) -> Authority:
    """It has a label of Amazon's in the bundle."""
    return Authority(folder, "amazon")


@pytest.fixture(scope="module")
def other(folder: Path) -> Authority:
    """It is in the bundle, too."""
    return Authority(folder, "other")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    """It is not in the bundle."""
    return Authority(folder, "stranger")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    trust.whole_context.cache_clear()
    trust._amazon_context.cache_clear()
    yield
    trust.whole_context.cache_clear()
    trust._amazon_context.cache_clear()


@pytest.fixture
def bundle(amazon: Authority, other: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Botocore's, for as long as the test takes."""
    path = tmp_path / "cacert.pem"
    labelled = [("Another Root", other), (trust.AMAZON_ROOTS[2], amazon)]
    path.write_bytes(b"\n".join(f'# Label: "{label}"\n# Serial: 1\n'.encode() + ca.pem for label, ca in labelled))
    monkeypatch.setattr(trust, "botocore", SimpleNamespace(__file__=str(tmp_path / "__init__.py")))
    return path


@pytest.fixture
def client(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a lean client from the environment."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    maker = Maker("lean", monkeypatch)
    return lambda server, **environment: maker("dynamodb", server.url, **environment)


def get(client: Any) -> Any:
    return client.get_item(TableName="t", Key={"request_id": {"S": "a"}})


def read_whole_bundle() -> bool:
    return trust.whole_context.cache_info().misses > 0


def test_amazons_certificates_are_verified_without_the_rest_of_the_bundle(
    client: Callable[..., Any], amazon: Authority
) -> None:
    with ScriptedServer(tls=amazon.server(HOST)) as server:
        get(client(server))
        assert server.connections == 1
    assert not read_whole_bundle()


def test_another_certificate_is_verified_with_the_whole_bundle(client: Callable[..., Any], other: Authority) -> None:
    with ScriptedServer(tls=other.server(HOST), script=[then_closes(says({}))]) as server:
        calls = client(server)
        get(calls)
        assert server.connections == 2  # the first was not verified
        assert server.closed.wait(10)
        get(calls)
        assert server.connections == 3  # the whole bundle stays


def test_threads_whose_first_connections_are_not_verified(client: Callable[..., Any], other: Authority) -> None:
    with ScriptedServer(tls=other.server(HOST)) as server, ThreadPoolExecutor(8) as pool:
        calls = client(server)
        assert all(answer is not None for answer in pool.map(lambda _: get(calls), range(40)))


@pytest.mark.parametrize(
    ("host", "days"), [("127.0.0.2", 1), ("dynamodb.us-east-1.amazonaws.com", 1), (HOST, -1)], ids=str
)
def test_of_amazon_but_of_another_host_or_expired(
    client: Callable[..., Any], amazon: Authority, host: str, days: int
) -> None:
    with ScriptedServer(tls=amazon.server(host, days)) as server:
        with pytest.raises(SSLError):
            get(client(server))
        assert server.received == []


def test_a_certificate_that_nobody_in_the_bundle_signed(client: Callable[..., Any], stranger: Authority) -> None:
    with ScriptedServer(tls=stranger.server(HOST)) as server:
        calls = client(server)
        for _ in range(2):
            with pytest.raises(SSLError):
                get(calls)
        assert server.received == []


def test_a_bundle_of_the_environment_is_the_only_one(
    client: Callable[..., Any], amazon: Authority, stranger: Authority, tmp_path: Path
) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(stranger.pem)
    with ScriptedServer(tls=stranger.server(HOST)) as server:
        get(client(server, AWS_CA_BUNDLE=str(own)))
        assert server.connections == 1
    with ScriptedServer(tls=amazon.server(HOST)) as server:
        with pytest.raises(SSLError):
            get(client(server, AWS_CA_BUNDLE=str(own)))
        assert server.received == []


def test_hosts_in_china_get_the_whole_bundle_at_once(bundle: Path) -> None:
    context = trust.first_context("sqs.cn-north-1.amazonaws.com.cn", None)
    assert context is trust.whole_context(None)
    assert len(context.get_ca_certs()) == 2


def test_a_bundle_without_amazons_labels_is_read_whole(bundle: Path) -> None:
    bundle.write_text(bundle.read_text(encoding="ascii").replace("Label", "Name"), encoding="ascii")
    assert trust.first_context("sqs.us-east-1.amazonaws.com", None) is trust.whole_context(None)


def test_without_a_bundle_the_systems_is_read(bundle: Path) -> None:
    bundle.unlink()
    context = trust.first_context("sqs.us-east-1.amazonaws.com", None)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()


def test_the_installed_botocore_has_all_of_amazons_roots() -> None:
    amazons = trust.first_context("sqs.us-east-1.amazonaws.com", None)
    whole = trust.whole_context(None)
    assert amazons is not whole
    found = amazons.get_ca_certs()
    assert sorted(dict(part[0] for part in root["subject"])["commonName"] for root in found) == list(trust.AMAZON_ROOTS)
    assert all(root in whole.get_ca_certs() for root in found)
    assert (amazons.check_hostname, amazons.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert amazons.verify_flags == whole.verify_flags

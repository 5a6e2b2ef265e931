"""What the functions that somebody waits for import until their first answer: not boto3, nor what it drags in.

The packages run as Lambda runs them: unpacked, in a process of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.packaging.package import Packages, build
from scripts.stack_defaults import api_environment, worker_environment
from tests.events import golden
from tests.integration.clients.scripted_server import ScriptedServer, says

ROOT = Path(__file__).parents[3]
LEFT_OUT = frozenset(
    {
        *(
            "boto3",
            "botocore.session",
            "botocore.client",
            "botocore.auth",
            "botocore.retries",
            "s3transfer",
            "jmespath",
            "dateutil",
        ),
        *("urllib3", "http.client", "email", "ssl", "asyncio", "xml", "importlib.metadata", "unittest"),
        *("encodings.idna", "stringprep"),
    }
)

RUN = """
import importlib, json, sys
sys.path.insert(0, ".")
name, method, event = sys.argv[1:]
class Context:
    aws_request_id = "invocation"
    def get_remaining_time_in_millis(self): return 30_000
answer = getattr(importlib.import_module(name), method)(json.loads(event), Context())
print(json.dumps({"answer": answer, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return build(tmp_path_factory.mktemp("packages"), [ROOT / "tests/e2e/models"])


def run(package: Path, folder: Path, handler: str, event: Any, server: ScriptedServer, **settings: str) -> Any:
    """Unpack a package, and give a new process of it one event. Returns its answer and the modules it imported."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH")}
    environment = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "REQUEST_TABLE": "requests",
    }
    command = [sys.executable, "-c", RUN, *handler.rsplit(".", 1), json.dumps(event)]
    done = subprocess.run(
        command, cwd=folder, env=inherited | environment | settings, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return told["answer"], set(told["modules"])


def test_the_api_function(packages: Packages, tmp_path: Path) -> None:
    event = golden("http_predict")
    models = {"MODELS": '{"wordcount": "wordcount"}', "DEFAULT_MODEL": "wordcount", "QUEUE_URL_PREFIX": "http://q/1/"}
    models |= api_environment()
    with ScriptedServer() as server:
        answer, modules = run(packages.lambda_zip, tmp_path, "api.handler", event, server, **models)
        assert answer["statusCode"] == 202, answer
        assert [received.operation for received in server.received] == ["PutItem", "SendMessage"]
    assert not (LEFT_OUT | {"random"}) & modules


def test_a_worker(packages: Packages, tmp_path: Path) -> None:
    event = golden("sqs_1")
    [record] = event["Records"]
    record["body"] = json.dumps(json.loads(record["body"]) | {"input": {"text": "two words"}})
    model = {"MODELS": '{"sentiment": "wordcount"}', "QUEUE_URL": "http://q/1/wordcount"}
    model |= worker_environment()
    claimed = {"request_id": {"S": "a"}, "status": {"S": "running"}, "model": {"S": "wordcount"}, "caller": {"S": "x"}}
    numbers = {"submitted_at": 1, "expires_at": 2, "delete_at": 3, "attempt_limit": 5, "attempts": 1}
    claimed |= {name: {"N": str(number)} for name, number in numbers.items()}
    with ScriptedServer(otherwise=says({"Attributes": claimed})) as server:
        answer, modules = run(packages.workers["wordcount"], tmp_path, "worker.handler.handler", event, server, **model)
        operations = [received.operation for received in server.received]
        assert operations == ["ChangeMessageVisibilityBatch", "UpdateItem", "UpdateItem"]
        assert b"succeeded" in server.received[-1].body
    assert answer == {"batchItemFailures": []}
    assert not LEFT_OUT & modules

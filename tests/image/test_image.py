"""The worker's image, built for real and driven by the real runtime client inside it. Minutes; see tests/README.md."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from inference.requests import Message
from scripts.bench.processes import FakeAws
from scripts.bench.runtime_api import FunctionError, RuntimeApi
from scripts.stack_defaults import worker_environment
from tests.image import container
from tests.image.container import REPORT, Image

pytestmark = pytest.mark.image

ANSWER_SECONDS = 60
REQUESTS = {
    "0" * 32: ("sentiment", "I love this airline, best crew ever", "positive"),
    "1" * 32: ("sentiment", "worst delay of my life, never again", "negative"),
    "2" * 32: ("wordcount", "three words only", "words"),
}
"""Request id -> model, text, a word of the result."""


def event() -> dict[str, Any]:
    """An SQS event with first deliveries of both models."""
    now = int(time.time() * 1000)
    records = []
    for request_id, (model, text, _) in REQUESTS.items():
        message = Message(
            request_id=request_id,
            model=model,
            input={"text": text},
            submitted_at=now,
            expires_at=now + 60_000,
            attempt_limit=5,
        )
        records.append(
            {
                "messageId": f"message-{request_id}",
                "receiptHandle": f"handle-{request_id}",
                "body": message.to_body(),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(now)},
            }
        )
    return {"Records": records}


def settings(api: RuntimeApi, fake_aws: FakeAws) -> dict[str, str]:
    """What Lambda sets, what Terraform sets, and where AWS is."""
    return (
        api.environment
        | fake_aws.environment
        | {
            "LAMBDA_TASK_ROOT": "/var/task",
            "MODELS": '{"sentiment": "sentiment", "wordcount": "wordcount"}',
            "REQUEST_TABLE": "requests",
            "QUEUE_URL": fake_aws.queue_url("pool"),
        }
        | worker_environment()
    )


def test_the_runtime_client_in_the_image_answers_an_event(image: Image, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with FakeAws(tls=False) as fake_aws, RuntimeApi() as api:  # the image sees no certificate of this machine's
        started = time.perf_counter()
        process = container.start(image.root, image.config, settings(api, fake_aws), log)
        try:
            api.wait_until_ready(ANSWER_SECONDS)
            reply = api.invoke(event(), ANSWER_SECONDS)
        except FunctionError as error:
            pytest.fail(f"{error}: {log.read_text()[-3000:]}")
        finally:
            process.kill()
            process.wait()
        samples = fake_aws.counts()["samples"]
    REPORT.append(f"{image.target}: first answer {reply.at - started:.2f} s after the start of the process")
    assert reply.payload == {"batchItemFailures": []}, log.read_text()[-3000:]
    # Two requests of one model are written together, the only one of another alone.
    claimed, finished = samples["DynamoDB_20120810.BatchExecuteStatement"]
    assert len(claimed["Statements"]) == len(finished["Statements"]) == 2
    _, finished_alone = samples["DynamoDB_20120810.UpdateItem"]
    for request_id, (_, _, word) in REQUESTS.items():
        (written,) = [each for each in (*finished["Statements"], finished_alone) if request_id in json.dumps(each)]
        assert word in json.dumps(written), log.read_text()[-3000:]


def python(image: Image, code: str, tmp_path: Path) -> str:
    """What a script prints inside the image."""
    log = tmp_path / "log"
    process = container.start(image.root, image.config, {}, log, ["python3", "-c", code])
    assert process.wait(ANSWER_SECONDS) == 0, log.read_text()
    return log.read_text().strip()


def test_it_is_nobody_and_can_write_to_tmp_only(image: Image, tmp_path: Path) -> None:
    code = (
        "import os, tempfile\n"
        "tempfile.TemporaryFile().write(b'x')\n"
        "print(os.getuid(), [p for p in ('/', '/var/task', '/opt/python', '/var/tmp') if os.access(p, os.W_OK)])"
    )
    assert python(image, code, tmp_path) == "65534 []"


def test_its_user_can_read_all_that_was_put_into_it(image: Image, tmp_path: Path) -> None:
    code = (
        "import os\n"
        "tops = ('/var/task', '/opt/model', '/opt/python')\n"
        "found = [os.path.join(f, n) for top in tops for f, folders, files in os.walk(top) for n in folders + files]\n"
        "closed = [p for p in found if not os.access(p, os.R_OK | (os.X_OK if os.path.isdir(p) else 0))]\n"
        "print(len(found) > 100, closed)"
    )
    assert python(image, code, tmp_path) == "True []"


def test_it_has_one_runtime_and_no_other(image: Image, tmp_path: Path) -> None:
    code = "from importlib.util import find_spec as f; print(*[n for n in ('torch', 'onnxruntime') if f(n)])"
    assert python(image, code, tmp_path) == {"onnx": "onnxruntime", "torch": "torch"}[image.target]


def test_it_has_what_its_models_want(image: Image, tmp_path: Path) -> None:
    assert python(image, "import fastjsonschema; print(fastjsonschema.VERSION)", tmp_path) == "2.22.3"


def test_its_models_libraries_have_a_layer_of_their_own_and_the_runtimes_is_shared(image: Image) -> None:
    """A new model's image pushes what is its own, and changes nothing of another's."""
    differ = [one == other for one, other in zip(image.layers, image.others_layers, strict=True)]
    model_layer = differ.index(False)
    assert model_layer >= 2  # the base, and the runtime's libraries
    own = sorted(path.name for path in (image.root / "opt/model").iterdir())
    assert [name for name in own if "dist-info" not in name] == ["fastjsonschema"]


def test_it_ships_bytecode_and_nothing_to_spare(image: Image) -> None:
    task, packages = image.root / "var/task", image.root / "opt/python"
    files = [path.relative_to(image.root).as_posix() for folder in (task, packages) for path in folder.rglob("*")]
    sources = list(task.rglob("*.py"))
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)
    assert not [name for name in files if "/tests/" in name or name.endswith((".a", ".h", ".pyi", "/export.py"))]
    assert not (image.root / "build").exists()
    artifacts = {path.name for path in (task / "worker/models/sentiment").iterdir()} & {
        "sentiment.onnx",
        "sentiment.pt",
    }
    assert artifacts == {{"onnx": "sentiment.onnx", "torch": "sentiment.pt"}[image.target]}


def test_the_big_libraries_are_stripped(image: Image) -> None:
    biggest = max((image.root / "opt/python").rglob("*.so*"), key=lambda path: path.stat().st_size)
    shown = subprocess.run(["readelf", "--sections", "--wide", biggest], capture_output=True, text=True, check=True)
    assert " .symtab " not in shown.stdout, biggest

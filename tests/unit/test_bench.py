"""The bench's arithmetic against numbers computed by hand, its traffic and its targets."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore
import pytest

from inference import transitions
from inference.aws.trust import AMAZON_ROOTS, certificates_of
from inference.http.messages import read_event
from inference.requests import Message
from inference.store.expressions import to_statement, to_update_item
from scripts.bench import __main__ as bench
from scripts.bench import cost, show, sync_bench, traffic
from scripts.bench.certificates import with_botocore, with_root
from scripts.bench.functions import Function
from scripts.bench.packages import artifacts
from scripts.bench.plan import QUICK, rotated
from scripts.bench.stats import end_to_start, quantile, spread
from scripts.console import ROOT, CommandError
from scripts.cost.prices import Item, Machine, Prices
from scripts.cost.requests import ASSUMED_ACCESS_LOG_BYTES, ASSUMED_POLLS

PRICES = Prices(
    region="here",
    date="today",
    source="made up",
    items={"lambda_gb_seconds_x86_64": Item(0.00001)},
    instance=Machine("one", 2, 4, 0.1),
    sagemaker=Machine("two", 2, 8, 0.1),
)


# The synchronous function


@pytest.mark.parametrize(
    ("name", "texts", "path", "body"),
    [
        ("onnx", ["a"], "/models/sentiment/predict", {"text": "a"}),
        ("onnx", ["a", "b"], "/models/sentiment/batch", {"items": [{"text": "a"}, {"text": "b"}]}),
        (sync_bench.REFERENCE, ["a"], "/predict", {"text": "a"}),
        (sync_bench.REFERENCE, ["a", "b"], "/batch", {"items": [{"text": "a"}, {"text": "b"}]}),
    ],
)
def test_each_app_is_called_by_its_own_routes_with_the_same_bodies(
    name: str, texts: list[str], path: str, body: Any
) -> None:
    event = sync_bench._event(Function(name, Path(), "", {}), texts)
    assert (event["rawPath"], event["requestContext"]["http"]["path"], json.loads(event["body"])) == (path, path, body)


# Statistics


def test_quantiles_are_interpolated() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([10, 20, 30, 40, 50], 0.25) == 20
    assert quantile([10, 20], 0.9) == pytest.approx(19)
    assert quantile([7], 0.99) == 7


def test_no_values_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_one_outlier_moves_neither_median_nor_quartiles_far() -> None:
    calm, rough = spread([1, 2, 3, 4, 5]), spread([1, 2, 3, 4, 500])
    assert (calm.median, calm.q1, calm.q3, calm.count) == (3, 2, 4, 5)
    assert (rough.median, rough.q1, rough.q3) == (3, 2, 4)


def test_growth_compares_the_last_tenth_with_the_first() -> None:
    assert end_to_start([2.0] * 10 + [9.0] * 80 + [3.0] * 10) == 1.5
    assert end_to_start([2.0, 2.0, 5.0]) == 2.5


# The bill


def test_starts_and_the_break_even() -> None:
    assert cost.start_cost(PRICES, 400, 1024) == pytest.approx(0.000004)
    # (72 - 1) / 8 x 1,000,000 / 30
    assert cost.break_even_per_day(PRICES, 8.0, idle=1.0) == pytest.approx(295_833.3, abs=0.1)


def test_item_sizes() -> None:
    # "id" + "é" (2 bytes) + "n" + a number of 4 digits (4 bytes) + "b" + a boolean (1 byte)
    assert cost.item_bytes({"id": {"S": "é"}, "n": {"N": "1234"}, "b": {"BOOL": True}}) == 2 + 2 + 1 + 4 + 1 + 1


def test_what_a_worker_writes_is_read_off_its_calls() -> None:
    update = transitions.succeed("r-1", 1, '{"a":1}', 1000)
    single, batch = to_update_item(update, "t"), {"Statements": [to_statement(update, "t")]}
    # status succeeded, finished_at 1000, result {"a":1}
    expected = len("statussucceeded") + len("finished_at") + 4 + len('result{"a":1}')
    assert cost.written_bytes({"DynamoDB_20120810.UpdateItem": [single]}) == expected
    assert cost.written_bytes({"DynamoDB_20120810.BatchExecuteStatement": [batch]}) == expected
    assert cost.written_bytes({"AmazonSQS.SendMessage": [{}]}) == 0


# The HTTP API's access log

HTTP_API = Path(__file__).parents[2] / "terraform/modules/http_api/main.tf"
REFERENCE_FORMAT = {  # the reference document's
    "requestId": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "requestTime": "$context.requestTime",
    "httpMethod": "$context.httpMethod",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
}
CALL = {  # what API Gateway fills in
    "$context.requestId": "dHkz0gqAoAMEVZw=",
    "$context.requestTime": "24/Nov/2026:04:18:00 +0000",
    "$context.identity.sourceIp": "203.0.113.7",
    "$context.protocol": "HTTP/1.1",
    "$context.integrationErrorMessage": "-",
    "$context.authorizer.error": "-",
    "$context.responseLatency": "17",
    "$context.integrationLatency": "14",
    "$context.responseLength": "180",
}
SUBMIT = CALL | {
    "$context.httpMethod": "POST",
    "$context.routeKey": "POST /predict",
    "$context.path": "/predict",
    "$context.status": "202",
}
STATUS = CALL | {
    "$context.httpMethod": "GET",
    "$context.routeKey": "GET /status/{request_id}",
    "$context.path": "/status/1f6ad5b2-6a37-4f0e-9d0c-0a8f5f2d7c11",
    "$context.status": "200",
}


def _mean_line(names: Mapping[str, str]) -> float:
    """Bytes of a line of this format, over the calls that a request takes."""
    calls = [SUBMIT] + [STATUS] * int(ASSUMED_POLLS)
    lines = [json.dumps({key: call[name] for key, name in names.items()}, separators=(",", ":")) for call in calls]
    return sum(map(len, lines)) / len(lines)


def test_the_access_log_is_taken_for_as_long_as_it_is() -> None:
    ours = dict(re.findall(r'(\w+) *= "(\$context\.[\w.]+)"', HTTP_API.read_text(encoding="utf-8")))
    assert len(ours) >= 10
    assert pytest.approx(_mean_line(ours), abs=10) == ASSUMED_ACCESS_LOG_BYTES
    assert pytest.approx(_mean_line(REFERENCE_FORMAT), abs=10) == cost.ASSUMED_REFERENCE_ACCESS_LOG_BYTES


# Rounds, traffic, packages, targets


def test_the_fakes_authority_is_one_of_those_that_amazon_has_in_botocores_bundle() -> None:
    bundle = Path(botocore.__file__).with_name("cacert.pem").read_bytes()
    changed = with_root(bundle, b"-----BEGIN CERTIFICATE-----\nfake\n-----END CERTIFICATE-----\n")
    assert "\nfake\n" in certificates_of(changed, AMAZON_ROOTS)
    assert changed.count(b"-----BEGIN") == bundle.count(b"-----BEGIN")
    with pytest.raises(CommandError, match="has 0 certificates"):
        with_root(bundle.replace(b"Amazon", b"Another"), b"")


def test_both_clients_of_a_function_read_the_bundle_of_the_fake(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    libraries = with_botocore(tmp_path / "libraries", bundle)
    command = "import botocore.httpsession; from inference.aws import trust; print(trust._packaged_bundle())"
    command += "; print(botocore.httpsession.where())"
    environment = os.environ | {"PYTHONPATH": f"{libraries}:{ROOT / 'lambda'}"}
    done = subprocess.run([sys.executable, "-c", command], env=environment, check=True, capture_output=True, text=True)
    assert [Path(line).resolve() for line in done.stdout.split()] == [bundle, bundle]


def test_each_round_begins_with_another() -> None:
    assert [rotated("abc", turn) for turn in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert rotated([], 1) == []


def test_texts_are_repeatable_and_all_different() -> None:
    texts = traffic.texts(200, seed=7)
    assert texts == traffic.texts(200, seed=7)
    assert len(set(texts)) == 200
    assert all(0 < len(text) <= 1000 for text in texts)


def test_passages_are_repeatable_different_and_as_long_as_they_are_said_to_be() -> None:
    passages = traffic.passages(2000, seed=7)
    assert passages == traffic.passages(2000, seed=7)
    assert len(set(passages)) == 2000
    words = [len(passage.split()) for passage in passages]
    assert quantile(words, 0.5) == pytest.approx(20, abs=1)
    assert quantile(words, 0.9) == pytest.approx(20 * math.exp(0.65 * 1.2816), rel=0.08)
    assert 1 <= min(words) <= max(words) <= 150


def test_an_input_is_complete_as_the_worker_hands_it_over() -> None:
    assert traffic.SENTIMENT.item("a") == {"text": "a", "threshold": 0.5}
    assert traffic.ENCODER.item("a") == {"text": "a"}
    assert Message.from_body(traffic.message_body("fine", "encoder")).model == "encoder"


def test_messages_and_events_are_those_of_the_project() -> None:
    message = Message.from_body(traffic.message_body("fine"))
    assert (message.model, message.input) == ("sentiment", {"text": "fine"})
    request = read_event(traffic.submit_event("fine"))
    assert (request.route, json.loads(request.body)) == ("POST /predict", {"text": "fine"})
    assert read_event(traffic.status_event("1f")).path == {"request_id": "1f"}


def test_artifacts_of_one_runtime_or_of_several() -> None:
    assert artifacts({"runtime": "torchscript", "artifact": {"file": "a.pt"}}) == {"torchscript": "a.pt"}
    several = {"onnx": {"file": "a.onnx"}, "torchscript": {"file": "a.pt"}}
    assert artifacts({"runtime": "onnx", "artifacts": several}) == {"onnx": "a.onnx", "torchscript": "a.pt"}


def _worker(cpu_ms: float) -> dict[str, Any]:
    return {
        "default_runtime": "onnx",
        "contestants": [
            {"name": "onnx", "batch": 10, "cpu_ms": {"median": cpu_ms}, "calls_per_request": 0.3},
            {"name": "reference", "batch": 1, "cpu_ms": {"median": 3.0}, "calls_per_request": 1.0},
        ],
        "growth": {"windows": [{"requests": 1000}], "cpu_old_to_new": 1.2, "memory_end_to_start": 1.0},
    }


def test_promises_are_kept_missed_or_not_measured() -> None:
    targets = {target.promise: target for target in show.targets({"worker": _worker(0.44)})}
    assert len(targets) == 11 + 12  # of the encoder
    cpu = targets["worker, onnx, batch 10: CPU per request / reference worker's"]
    assert (cpu.value, cpu.passed) == (pytest.approx(0.44 / 3), True)
    assert targets["worker, batch 10: AWS calls per request"].passed is True
    assert targets["worker, 1,000 requests in one process: CPU per request / a new one's"].passed is False
    assert targets["api: start to first answer / reference's"].passed is None
    assert targets["api: start to first answer / with urllib3"].passed is None
    (slower, *_) = show.targets({"worker": _worker(0.46)})
    assert slower.passed is False


def test_a_part_that_cannot_be_measured_or_is_broken_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object) -> dict[str, Any]:
        raise CommandError("no Terraform")

    def broken(*_: object) -> dict[str, Any]:
        raise KeyError("median")

    kept: list[list[str]] = []
    results: dict[str, Any] = {"measured": {}, "failed": {}}
    monkeypatch.setattr("scripts.bench.e2e_bench.measure", missing)
    monkeypatch.setattr("scripts.bench.cost_bench.measure", lambda _: {"machines": 1})
    assert bench.measure(QUICK, ["e2e", "cost"], results, lambda: kept.append([*results["measured"]])) == []
    assert (results["failed"], results["cost"], kept) == ({"e2e": "no Terraform"}, {"machines": 1}, [[], ["cost"]])
    monkeypatch.setattr("scripts.bench.e2e_bench.measure", broken)
    assert bench.measure(QUICK, ["e2e", "cost"], results, lambda: None) == ["e2e"]
    assert results["failed"] == {"e2e": "KeyError: 'median'"}
    assert results["cost"] == {"machines": 1}
    assert "Traceback" in capsys.readouterr().err

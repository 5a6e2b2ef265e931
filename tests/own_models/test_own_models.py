"""Five models, from an empty folder to results, by the documented commands alone."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.own_models.checkout import Checkout
from tests.own_models.manifests import CHANGES

BUCKET = "own-models"
IMAGE_SIDES = {"small": 320, "medium": 1000, "large": 2240}  # as BMP: about 0.3, 3 and 15 MB


@pytest.fixture(scope="module")
def deployed(checkout: Checkout) -> Checkout:
    """All five made, tried and deployed."""
    for name, kind in (
        ("iris", "sklearn"),
        ("encoder", "onnx"),
        ("recurrent", "torch"),
        ("images", "python"),
        ("misbehaving", "python"),
    ):
        checkout.make("new-model", f"NAME={name}", f"KIND={kind}")
        if name in CHANGES:
            checkout.write_model(name, CHANGES[name])
    checkout.make("train-model", "MODEL=encoder")
    checkout.make("export-model", "MODEL=encoder", "INSTALL=onnx")
    checkout.make("train-model", "MODEL=recurrent")
    checkout.make("export-model", "MODEL=recurrent", "INSTALL=torchscript")
    images = f'{{ read_buckets = ["s3://{BUCKET}/images/"], environment = {{ IMAGES_BUCKET = "{BUCKET}" }} }}'
    for name in ("iris", "encoder", "recurrent", "misbehaving"):
        checkout.name_model(name)
    checkout.name_model("images", images)
    checkout.make("up")
    return checkout


def predicted(checkout: Checkout, model: str, value: dict[str, Any], code: int = 0) -> Any:
    """What `make predict` prints: the result, or what is said of the failure."""
    done = checkout.make("predict", f"MODEL={model}", f"INPUT={json.dumps(value)}", code=None)
    assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else done.stdout + done.stderr


def tried(checkout: Checkout, model: str, value: dict[str, Any]) -> Any:
    return json.loads(checkout.make("try", f"MODEL={model}", f"INPUT={json.dumps(value)}").stdout)


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("iris", {"features": [5.1, 3.5, 1.4, 0.2]}),
        ("encoder", {"text": "Where is my order?"}),
        ("recurrent", {"steps": [0.5] * 300}),
    ],
)
def test_a_try_and_a_request_give_the_same(deployed: Checkout, model: str, value: dict[str, Any]) -> None:
    assert predicted(deployed, model, value) == tried(deployed, model, value)


def test_near_sentences_have_near_embeddings(deployed: Checkout) -> None:
    texts = ("Where is my order?", "My parcel has not arrived.", "The sun is a star.")
    first, near, far = (predicted(deployed, "encoder", {"text": text})["embedding"] for text in texts)
    assert len(first) == 384
    close, distant = (sum(a * b for a, b in zip(first, other, strict=True)) for other in (near, far))
    assert close > distant + 0.1


def test_images_that_no_request_takes_go_by_their_key(deployed: Checkout) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{deployed.port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    s3.create_bucket(Bucket=BUCKET)
    for name, side in IMAGE_SIDES.items():
        content = bitmap(side, 200)
        s3.put_object(Bucket=BUCKET, Key=f"images/{name}.bmp", Body=content)
        result = predicted(deployed, "images", {"key": f"images/{name}.bmp"})
        assert result == {"label": "light", "mean": 200.0, "bytes": len(content)}
    s3.put_object(Bucket=BUCKET, Key="images/broken.bmp", Body=b"no image")
    assert "is no image" in predicted(deployed, "images", {"key": "images/broken.bmp"}, code=1)
    assert "that may be read" in predicted(deployed, "images", {"key": "images/nonesuch.bmp"}, code=1)


def bitmap(side: int, grey: int) -> bytes:
    """A square BMP of one grey, 24 bits a pixel; `side` is divisible by 4, so that rows need no padding."""
    size = 3 * side * side
    header = b"BM" + (54 + size).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2 + b"\x01\x00\x18\x00" + bytes(4)
    return header + info + size.to_bytes(4, "little") + bytes(16) + bytes([grey]) * size


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("sleep", "timeout"),
        ("exit", "sys.exit(3)"),
        ("die", "crashed"),
        ("nan", "NaN"),
        ("bytes", "bytes"),
    ],
)
def test_what_misbehaves_ends_with_a_reason(deployed: Checkout, act: str, told: str) -> None:
    said = predicted(deployed, "misbehaving", {"do": act}, code=1)
    assert any(part in said for part in told.split("|")), said


def test_a_result_beyond_what_a_record_holds_comes_by_a_link(deployed: Checkout) -> None:
    assert predicted(deployed, "misbehaving", {"do": "large"}) == {"text": "x" * 500_000}


def test_numpy_results_and_long_prints_do_no_harm(deployed: Checkout) -> None:
    assert predicted(deployed, "misbehaving", {"do": "numpy"}) == {"float": 0.5, "int": 3, "array": [0, 1, 2]}
    assert predicted(deployed, "misbehaving", {"do": "print"}) == {"printed": True}


def test_an_encoder_of_90_mb_is_rejected_as_a_zip_for_aws_and_ships_without_the_artifact_from_s3(
    deployed: Checkout,
) -> None:
    deployed.name_model("encoder", environment="dev")
    rejected = deployed.make("package", "ENV=dev", code=None)
    assert rejected.returncode != 0
    assert "make deploy" in rejected.stderr
    deployed.name_model("encoder", '{ artifact = "s3://bucket/encoder.onnx" }', environment="dev")
    packaged = deployed.make("package", "ENV=dev").stdout
    assert "encoder.onnx" not in packaged

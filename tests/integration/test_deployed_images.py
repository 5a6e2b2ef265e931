"""Which images are deployed: written once, read by everybody, with a fake SSM."""

from __future__ import annotations

import boto3

from scripts.deployment import deployed_images


def test_what_one_person_deploys_another_reads(on_moto: None) -> None:
    ssm = boto3.client("ssm")
    first = {f"model-{number}": f"r@sha256:{number:064x}" for number in range(23)}  # more than one page
    deployed_images.write(ssm, "inference-dev", first)
    deployed_images.write(ssm, "inference-dev2", {"other": "r@sha256:0"})
    assert deployed_images.read(ssm, "inference-dev") == first
    deployed_images.write(ssm, "inference-dev", {"model-1": "r@sha256:new"})
    assert deployed_images.read(ssm, "inference-dev") == first | {"model-1": "r@sha256:new"}
    history = ssm.get_parameter_history(Name="/inference-dev/worker-images/model-1")["Parameters"]
    assert [version["Value"] for version in history] == [first["model-1"], "r@sha256:new"], "what to go back to"


def test_nothing_is_deployed_yet(on_moto: None) -> None:
    assert deployed_images.read(boto3.client("ssm"), "inference-new") == {}

"""SnapStart: all environments of a version start from one snapshot of a process. After that, each makes anew what must
be its own.

what              why                                          what is done
random state      all environments would draw equal numbers    seeded again from the system
connections       their other end has gone                     boto3's clients are made again; INIT opens no others
credentials       expired since                                fetched again (aws/credentials.py)
metrics of INIT   each environment would write them            dropped
clocks            -                                            nothing keeps a time from INIT

`os.urandom`, and with it `uuid.uuid4` and `secrets`, is different in each environment without that.

Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from inference.aws import clients
from inference.telemetry import Telemetry


def register(telemetry: Telemetry, environment: Mapping[str, str] = os.environ) -> None:
    """Have `after_restore` called, if this process becomes a snapshot. At the end of INIT.

    Raises:
        ImportError: the runtime has no hooks. It must fail the deployment: environments would share their random state.
    """
    if environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

        register_after_restore(after_restore, telemetry)


def after_restore(telemetry: Telemetry) -> None:
    """Make anew what each environment must have of its own."""
    reseed()
    clients.client.cache_clear()
    telemetry.drop_metrics()


def reseed() -> None:
    """Seed the global generators of the libraries that are imported. Others are a model's own affair."""
    seed = int.from_bytes(os.urandom(4), "big")
    if random := sys.modules.get("random"):
        random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.seed()
    if onnxruntime := sys.modules.get("onnxruntime"):
        onnxruntime.set_seed(seed & 0x7FFFFFFF)

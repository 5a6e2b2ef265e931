"""One process of the AWS provider that many runs of Terraform use, instead of one or more of their own each.

A start of the provider with its schemas costs some three seconds of CPU, and each run of `terraform test` has its own.
That Terraform installs, verifies and starts the provider itself is seen by tests/terraform/test_provider.py,
tests/terraform/test_offline_plan.py and the scripts that tests/e2e runs.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.deployment.provider_mirror import ENVIRONMENTS, pinned_version
from scripts.deployment.terraform import terraform_binary
from scripts.deployment.terraform_errors import registry_host

# https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
ATTACH = "TF_REATTACH_PROVIDERS"
PRINTED = re.compile(rf"{ATTACH}='(.*)'")


def install_provider(folder: Path, env: Mapping[str, str]) -> Path:
    """The AWS provider that the environments pin, as `terraform init` puts it into an empty folder."""
    aws = {"source": "hashicorp/aws", "version": pinned_version(ENVIRONMENTS)}
    (folder / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": {"aws": aws}}}))
    subprocess.run([terraform_binary(), "init", "-input=false"], cwd=folder, env={**env}, check=True, timeout=600)
    (found,) = (folder / ".terraform" / "providers").glob("*/hashicorp/aws/*/*/terraform-provider-aws*")
    return found.resolve()


# Fewer garbage collections: a third less CPU, for 400 MB of memory instead of 250.
GC = {"GOGC": "400"}

# It ends with the process that started it: the shell's input then ends.
START = '"$1" -debug & exec >&-; read -r _; kill $!; wait'


@contextmanager
def running_provider(binary: Path, folder: Path, env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables with which Terraform uses this process.

    Two plans at the same time would get each other's region and endpoints. Tests with a mock provider ask it for its
    schemas alone, and may use it side by side.

    Args:
        binary: the provider.
        folder: what the paths of zips are relative to.
        env: its environment, which has AWS's address and credentials; those in Terraform's environment do not count.

    Raises:
        AssertionError: it does not start.
    """
    with subprocess.Popen(
        ["sh", "-c", START, "sh", binary],
        cwd=folder,
        env={**env, **GC},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        printed = next((found[1] for line in process.stdout if (found := PRINTED.search(line))), None)
        assert printed, f"{binary} does not start"
        (settings,) = json.loads(printed).values()
        yield {ATTACH: json.dumps({f"{registry_host()}/hashicorp/aws": settings}), **GC}

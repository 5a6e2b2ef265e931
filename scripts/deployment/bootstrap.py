"""Create the S3 bucket of the Terraform states, and write an environment's backend.hcl.

    python -m scripts.deployment.bootstrap --env dev|prod|local [--bucket NAME] [--kms-key-arn ARN]

Does nothing that was done before: a bucket that exists and a backend.hcl that exists stay as they are. `local` creates
the bucket on the emulator, without a question and without a backend.hcl.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.deployment import aws_session, terraform
from scripts.deployment.terraform_process import capture, stream
from scripts.local import emulator

FOLDER = terraform.TERRAFORM / "bootstrap"


def bootstrap(environment: str, bucket: str | None, kms_key_arn: str | None = None) -> int:
    """Create the bucket and write backend.hcl, each if it does not exist. Returns Terraform's exit code.

    Raises:
        CommandError: there is no such environment, the bucket is another account's, or Terraform can't be run.
    """
    local = environment == terraform.LOCAL
    if local and emulator.current().start():
        note(f"emulator started at {emulator.current().endpoint}")
    env = terraform.environment_env(environment)
    folder = terraform.ENVIRONMENTS / environment
    if not folder.is_dir():
        raise CommandError(f"there is no environment {environment}: ENV is one of local, dev, prod", code=2)
    if not local and (found := _existing(bucket)):
        note(f"the bucket {found['bucket']} exists already")
        if kms_key_arn and kms_key_arn != found["kms_key_arn"]:
            raise CommandError(
                f"the bucket {found['bucket']} is not encrypted with {kms_key_arn}: change it from the machine that "
                "created it, or import it (terraform/bootstrap/README.md)"
            )
    else:
        code = _apply(environment, env, bucket, kms_key_arn)
        if code:
            return code
        found = _outputs(environment, env)
    if not local:
        _write_backend(folder, environment, found)
    print(found["bucket"])
    return 0


def _existing(bucket: str | None) -> dict[str, str] | None:
    """The bucket, its region and its KMS key ("" without one), if the caller's account has it."""
    from botocore.exceptions import ClientError

    account = aws_session.client_in("sts", None).get_caller_identity()["Account"]
    s3 = aws_session.client_in("s3", None)
    name = bucket or f"inference-terraform-{account}-{s3.meta.region_name}"
    try:
        answer = s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return None
        if status == 403:
            raise CommandError(
                f"the bucket {name} exists, but it belongs to another account or you lack s3:ListBucket: "
                "set BUCKET to another name, or ask for the permission"
            ) from error
        raise
    return {
        "bucket": name,
        "region": answer.get("BucketRegion") or s3.meta.region_name,
        "kms_key_arn": _key_of(s3, name),
    }


def _key_of(s3: Any, bucket: str) -> str:
    """ARN of the KMS key that encrypts what is written to a bucket; empty without one."""
    from botocore.exceptions import ClientError

    try:
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ServerSideEncryptionConfigurationNotFoundError":
            return ""  # only of a fake: AWS encrypts every bucket
        raise
    return next((str(rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", "")) for rule in rules), "")


def _apply(environment: str, env: Mapping[str, str], bucket: str | None, kms_key_arn: str | None) -> int:
    init = ["-input=false"]
    given = {"bucket": bucket, "kms_key_arn": kms_key_arn}
    apply = [f"-var={name}={value}" for name, value in given.items() if value]
    log = None
    if environment == terraform.LOCAL:
        init.append(f"-backend-config=path={_local_data() / 'state.tfstate'}")
        apply += ["-json", "-auto-approve", "-input=false"]
        log = BUILD / "terraform" / "bootstrap.log"
    base = [terraform.terraform_binary(), f"-chdir={FOLDER}"]
    env = _with_data(environment, env)
    code = stream(
        [*base, "init", "-json", *init], env, environment, quiet=True, log=BUILD / "terraform" / "bootstrap-init.log"
    )
    return code or stream([*base, "apply", *apply], env, environment, log=log)


def _with_data(environment: str, env: Mapping[str, str]) -> dict[str, str]:
    """The emulator's state is apart from the account's, and ends with the emulator's other files."""
    return dict(env) | ({"TF_DATA_DIR": str(_local_data())} if environment == terraform.LOCAL else {})


def _local_data() -> Path:
    return emulator.current().folder / "bootstrap"


def _outputs(environment: str, env: Mapping[str, str]) -> dict[str, str]:
    command = [terraform.terraform_binary(), f"-chdir={FOLDER}", "output", "-json"]
    shown = capture(command, _with_data(environment, env))
    if shown.returncode:
        raise CommandError(f"cannot read the outputs of terraform/bootstrap: {shown.stderr.strip()}")
    read: dict[str, Any] = json.loads(shown.stdout)
    return {name: str(output["value"]) for name, output in read.items()}


def _write_backend(folder: Path, environment: str, found: Mapping[str, str]) -> None:
    path = folder / "backend.hcl"
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if path.is_file():
        note(f"{shown} exists and stays as it is")
        return
    values = {"bucket": found["bucket"], "key": f"inference/{environment}.tfstate", "region": found["region"]}
    if found["kms_key_arn"]:
        values["kms_key_id"] = found["kms_key_arn"]  # without it Terraform asks S3 to encrypt the state by S3's own key
    width = max(map(len, values))
    path.write_text("".join(f'{name:<{width}} = "{value}"\n' for name, value in values.items()), encoding="utf-8")
    note(f"{shown} written; next: `make deploy ENV={environment}`")


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="bootstrap", description="Create the bucket of the Terraform states.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--bucket", help="its name (default: inference-terraform-<account>-<region>)")
    parser.add_argument("--kms-key-arn", help="KMS key that encrypts the states (default: S3's own)")
    args = parser.parse_args()
    return bootstrap(args.env, args.bucket or None, args.kms_key_arn or None)


if __name__ == "__main__":
    run(main)

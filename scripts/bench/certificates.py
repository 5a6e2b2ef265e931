"""The certificates of the fake AWS, and where its clients find its CA: where they find Amazon's on Lambda."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.bench.fake_aws import HOST
from scripts.console import CommandError

_AMAZON_ROOT = re.compile(rb'(# Label: "Amazon Root CA 1"\n(?:#.*\n)*)-----BEGIN[^#]+')


def write_certificates(folder: Path) -> tuple[Path, Path]:
    """The fake's key with its certificates, and the CA bundle of its clients.

    As with AWS: RSA, an intermediate CA, and botocore's own bundle, because reading it takes much of a start's time for
    TLS. The fake's CA has the place and the label of one of Amazon's.

    Raises:
        CommandError: trustme is not installed, or botocore's bundle has another form.
    """
    try:
        from trustme import CA, KeyType
    except ImportError:
        raise CommandError("trustme is not installed: pip install -e '.[bench]'") from None
    root = CA(key_type=KeyType.RSA)
    server = root.create_child_ca(KeyType.RSA).issue_cert(HOST, key_type=KeyType.RSA)
    certificate, bundle = folder / "server.pem", folder / "bundle.pem"
    server.private_key_and_cert_chain_pem.write_to_path(certificate)
    bundle.write_bytes(with_root(_botocore().joinpath("cacert.pem").read_bytes(), root.cert_pem.bytes()))
    return certificate, bundle


def with_root(bundle: bytes, root: bytes) -> bytes:
    """The bundle with this certificate (PEM) in place of Amazon Root CA 1.

    Raises:
        CommandError: the bundle does not label that.
    """
    trusted, replaced = _AMAZON_ROOT.subn(lambda found: found[1] + root, bundle)
    if replaced != 1:
        raise CommandError(f"botocore's cacert.pem has {replaced} certificates labelled 'Amazon Root CA 1', not one")
    return trusted


def with_botocore(folder: Path, bundle: Path) -> Path:
    """A folder of libraries with the installed botocore, but for its CA bundle; and without `certifi`, whose bundle
    boto3 would read instead: Lambda does not have it."""
    copy = folder / "botocore"
    copy.mkdir(parents=True)
    for path in _botocore().iterdir():
        (copy / path.name).symlink_to(bundle if path.name == "cacert.pem" else path)
    (folder / "certifi.py").write_text("raise ImportError\n", encoding="utf-8")
    return folder


def _botocore() -> Path:
    import botocore

    return Path(botocore.__file__).parent

"""Which certificate authorities a connection to AWS trusts: Amazon's roots first, then the whole bundle.

Reading all 127 certificates of botocore's bundle takes 15 to 30 ms of CPU, a tenth of the api function's start. AWS's
endpoints need five of them, those that Amazon recommends to whoever chooses: https://www.amazontrust.com/repository.
They are found in the bundle itself, so nothing is trusted that it does not have. If they do not verify a server's
certificate, the whole bundle is tried: what is trusted in the end is the same.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

import botocore

AMAZON_ROOTS = (
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
)
"""Their labels in the bundle."""

_CHINA = ".cn"
"""End of the hosts of AWS's regions in China, where it has other certificates."""

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----\n"


def first_context(host: str, ca_bundle: str | None) -> ssl.SSLContext:
    """The context for the first connection to a host: it checks the certificate and the host's name.

    Args:
        ca_bundle: file of the certificates to trust, all of them; by default those of Amazon in botocore's bundle.
    """
    amazon = None if ca_bundle or host.endswith(_CHINA) else _amazon_context()
    return amazon or whole_context(ca_bundle)


@lru_cache
def whole_context(ca_bundle: str | None) -> ssl.SSLContext:
    """The context that trusts a whole bundle, by default botocore's; where that is removed, as by some distributions,
    the system's. Made once for all hosts."""
    packaged = _packaged_bundle()
    return ssl.create_default_context(cafile=ca_bundle or (str(packaged) if packaged.exists() else None))


@lru_cache
def _amazon_context() -> ssl.SSLContext | None:
    """The context that trusts Amazon's roots alone; None: the bundle names none of them."""
    packaged = _packaged_bundle()
    roots = certificates_of(packaged.read_bytes(), AMAZON_ROOTS) if packaged.exists() else ""
    return ssl.create_default_context(cadata=roots) if roots else None


def certificates_of(bundle: bytes, labels: tuple[str, ...]) -> str:
    """Those of a bundle's certificates that have these labels, as PEM."""
    found = []
    for label in labels:
        at = bundle.find(f'# Label: "{label}"\n'.encode())
        begin = bundle.find(_BEGIN, at)
        end = bundle.find(_END, begin)
        if -1 not in (at, begin, end):
            found.append(bundle[begin : end + len(_END)])
    return b"".join(found).decode("ascii")


def _packaged_bundle() -> Path:
    return Path(botocore.__file__).with_name("cacert.pem")

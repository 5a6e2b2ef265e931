"""AWS signatures (version 4) for an API whose authorizer is AWS_IAM, with the caller's own credentials."""

import os
import re
import urllib.parse
from collections.abc import Mapping

from scripts.console import CommandError
from scripts.operate.client import Sign

_USAGE = 2
_API_HOST = re.compile(r"\.execute-api\.([a-z]+(?:-[a-z]+)+-\d+)\.")
"""`<id>.execute-api.<region>.<suffix>`: amazonaws.com, amazonaws.com.cn, amazonaws.eu by partition."""


def region_in(url: str) -> str | None:
    """The region in API Gateway's own host name; None for a custom domain and for other hosts."""
    named = _API_HOST.search(urllib.parse.urlsplit(url).hostname or "")
    return named[1] if named else None


def signer(url: str, *, required: bool, region: str | None) -> Sign | None:
    """Signs with the caller's AWS credentials; None when there are none and none are required.

    The region is that of the host name, else the given one, else the shell's: a custom domain names none.

    Raises:
        CommandError: a signature is required and can't be made, or the region is not known.
    """
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import get_session
    except ImportError as error:
        if required:
            raise CommandError("--sign needs botocore: run it with .venv/bin/python", _USAGE) from error
        return None
    session = get_session()
    credentials = session.get_credentials()
    if credentials is None:
        if required:
            raise CommandError("--sign found no AWS credentials: set AWS_PROFILE, or log in", _USAGE)
        return None
    # botocore itself reads AWS_DEFAULT_REGION and the profile, but not AWS_REGION.
    found = region_in(url) or region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not found:
        host = urllib.parse.urlsplit(url).hostname
        raise CommandError(
            f"a signature needs the region, which {host} does not contain: give --region, or set AWS_REGION", 2
        )

    def sign(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        request = AWSRequest(method, url, dict(headers), body)
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", found).add_auth(request)
        return dict(request.headers.items())

    return sign

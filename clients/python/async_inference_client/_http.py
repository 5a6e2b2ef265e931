"""How both clients set up httpx2."""

import ipaddress
from typing import Any

import httpx2

from async_inference_client._version import VERSION


def settings(base_url: str) -> dict[str, Any]:
    """The arguments that httpx2.Client and httpx2.AsyncClient share.

    Raises:
        ValueError: it is not an http(s) URL.
    """
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"{base_url} is not an http(s) URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{base_url} is not an http(s) URL")
    return {
        "base_url": url,
        "headers": {"User-Agent": f"async-inference-client/{VERSION}", "Accept": "application/json"},
        # Calls to this machine must not use an HTTP proxy; and ~/.netrc is for hosts only.
        "trust_env": not _loopback(url.host),
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=64),
    }


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

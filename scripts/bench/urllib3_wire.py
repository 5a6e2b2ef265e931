"""`inference/aws/wire.py` over urllib3: what the api bench puts in its place to see what the own wire is worth.

The same interface, errors and timeouts, by the library that boto3 uses (Lambda's runtimes ship it beside botocore).
"""

from __future__ import annotations

import ssl
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import botocore
import urllib3
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)


class StaleConnectionError(ConnectionClosedError):  # type: ignore[misc]
    """A kept connection turned out to be closed. urllib3 does not say so: it is never raised here."""


class Reply(NamedTuple):
    """An HTTP response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Host:
    """A host, and the connections to it that are kept."""

    def __init__(
        self,
        scheme: str,
        name: str,
        port: int,
        connect_timeout: float,
        read_timeout: float,
        ca_bundle: str | None,
    ) -> None:
        self._url = f"{scheme}://{name}:{port}/"
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._pool: urllib3.HTTPConnectionPool
        if scheme == "https":
            bundle = ca_bundle or str(Path(botocore.__file__).with_name("cacert.pem"))
            context = _tls_context(bundle)
            self._pool = urllib3.HTTPSConnectionPool(name, port, maxsize=10, ssl_context=context)
        else:
            self._pool = urllib3.HTTPConnectionPool(name, port, maxsize=10)

    def exchange(self, request: bytes, seconds: float) -> Reply:
        """Send a request (its bytes are taken apart again, which takes microseconds) and read its reply."""
        end = time.monotonic() + seconds
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        try:
            reply = self._pool.urlopen(
                first.split(" ")[0],
                urlsplit(first.split(" ")[1]).path,
                body=body,
                headers=headers,
                retries=False,
                timeout=urllib3.Timeout(
                    connect=min(self._connect_timeout, end - time.monotonic()),
                    read=min(self._read_timeout, end - time.monotonic()),
                ),
            )
        except urllib3.exceptions.ConnectTimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.NewConnectionError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.SSLError as error:
            raise SSLError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.ProtocolError as error:
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.HTTPError as error:
            raise HTTPClientError(error=error) from error
        return Reply(reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.data)


@lru_cache
def _tls_context(bundle: str) -> ssl.SSLContext:
    """One for all hosts, as in the own wire: reading the certificates takes 15 ms."""
    return ssl.create_default_context(cafile=bundle)

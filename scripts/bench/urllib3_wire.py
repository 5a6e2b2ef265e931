"""`inference/aws/wire.py` over urllib3: what the api bench puts in its place to see what the own wire is worth.

The same interface, errors and timeouts, by the library that boto3 uses (Lambda's runtimes ship it beside botocore).
"""

from __future__ import annotations

import time
from typing import NamedTuple
from urllib.parse import urlsplit

import urllib3
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)

from inference.aws.trust import first_context


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
            context = first_context(name, ca_bundle)  # as the own wire: what is compared is the HTTP client
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

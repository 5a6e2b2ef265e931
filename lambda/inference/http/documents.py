"""What describes the API in a deployment: openapi.json with its models, and the page on which it can be tried.

Both are made when they are first asked for: most environments of the function never are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from inference.http.caching import respond_unless_unchanged
from inference.http.messages import HttpRequest
from inference.settings import Deployed

_CACHING = {"Cache-Control": "private, no-cache"}
_SCHEMES = '<script type="application/json" id="schemes">{}</script>'


class Documents:
    """The description and the page.

    Args:
        folder: of openapi.json and docs.html.
        deployed: what differs between deployments.
        models: returns every model as `GET /models/{model}` has it, with its worker's `memory_mb` and its
            `input_files`.
        limits: name of a setting -> its value, for the description.
        uploads_url: returns what the link of every upload begins with.
    """

    def __init__(
        self,
        folder: Path,
        deployed: Deployed,
        models: Callable[[], Sequence[Mapping[str, Any]]],
        limits: Mapping[str, int],
        uploads_url: Callable[[], str],
    ) -> None:
        self._folder = folder
        self._deployed = deployed
        self._models = models
        self._limits = limits
        self._uploads_url = uploads_url

    def openapi(self, request: HttpRequest) -> dict[str, Any]:
        """The response with the description."""
        return respond_unless_unchanged(request, self._description, {"content-type": "application/json", **_CACHING})

    def page(self, request: HttpRequest) -> dict[str, Any]:
        """The response with the page."""
        text, policy = self._page
        headers = {
            "content-type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **_CACHING,
        }
        return respond_unless_unchanged(request, text, headers)

    @cached_property
    def _description(self) -> str:
        from inference.http.openapi import as_text, describe_deployment

        return as_text(describe_deployment(self._document, self._deployed, self._models(), self._limits))

    @cached_property
    def _page(self) -> tuple[str, str]:
        """The page, with how to authenticate in it, and its content security policy."""
        from inference.http.openapi import security_schemes

        text = (self._folder / "docs.html").read_text(encoding="utf-8")
        schemes = json.dumps(security_schemes(self._document, self._deployed.authorizer)).replace("<", "\\u003c")
        return text.replace(_SCHEMES, _SCHEMES.replace("{}", schemes)), content_security_policy(
            text, self._uploads_url()
        )

    @property
    def _document(self) -> Mapping[str, Any]:
        document: Mapping[str, Any] = json.loads((self._folder / "openapi.json").read_text(encoding="utf-8"))
        if not self._deployed.sync:
            return document
        from inference.http.sync_openapi import with_sync_paths

        return with_sync_paths(document, self._folder)


def content_security_policy(page: str, uploads_url: str) -> str:
    """A policy by which a page runs its own script and style, calls its own origin and URLs that begin with
    `uploads_url`, shows pictures that are files of results, and does nothing else.
    """
    results_url = uploads_url.removesuffix("uploads/") + "requests/"
    hashes = {
        tag: " ".join(_hash(text) for text in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL))
        for tag in ("script", "style")
    }
    return (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; connect-src 'self' "
        f"{uploads_url}; img-src data: {results_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""Terraform's error messages, and one line with the remedy."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Texts in the error -> the remedy. The first match counts.
_REMEDIES = (
    (
        ("Failed to query available provider packages", "could not connect to registry"),
        "the AWS provider is not reachable: allow access to the registry, or set TF_PROVIDER_MIRROR to a "
        "folder that holds {host}/hashicorp/aws",
    ),
    (
        ("No valid credential sources found", "failed to refresh cached credentials", "ExpiredToken"),
        "no valid AWS credentials for {env}: set AWS_PROFILE, or log in (`aws sso login`, `aws configure`); "
        "`make plan ENV={env} OFFLINE=1` needs none",
    ),
    (
        ("permission denied", "Permission denied", "read-only file system"),
        "Terraform has no permission to write a file or folder of {env} (see above): make it writable, or remove it",
    ),
    (
        ("Error acquiring the state lock",),
        "the state of {env} is locked by another run: wait until it ends",
    ),
    (
        ("Backend configuration changed", "Backend initialization required"),
        "backend.hcl of {env} has changed: run `.venv/bin/python -m scripts.deployment.terraform init --env {env} "
        "-reconfigure` to use the state in the new place, or with -migrate-state to move the current state there",
    ),
    (
        ("AlreadyExists", "ResourceConflictException", "already exists"),
        "a resource of {env} exists but is not in its state, for example because an apply was killed (see above for "
        "its name and address): {exists}",
    ),
    (
        ("connection refused",),
        "Terraform can't connect to an address (see above): is the emulator running?",
    ),
)


@dataclass(frozen=True)
class Message:
    """One line of a command with -json.

    Attributes:
        fields: the fields of the line; empty if it is not JSON (a crash, the dynamic linker, ...).
        text: the message as Terraform shows it without -json.
        is_error: it is an error, or not JSON.
    """

    fields: Mapping[str, Any]
    text: str
    is_error: bool

    @classmethod
    def parse(cls, line: str) -> "Message":
        """Read a line of Terraform's stdout or stderr."""
        try:
            fields = json.loads(line)
            text = str(fields["@message"])
        except (ValueError, KeyError, TypeError):
            return cls({}, line.rstrip("\n"), bool(line.strip()))
        if fields.get("type") == "diagnostic":
            text = _diagnosis(fields["diagnostic"])
        return cls(fields, text, fields.get("@level") == "error")


def _diagnosis(diagnostic: Mapping[str, Any]) -> str:
    """An error or a warning, with the place that it names."""
    place = [f"with {diagnostic['address']}"] if diagnostic.get("address") else []
    if found := diagnostic.get("range"):
        context = (diagnostic.get("snippet") or {}).get("context")
        place.append(f"on {found['filename']} line {found['start']['line']}" + (f", in {context}" if context else ""))
        if code := (diagnostic.get("snippet") or {}).get("code"):
            place.append(f"  {code.strip()}")
    lines = [f"{diagnostic['severity'].title()}: {diagnostic['summary']}", *(f"  {line}" for line in place)]
    return "\n".join([*lines, *([diagnostic["detail"]] if diagnostic.get("detail") else ())])


def remedy(text: str, name: str) -> str | None:
    """One line with the remedy for an error that Terraform printed; None if there is none."""
    for marks, remedy in _REMEDIES:
        if any(mark in text for mark in marks):
            return remedy.format(host=registry_host(), env=name, exists=_exists(name))
    return None


def _exists(name: str) -> str:
    if name == "local":
        return "`make down && make up` starts with an empty emulator"
    run = f".venv/bin/python -m scripts.deployment.terraform import --env {name} ADDRESS NAME"
    return f"import it into the state (`{run}`) if it belongs here, else rename or delete it; then apply again"


def error_line(text: str) -> str:
    """The line with the error, for commands whose errors are not in JSON (`version`, `output`)."""
    lines = [line for line in (line.strip(" │╷╵") for line in text.split("\n")) if line]
    return next((line for line in lines if line.startswith("Error")), lines[0] if lines else "")


def registry_host() -> str:
    """The registry of the selected binary."""
    name = Path(os.environ.get("TF") or "terraform").name
    return "registry.opentofu.org" if name.startswith("tofu") else "registry.terraform.io"

"""What tests of the api function share: an input, events of callers, and the check of a rejection."""

from __future__ import annotations

from typing import Any

UNKNOWN = "6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"
TEXT = {"text": "worst delay of my life, never again"}


def rejected(response: dict[str, Any], status: int) -> Any:
    """The problem document of a rejection, checked."""
    assert response["statusCode"] == status
    assert response["headers"]["content-type"] == "application/problem+json"
    problem = response["json"]
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def waiting(event: dict[str, Any], seconds: int, **headers: str) -> dict[str, Any]:
    """The event, changed: its caller waits so long for the outcome."""
    event["headers"] |= {"prefer": f"wait={seconds}", **headers}
    return event


def by_user(user: str, event: dict[str, Any]) -> dict[str, Any]:
    """The event, changed: an IAM user of this name has sent it."""
    event["requestContext"]["authorizer"] = {"iam": {"userArn": f"arn:aws:iam::123456789012:user/{user}"}}
    return event


def signed_by(arn: str, event: dict[str, Any]) -> dict[str, Any]:
    """The event, changed: whoever has this ARN has sent it."""
    event["requestContext"]["authorizer"] = {"iam": {"userArn": arn, "cognitoIdentity": None}}
    return event

"""The HTTP answer to each error: none is forgotten, and none says more than its caller may know."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator

import pytest

import inference
from inference.errors import AlreadyFinal, InferenceError, RequestError, Unavailable
from inference.http.messages import UnsupportedEncoding
from inference.http.problems import INTERNAL_ERROR, PROBLEMS, respond_problem

ABSTRACT = {InferenceError, RequestError}
"""Bases that nobody raises. `Unavailable` has a subclass and is raised itself."""


def errors(base: type[InferenceError] = InferenceError) -> Iterator[type[InferenceError]]:
    """An error and all below it."""
    yield base
    for below in base.__subclasses__():
        yield from errors(below)


def test_every_error_has_an_answer() -> None:
    for module in pkgutil.iter_modules(inference.__path__):
        importlib.import_module(f"inference.{module.name}")  # else a class of its own would not be known
    raised = {error for error in errors() if error.__module__.startswith("inference.")} - ABSTRACT
    assert raised == set(PROBLEMS)
    assert len(raised) > 10


def test_a_type_is_one_problem_and_a_stable_slug() -> None:
    problems = set(map(str, PROBLEMS.values()))
    assert len({problem.type for problem in PROBLEMS.values()}) == len(problems)
    assert len({problem.title for problem in PROBLEMS.values()}) == len(problems)
    for problem in PROBLEMS.values():
        assert re.fullmatch(r"/problems/[a-z]+(-[a-z]+)*", problem.type)
        assert 400 <= problem.status < 600


def test_what_the_caller_can_correct_is_no_fault_of_ours() -> None:
    for error, problem in PROBLEMS.items():
        assert (problem.status < 500) == issubclass(error, RequestError), error
        assert (problem.detail is None) == (problem.status < 500), "an error of ours has details for the log only"
        assert ("Retry-After" in problem.headers) == issubclass(error, Unavailable), error


def test_a_problem_document() -> None:
    response = respond_problem(AlreadyFinal("It is over.", request_id="a1", request_status="failed"))
    assert response["statusCode"] == 409
    assert response["headers"]["content-type"] == "application/problem+json"
    assert response["headers"]["cache-control"] == "no-store"
    assert json.loads(response["body"]) == {
        "type": "/problems/already-final",
        "title": "Final already",
        "status": 409,
        "detail": "It is over.",
        "request_id": "a1",
        "request_status": "failed",
    }


def test_headers_of_a_problem() -> None:
    assert respond_problem(Unavailable("x"))["headers"]["Retry-After"] == "2"
    assert respond_problem(UnsupportedEncoding("x"))["headers"]["Accept-Encoding"] == "identity"


class Unlisted(InferenceError):
    """An error of ours that is not in the map."""


class Narrower(AlreadyFinal):
    """Nor is this one; that its base is says nothing about it."""


@pytest.mark.parametrize("error", [KeyError("secret"), Unlisted("secret"), Narrower("secret")])
def test_any_other_error_is_a_500_that_says_nothing_of_itself(error: Exception) -> None:
    response = respond_problem(error, invocation_id="i-1", request_id="a1")
    body = json.loads(response["body"])
    assert (response["statusCode"], body["type"]) == (500, INTERNAL_ERROR.type)
    assert (body["invocation_id"], body["request_id"]) == ("i-1", "a1")
    assert "secret" not in response["body"]


def test_what_is_unavailable_keeps_its_reason_for_the_log() -> None:
    assert "arn:" not in respond_problem(Unavailable("could not write arn:aws:..."))["body"]

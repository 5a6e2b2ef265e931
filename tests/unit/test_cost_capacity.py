"""Little's law, and the reference document's table and function against the price file."""

from __future__ import annotations

import pytest

from scripts.choose.document import TABLE
from scripts.cost import prices
from scripts.cost.capacity import concurrency, servers_for, waiting_share
from scripts.cost.prices import Line
from scripts.cost.requests import function_lines


def test_littles_law() -> None:
    assert concurrency(100, 2) == 200


def test_the_share_that_waits() -> None:
    # One server, half busy (M/M/1): half of the arrivals wait at all, half x e^(-0.5) longer than a mean duration.
    assert waiting_share(1, 0.5, 0) == pytest.approx(0.5)
    assert waiting_share(1, 0.5, 1) == pytest.approx(0.5 * 0.6065306597)
    # Two servers, load 1: Erlang B is (1/2) / (1 + 1 + 1/2) = 0.2; Erlang C 0.2 / (1 - 0.5 x 0.8) = 1/3.
    assert waiting_share(2, 1, 0) == pytest.approx(1 / 3)
    assert waiting_share(2, 2, 10) == 1, "the queue grows without end"


def test_the_least_that_keeps_a_wait() -> None:
    for rate, seconds, wait in ((100, 2, 1), (0.001, 1, 5), (5, 0.5, 0.01), (1, 2.5, 100)):
        found = servers_for(rate, seconds, wait)
        load = rate * seconds
        assert found >= 2
        assert waiting_share(found, load, wait / seconds) <= 0.05
        assert found == 2 or waiting_share(found - 1, load, wait / seconds) > 0.05
    assert servers_for(10_000, 1, 1) == 10_001, "more than a mapping takes"


# The reference document (43.2.1), beside what is computed here in docs/choosing.md


DOCUMENT_PER_MONTH = {line.per_day: line.serverless for line in TABLE if line.per_day}
DOCUMENT_INSTANCE = TABLE[0].serverful


def test_the_documents_function() -> None:
    """calculate_concurrency(100, 2): 200 at a time, no more quota, 4.17 dollars per million."""
    assert concurrency(100, 2) == 200
    found = prices.load().bill(function_lines("f", 1_000_000, 2000, 128))["f"]
    assert found == pytest.approx(4.17 + 0.20, abs=0.005), "it leaves the price of the invocations out"
    real = prices.load().bill(function_lines("f", 1_000_000, 2000, 3008))["f"]
    assert real == pytest.approx(98.12, abs=0.01), "at a size that holds a model"


def test_the_documents_table_is_five_dollars_per_million_but_for_its_first_row() -> None:
    per_million = {per_day: month / (per_day * 30) * 1e6 for per_day, month in DOCUMENT_PER_MONTH.items()}
    assert per_million.pop(1_000) == pytest.approx(100), "3 dollars are 20 times too much"
    assert set(per_million.values()) == {5.0}


def test_five_dollars_per_million_pay_for_a_small_function_alone() -> None:
    """HTTP API, one submit and two status queries cost more than half of it before a model has run."""
    calls = prices.load().bill([Line("c", "http_api_calls", 3e6)])["c"]
    assert calls == pytest.approx(3.0)
    assert 0.2 + 5 * 0.625 + calls > 5, "with the five record writes of a request"


def test_the_documents_winner_changes_where_its_own_figures_say() -> None:
    assert pytest.approx(1_200_000) == DOCUMENT_INSTANCE / 5.0 * 1e6 / 30
    instance = prices.load().instance.per_month
    assert instance == pytest.approx(64.26), "the document's machine is a larger one"


def test_the_documents_provisioned_concurrency() -> None:
    """'About 15 dollars a month per instance' is one of 1.4 GB, without what runs on it."""
    gb = prices.load().bill([Line("p", "provisioned_gb_seconds_x86_64", 2_592_000)])["p"]
    assert gb == pytest.approx(10.80, abs=0.005)

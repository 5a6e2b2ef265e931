"""What requests cost, against bills computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.cost import prices
from scripts.cost.measured import load
from scripts.cost.prices import Item, Line
from scripts.cost.requests import billed_ms, function_lines, request_lines, units
from tests.unit.cost_examples import MEASURED, PRICES, WORK

# Prices


def test_a_tier_counts_from_where_it_begins() -> None:
    item = Item(1.0, tiers=((10, 0.5), (20, 0.25)))
    assert [item.dollars(quantity) for quantity in (0, 4, 10, 14, 30)] == [0, 4, 10, 12, 10 + 5 + 2.5]


def test_components_share_an_items_tiers_and_its_free_units() -> None:
    small = replace(PRICES, items={"calls": Item(1.0, tiers=((10, 0.5),), free=2)})
    lines = [Line("a", "calls", 15), Line("b", "calls", 5)]  # 10 x 1 + 10 x 0.5
    assert small.bill(lines) == {"a": pytest.approx(11.25), "b": pytest.approx(3.75)}
    assert sum(small.bill(lines, free_tier=True).values()) == pytest.approx(10 + 8 * 0.5)
    assert small.bill([Line("a", "calls", 2)], free_tier=True) == {"a": 0}


def test_the_price_file_is_whole_and_says_where_it_is_from() -> None:
    found = prices.load()
    assert found.source
    assert found.date >= "2026-11-26"
    gpus = {"gpu.instances", *(f"gpu.{platform}" for platform in found.gpu.platforms)}
    assert found.unconfirmed.keys() <= found.items.keys() | {"instance", "sagemaker", "larger_instances"} | gpus
    assert PRICES.items.keys() <= found.items.keys()
    assert found.instance.per_month == pytest.approx(found.instance.per_hour * 720)


# Requests


@pytest.mark.parametrize(
    ("cpu_ms", "calls", "memory_mb", "expected"),
    [
        (5.0, 3.0, 1769, 20),  # 5 + 3 x 5
        (5.0, 3.0, 10_240, 20),  # more vCPUs do not help one thread
        (5.0, 0.0, 884.5, 10),  # half a vCPU, twice the time
        (5.001, 0.0, 1769, 6),  # every started millisecond
        (0.1, 0.0, 1769, 1),
    ],
)
def test_billed_duration(cpu_ms: float, calls: float, memory_mb: float, expected: float) -> None:
    assert billed_ms(cpu_ms, calls, memory_mb) == expected


def test_a_function_costs_its_gb_seconds_and_its_invocations() -> None:
    # 1,000,000 x 0.1 s x 2 GB = 200,000 GB-s -> $2.00; + $0.20
    assert PRICES.bill(function_lines("f", 1_000_000, 100, 2048)) == {"f": pytest.approx(2.2)}


def test_the_bill_of_a_million_requests() -> None:
    bill = PRICES.bill(request_lines(WORK, 1769))
    # worker: 100,000 invocations of 5 + 3 x 5 = 20 ms at 1769/1024 GB = 3,455.08 GB-s -> $0.034551; + $0.02
    assert bill["worker"] == pytest.approx(0.054551, abs=1e-6)
    # api: 256 MB is 0.144715 vCPU. A submit: 6.91 + 10 -> 17 ms; a status query: 3.46 + 5 -> 9 ms, twice.
    # 1,000,000 x (17 + 2 x 9) ms x 0.25 GB = 8,750 GB-s -> $0.0875; + $0.60
    assert bill["api function"] == pytest.approx(0.6875)
    assert bill["HTTP API"] == pytest.approx(3.0)
    # 1 send + 0.1 receive + 0.1 delete + 0.1 visibility
    assert bill["SQS"] == pytest.approx(0.4 * 1.3)
    assert bill["DynamoDB writes"] == pytest.approx(3.0)
    # 2 polls, half a unit each
    assert bill["DynamoDB reads"] == pytest.approx(0.1)
    # worker 300, api 450 + 2 x 230, 350 for each of 0.1 + 3 invocations, 3 x 320 of the access log:
    # 3,255 bytes x 1 M = 3.031455 GiB
    assert bill["logs"] == pytest.approx(1.515728, abs=1e-5)
    # half a unit for each record; 180 bytes of 4 KB for its entry, half a unit; a hundredth of 40 ms at 0.25 GB
    assert bill["sweeper"] == pytest.approx((0.5 + 180 / 4096 / 2) * 0.1 + 0.0001 * 10, abs=1e-6)


def test_the_reference_is_not_charged_for_a_sweep() -> None:
    bill, unswept = (PRICES.bill(request_lines(replace(WORK, swept=swept), 1769)) for swept in (True, False))
    assert unswept == {name: dollars for name, dollars in bill.items() if name != "sweeper"}


def test_without_access_log_and_lines_of_invocations_the_bill_has_the_functions_own_lines() -> None:
    quiet = replace(WORK, access_log_bytes=0, api_invocation_lines=False, status=replace(WORK.status, log_bytes=0))
    # worker 300 + 350 for 0.1 invocations, api 450 + 40 for the timestamp of its one line: 825 bytes
    assert PRICES.bill(request_lines(quiet, 1769))["logs"] == pytest.approx(825e6 / 2**30 * 0.5)


def test_a_record_of_more_than_a_unit_costs_two() -> None:
    assert [units(size, 1024) for size in (1, 1024, 1025)] == [1, 1, 2]


def test_a_large_batch_is_received_and_deleted_by_tens() -> None:
    ten, twenty = (PRICES.bill(request_lines(replace(WORK, batch=size), 1769)) for size in (10, 20))
    assert ten["SQS"] == twenty["SQS"]


# What was measured


def test_between_the_measured_batches_an_invocation_grows_by_the_request() -> None:
    # An invocation takes 2 ms for one, 5 ms for ten: 1/3 ms for each more.
    assert MEASURED.at(1).cpu_ms == 2.0
    assert MEASURED.at(10).cpu_ms == pytest.approx(0.5)
    assert MEASURED.at(4).cpu_ms == pytest.approx((2 + 1) / 4)
    assert MEASURED.at(4).calls == pytest.approx(3 / 4), "three calls, however many requests"


def test_what_is_kept_from_the_bench_is_whole() -> None:
    kept = load()
    assert kept.source
    assert kept.full.cpu_ms < kept.alone.cpu_ms

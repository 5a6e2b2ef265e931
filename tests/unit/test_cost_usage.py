"""What a deployment uses in a month, against bills computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from scripts.cost import demand, usage
from scripts.cost.demand import Traffic
from scripts.cost.deployment import Deployment, Function
from scripts.cost.prices import Item
from scripts.cost.requests import ASSUMED_PLATFORM_LOG_BYTES, wait_reads
from scripts.cost.warmth import Warmth
from scripts.cost.webhooks import FINISH_WRITES, RECORD_WRITES
from tests.unit.api_harness import Api
from tests.unit.batch_webhook_harness import BatchWebhooks
from tests.unit.cost_examples import API, DEPLOYMENT, MEASURED, POOL, PRICES, WORKER
from tests.unit.webhook_harness import Webhooks, stream_record


def month(deployment: Deployment, traffic: Traffic, per_day: float) -> dict[str, float]:
    return PRICES.bill(usage.month(deployment, traffic, MEASURED, per_day))


def test_an_idle_month_costs_the_polling_of_its_queues() -> None:
    # Five connections of 20 s are 648,000 receives a month and queue.
    assert month(DEPLOYMENT, Traffic(), 0) == {"SQS polling": pytest.approx(2 * 648_000 * 0.4e-6)}


def test_what_is_paid_for_while_nobody_calls() -> None:
    kept = replace(
        DEPLOYMENT,
        workers={"mine": replace(WORKER, function=replace(WORKER.function, provisioned=3, image=True))},
        others=(Function("p-sweeper", 1024, 60, "x86_64"), Function("p-deliverer", 256, 30, "x86_64")),
        sweeps_per_month=1_000_000,
        endpoints=4,
        per_resource={"cloudwatch_alarm_month": 6},
    )
    bill = month(kept, Traffic(image_gb=2), 0)
    assert bill["provisioned concurrency"] == pytest.approx(3 * 2 * 2_592_000 * 0.000004)
    assert bill["image registry"] == pytest.approx(0.2)
    assert bill["VPC endpoints"] == pytest.approx(4 * 720 * 0.01)
    assert bill["alarms"] == pytest.approx(0.6)
    # 1 M x 0.4 s x 1 GB = 400,000 GB-s -> $4.00; + $0.20; 17 M reads and, with webhooks, 8 M more -> $2.50
    assert bill["sweeper"] == pytest.approx(6.7)


def test_a_month_of_a_model_whose_run_time_is_given() -> None:
    bill = month(DEPLOYMENT, Traffic(run_ms={"mine": 1985}), 100_000)
    # 3 M batches of one: 1,985 ms + 3 calls x 5 ms = 2 s at 2 GB = 12,000,000 GB-s -> $120; + $0.60
    assert bill["worker"] == pytest.approx(120.6)
    # 1,024 MB is 0.578858 vCPU. A submit: 1.73 + 10 -> 12 ms; a status query: 0.86 + 5 -> 6 ms, twice.
    # 3 M x 24 ms x 1 GB = 72,000 GB-s -> $0.72; + 9 M invocations -> $1.80
    assert bill["api function"] == pytest.approx(2.52)
    # 9 M calls, 3 M sends, 6 M receives and deletes, 3 M visibility changes
    assert bill["HTTP API"] == pytest.approx(9.0)
    assert bill["SQS"] == pytest.approx(12 * 0.4)
    assert bill["DynamoDB writes"] == pytest.approx(12 * 0.6)  # three of the record, one of the index
    # 100,000 x 1,000 bytes x 7 days = 0.651926 GiB at $0.25 + $0.20; 180 bytes of the index's entry at $0.25
    assert bill["DynamoDB storage"] == pytest.approx(0.293367 + 0.18 * 0.651926 * 0.25, abs=1e-6)
    # 3 M records and entries of 180 bytes: 1.5 M + 65,918 units; 30,000 times 40 ms at 0.25 GB
    assert bill["sweeper"] == pytest.approx(1_565_918 * 0.1e-6 + 300 * 0.00001, abs=1e-5)


@pytest.mark.parametrize(
    ("per_day", "writes"),
    # 1,000 sweeps of 16 shards: each has requests, or nearly each request has a shard and sweep of its own
    [(1_000_000, 16_000), (1, 29.972)],
)
def test_how_far_sweeps_have_come_is_written_where_there_was_something(per_day: float, writes: float) -> None:
    swept, unswept = (month(replace(DEPLOYMENT, sweeps_per_month=n), Traffic(), per_day) for n in (1000, 0))
    assert swept["sweeper"] - unswept["sweeper"] == pytest.approx(writes * 0.6e-6, rel=1e-4)


def test_the_index_of_callers_is_one_write_of_each_request_and_its_storage() -> None:
    bill = month(replace(DEPLOYMENT, listed=True), Traffic(), 100_000)
    # 3 M writes; 100,000 x 330 bytes x 7 days = 0.215136 GiB at $0.25: indexes are not in backups
    assert bill["list of requests"] == pytest.approx(3 * 0.6 + 0.053784, abs=1e-6)
    assert bill["DynamoDB writes"] == month(DEPLOYMENT, Traffic(), 100_000)["DynamoDB writes"]
    assert "list of requests" not in month(DEPLOYMENT, Traffic(), 100_000)


def test_submits_that_wait() -> None:
    bill = month(DEPLOYMENT, Traffic(waits=0.5, polls=0), 100_000)
    # 3 M x 0.5 s x 1 GB = 1,500,000 GB-s -> $15; 5 reads of half a unit each: 7.5 M -> $0.75
    assert bill["waiting calls"] == pytest.approx(15.75)
    assert bill["HTTP API"] == pytest.approx(3.0), "no status query"
    assert "waiting calls" not in month(DEPLOYMENT, Traffic(), 100_000)


def test_requests_in_batches() -> None:
    bill = month(DEPLOYMENT, Traffic(items=100), 100_000)
    alone = month(DEPLOYMENT, Traffic(), 100_000)
    # 30,000 batches, each a submit and two status queries
    assert bill["HTTP API"] == pytest.approx(alone["HTTP API"] / 100)
    # 3 M requests, ten in a send: 0.3 M in the place of 3 M, at $0.4
    assert alone["SQS"] - bill["SQS"] == pytest.approx(2.7 * 0.4)
    # 60,000 status queries, each half a unit of the batch and of each of 100 records, at $0.1
    assert bill["DynamoDB reads"] == pytest.approx(60_000 * 50.5 * 0.1 / 1e6)
    assert bill["DynamoDB writes"] - alone["DynamoDB writes"] == pytest.approx(0.06 * 0.6)
    assert bill["worker"] == alone["worker"]
    assert bill["api function"] < alone["api function"] / 5


def test_requests_in_files() -> None:
    deployed = replace(DEPLOYMENT, others=(Function("p-batches", 512, 120, "x86_64"),))
    bill = month(deployed, Traffic(items=10_000), 100_000)
    alone = month(deployed, Traffic(), 100_000)
    # 300 files. Each: an upload, a submit, two status queries, a hundred pages.
    assert bill["HTTP API"] == pytest.approx(300 * 104e-6)
    # A check of a hundred lines is one call, their creation 1 + 4 + 10; with 2 reads of the file, 2 more writes and its
    # deletion 1,605 calls of 5 ms, and 1.5 s of CPU at 512 / 1,769 of a vCPU: 13.208 s of 0.5 GB
    assert bill["batches function"] == pytest.approx(300 * (13.208 * 0.5 * 0.00001 + 0.2e-6), rel=1e-4)
    # One write for each step of the two passes, two of the submit, two more; half a unit for each record and item
    assert bill["DynamoDB writes"] - alone["DynamoDB writes"] == pytest.approx(300 * 204 * 0.6e-6)
    assert bill["DynamoDB reads"] == pytest.approx(300 * (2 * 1000.5 + 100 * 50.5) * 0.1e-6)
    assert bill["S3"] == pytest.approx(300 * (5e-6 + 3 * 0.4e-6))
    # Ten messages in a send, and three calls for the batch's own message
    assert alone["SQS"] - bill["SQS"] == pytest.approx((2.7e6 - 900) * 0.4e-6)
    assert bill["worker"] == alone["worker"]
    without = month(DEPLOYMENT, Traffic(items=10_000), 100_000)
    assert without["batches function"] == bill["batches function"]


def test_a_key_is_asked_for_once_in_the_time_that_it_is_remembered() -> None:
    keyed = replace(DEPLOYMENT, authorizer=replace(API, name="authorizer"), cache_seconds=60)
    # 8,640,000 calls a day are 100 a second, 10 of each key: asked for every 60.1 s, so 10 x 43,128 times a month.
    # Each is 6 ms of 1 GB (0.5 ms of CPU at 1,024 / 1,769 of a vCPU, one call of 5 ms), an invocation and a read.
    bill = month(keyed, Traffic(polls=0), 8_640_000)
    asked = 10 * 2_592_000 / 60.1
    assert bill["authorizer"] == pytest.approx(asked * (0.006 * 0.00001 + 0.2e-6 + 0.1e-6))
    assert month(keyed, Traffic(polls=0, keys=1), 8_640_000)["authorizer"] == pytest.approx(
        bill["authorizer"] / 10, 1e-2
    )
    assert "authorizer" not in month(DEPLOYMENT, Traffic(), 8_640_000)
    # Without a cache every call is a question.
    bare = month(replace(keyed, cache_seconds=0), Traffic(polls=0), 8_640_000)
    assert bare["authorizer"] == pytest.approx(bill["authorizer"] * 100 * 60.1 / 10)


def test_a_share_of_requests_with_uploads() -> None:
    kept = replace(DEPLOYMENT, payload_days=9)
    bill = month(kept, Traffic(large=0.1, large_bytes=20e6), 100_000)
    # 300,000 PUTs -> $1.50; 3 GETs and 3 parts of 8 MiB each: 1.8 M -> $0.72; 10,000 x 20 MB x 9 days = 1,676.38 GiB
    assert bill["S3"] == pytest.approx(1.5 + 0.72 + 1676.38 * 0.02, abs=0.001)
    small = month(kept, Traffic(), 100_000)
    assert small == {name: dollars for name, dollars in bill.items() if name != "S3"}
    assert "S3" not in month(kept, Traffic(large=0.1), 0), "nothing is kept of no requests"


def test_requests_with_a_webhook() -> None:
    deployed = replace(DEPLOYMENT, others=(Function("p-deliverer", 256, 30, "x86_64", invocation_lines=False),))
    bill = month(deployed, Traffic(webhooks=0.5), 100_000)
    # 1.5 M deliveries. Relay and deliverer: 1.5 M x 0.22 s x 0.25 GB = 82,500 GB-s -> $0.825; 3 M invocations -> $0.60.
    # Two writes of the record, two of the index: 6 M -> $3.60; 1.5 M reads -> $0.15. 4.5 M calls of SQS -> $1.80, and
    # 1.5 M sends to a fair queue -> $0.15. Two lines of 250 bytes and their times, 40 each: 0.8103 GiB -> $0.405.
    assert bill["webhooks"] == pytest.approx(0.825 + 0.6 + 3.6 + 0.15 + 1.8 + 0.15 + 0.40513, abs=1e-4)
    assert "webhooks" not in month(deployed, Traffic(), 100_000)
    without = month(DEPLOYMENT, Traffic(webhooks=0.5), 100_000)
    assert without["webhooks"] == pytest.approx(bill["webhooks"]), "by the stack's default memory"
    # Ten in a batch: a tenth of the invocations and of the calls of SQS but for the surcharge; as many log lines.
    full = month(deployed, Traffic(webhooks=0.5, fill=10), 100_000)
    assert full["webhooks"] == pytest.approx(3.6 + 0.15 + 0.15 + 0.40513 + (0.825 + 0.6 + 1.8) / 10, abs=1e-4)


def test_the_calls_of_a_delivery_are_those_that_the_deliverer_makes() -> None:
    webhooks = Webhooks()
    assert webhooks.relay([stream_record(webhooks.end())]) == []
    webhooks.table.calls.clear()
    webhooks.deliver()
    assert webhooks.state() == "delivered"
    assert sorted(webhooks.table.calls) == ["apply"] * RECORD_WRITES + ["get"]


def test_batches_with_a_webhook() -> None:
    deployed = replace(DEPLOYMENT, others=(Function("p-deliverer", 256, 30, "x86_64"),))
    bill = month(deployed, Traffic(items=100, webhooks=1, fill=10), 100_000)["webhooks"]
    # 30,000 batches. One delivery of each, as of a request that ends alone, of which 1.5 M are $7.36.
    alone = month(deployed, Traffic(webhooks=0.5), 100_000)["webhooks"] * 30_000 / 1_500_000
    # 300,000 checks: x 0.03 s x 0.25 GB = 2,250 GB-s -> $0.0225; $0.06 for the invocations, as much for 600,000 reads,
    # and Lambda's own lines of each. 6 M reads of items -> $0.60; 30,000 writes -> $0.018.
    lines = 300_000 * ASSUMED_PLATFORM_LOG_BYTES / 1024**3 * 0.5
    assert bill == pytest.approx(alone + 0.0225 + 0.06 + 0.06 + lines + 0.6 + 0.018, abs=1e-4)
    assert month(deployed, Traffic(items=100, webhooks=0.5, fill=10), 100_000)["webhooks"] == pytest.approx(bill / 2)


def test_the_calls_of_a_batchs_webhook_are_those_that_are_made() -> None:
    hooked = BatchWebhooks()
    batch = hooked.submit_items(*"x" * 100)
    hooked.announce()
    before = len(hooked.batch_table.written)
    read = 0
    get_many = hooked.table.get_many

    def counted(request_ids: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal read
        read += len(request_ids)
        return get_many(request_ids, *arguments, **named)

    hooked.table.get_many = counted  # type: ignore[method-assign]
    hooked.batch_table.calls.clear()
    for _ in range(10):
        hooked.worker.run()
        hooked.hooks.relay(hooked.hooks.stream())
    assert (read, hooked.batch_table.calls.count("get_batch")) == (9 + 100, 10)
    assert len(hooked.batch_table.written) - before == FINISH_WRITES
    hooked.announce()
    assert (read, len(hooked.documents())) == (9 + 200, 1)
    assert len(hooked.batch_table.written) - before == FINISH_WRITES + RECORD_WRITES
    assert batch.total == 100


def test_the_reads_of_a_wait_are_those_that_the_service_makes() -> None:
    api = Api()
    for seconds in (1, 3, 10):
        api.pauses.clear()
        api.service.wait(api.submit(), seconds, api.clock)
        assert abs(len(api.pauses) - wait_reads(seconds)) <= 1, "times are whole milliseconds there"


def test_a_batch_is_what_the_window_collects_at_most_what_fits() -> None:
    windowed = replace(WORKER, batch_window_seconds=2)
    assert demand.fill_of(WORKER, 100, None) == 1, "without a window each message goes alone"
    assert demand.fill_of(windowed, 0.1, None) == 1
    assert demand.fill_of(windowed, 10, None) == 4  # 10 a second x 2 s over five connections
    assert demand.fill_of(windowed, 1000, None) == 10
    assert demand.fill_of(WORKER, 0, 25) == 10


def test_rare_requests_start_cold_and_frequent_ones_do_not() -> None:
    rare = month(DEPLOYMENT, Traffic(), 24)["cold starts"]
    # One an hour: 720 starts x e^(-300/3600); 0.5 s x 2 GB of the worker, 0.4 s x 1 GB of the api function
    assert rare == pytest.approx(720 * math.exp(-1 / 12) * 1.4 * 0.00001)
    assert "cold starts" not in month(DEPLOYMENT, Traffic(), 1_000_000)
    warm = replace(WORKER, function=replace(WORKER.function, provisioned=1))
    kept = replace(DEPLOYMENT, workers={"mine": warm}, api=replace(API, provisioned=1))
    assert "cold starts" not in month(kept, Traffic(), 24)


def test_models_share_the_traffic() -> None:
    two = replace(DEPLOYMENT, workers={"a": replace(WORKER, models=("a",)), "b": replace(WORKER, models=("b",))})
    loads = demand.loads(two, Traffic(run_ms={"a": 100, "b": 300}), MEASURED, 1000)
    assert {name: (load.per_day, load.batch_ms) for name, load in loads.items()} == {"a": (500, 115), "b": (500, 315)}


# Pools


def test_a_pool_gets_the_requests_of_all_its_models() -> None:
    both = replace(DEPLOYMENT, workers={"mine": WORKER, "pool": POOL})
    loads = demand.loads(both, Traffic(run_ms={"mine": 100, "a": 85, "b": 85, "c": 185, "d": 385}), MEASURED, 5000)
    assert {name: load.per_day for name, load in loads.items()} == {"mine": 1000, "pool": 4000}
    # Each has 3 calls of 5 ms more, alone in its batch
    assert loads["pool"].model_ms == {"a": 100, "b": 100, "c": 200, "d": 400}
    assert loads["pool"].batch_ms == 200


def test_a_batch_of_several_models_is_a_pass_and_three_calls_for_each() -> None:
    pool = replace(DEPLOYMENT, workers={"pool": POOL})
    load = demand.loads(pool, Traffic(fill=2), MEASURED, 1000)["pool"]
    # Two requests are of one model with a probability of 1/4
    assert load.batch_models == pytest.approx(1.75)
    assert load.work.worker_calls == pytest.approx(3 * 1.75 / 2)
    assert demand.distinct(1, 10) == 1
    assert demand.distinct(50, 1) == 1
    assert demand.distinct(50, 1e9) == pytest.approx(50)


def test_the_models_of_a_pool_are_loaded_after_each_start() -> None:
    pool = replace(DEPLOYMENT, workers={"pool": POOL}, api=replace(API, provisioned=1))
    once = month(pool, Traffic(), 24)["cold starts"]
    # One an hour: e^(300/3600) = 1.0869 requests between two starts are of 1.0642 of four models
    starts = 720 * math.exp(-1 / 12)
    assert once == pytest.approx(starts * demand.distinct(4, math.exp(1 / 12)) * 0.5 * 2 * 0.00001)
    assert "cold starts" not in month(pool, Traffic(), 100_000_000), "no overflow"


def test_a_snapshot_has_no_model_of_a_pool() -> None:
    kept = replace(PRICES, items={**PRICES.items, "snapshot_gb_seconds": Item(0), "snapshot_restored_gb": Item(0.0001)})
    function = replace(POOL.function, warmth=Warmth(snapshot=True))
    pool = replace(DEPLOYMENT, workers={"pool": replace(POOL, function=function)}, api=replace(API, provisioned=1))
    bill = kept.bill(usage.month(pool, Traffic(), MEASURED, 24))
    starts = 720 * math.exp(-1 / 12)
    assert bill["SnapStart"] == pytest.approx(starts * 2 * 0.0001)
    loads = starts * demand.distinct(4, math.exp(1 / 12))
    assert bill["cold starts"] == pytest.approx(loads * 0.5 * 2 * 0.00001)


def test_the_api_starts_cold_for_all_models_together() -> None:
    several = {name: replace(WORKER, models=(name,), function=replace(WORKER.function, provisioned=1)) for name in "ab"}
    bill = month(replace(DEPLOYMENT, workers=several), Traffic(), 24)
    assert bill["cold starts"] == pytest.approx(720 * math.exp(-1 / 12) * 0.4 * 0.00001)


# Metrics


def metrics(deployment: Deployment, traffic: Traffic, per_day: float) -> float:
    found = usage.month(deployment, traffic, MEASURED, per_day)
    return sum(line.quantity for line in found if line.item == "cloudwatch_metric_month")


def test_custom_metrics_are_paid_for_in_the_hours_that_have_values() -> None:
    written = replace(
        DEPLOYMENT,
        api=replace(API, metrics=True),
        workers={"mine": replace(WORKER, function=replace(WORKER.function, metrics=True))},
    )
    assert metrics(DEPLOYMENT, Traffic(), 1_000_000) == 0
    assert metrics(written, Traffic(), 0) == 0
    assert metrics(written, Traffic(), 1_000_000) == pytest.approx(6), "in every hour, and no cold starts"
    # One an hour: a share of 1 - 1/e of the hours has one; e^(-300/3600) of them start cold, worker and api function
    hours, cold = 1 - math.exp(-1), 1 - math.exp(-math.exp(-1 / 12))
    assert metrics(written, Traffic(), 24) == pytest.approx(6 * hours + 2 * cold + cold)
    in_batches = 1 - math.exp(-10 * math.exp(-10 / 12))  # one batch of ten an hour, and ten calls of the api function
    assert metrics(written, Traffic(fill=10), 240) == pytest.approx(6 * hours + 2 * cold + in_batches)


def test_the_models_of_a_pool_have_their_metrics_in_common() -> None:
    pool = replace(DEPLOYMENT, workers={"pool": replace(POOL, function=replace(POOL.function, metrics=True))})
    assert metrics(pool, Traffic(), 10_000_000) == pytest.approx(6)
    # Four an hour; the worker starts cold e^(-4/12) of the times, with e^(4/12) requests between two starts
    starts = 4 * math.exp(-1 / 3)
    loads = starts * demand.distinct(4, math.exp(1 / 3))
    once_started = 1 - math.exp(-starts) + 1 - math.exp(-loads)
    assert metrics(pool, Traffic(), 96) == pytest.approx(6 * (1 - math.exp(-4)) + once_started)
    # 40 batches of ten an hour; 40 x e^(-40/12) of them start cold, and all four models are used before the next start
    starts = 40 * math.exp(-40 / 12)
    once_started = 1 - math.exp(-starts) + 1 - math.exp(-4 * starts)
    assert metrics(pool, Traffic(fill=10), 9600) == pytest.approx(6 + once_started, abs=1e-3)


def test_metrics_are_log_lines_too() -> None:
    written = replace(DEPLOYMENT, workers={"mine": replace(WORKER, function=replace(WORKER.function, metrics=True))})
    for fill, size in ((1, 583), (10, 684)):
        logs = [
            sum(
                line.quantity
                for line in usage.month(each, Traffic(fill=fill), MEASURED, 1000)
                if line.item == "logs_gb"
            )
            for each in (DEPLOYMENT, written)
        ]
        assert (logs[1] - logs[0]) * 1024**3 == pytest.approx(30_000 / fill * size, rel=1e-3)

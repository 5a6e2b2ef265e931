"""The settings that `make choose` gives, and what they cost, against numbers computed by hand."""

from __future__ import annotations

import hcl2
import pytest

from scripts.choose import costs, entries, needs
from scripts.choose.costs import Costs
from scripts.choose.entries import entry, hcl
from scripts.cost import prices
from scripts.cost.demand import Traffic
from scripts.cost.measured import Measured
from scripts.stack_defaults import defaults
from tests.unit.cost_examples import MEASURED, PRICES
from tests.unit.test_choose import GPUS, ON_GPU, SMALL, WAYS, found


def of(given: dict[str, str], measured: Measured = MEASURED) -> Costs:
    return Costs(needs.parse(given, GPUS), PRICES, measured)


# HCL


def test_hcl_has_short_objects_in_a_line_and_aligns_the_others() -> None:
    settings = {
        "models": {
            "mine": {
                "memory_mb": 2048,
                "batch_size": 10,
                "sync": {"timeout_seconds": 29, "warmth": {"provisioned": 1}},
            },
            "other": {"pool": "experiments"},
        },
        "requests": {"max_upload_bytes": 5},
        "pools": {"experiments": {}},
    }
    assert hcl(settings).splitlines() == [
        "models = {",
        "  mine = {",
        "    memory_mb  = 2048",
        "    batch_size = 10",
        "    sync = {",
        "      timeout_seconds = 29",
        "      warmth          = { provisioned = 1 }",
        "    }",
        "  }",
        '  other = { pool = "experiments" }',
        "}",
        "requests = { max_upload_bytes = 5 }",
        "pools = {",
        "  experiments = {}",
        "}",
    ]


def test_a_line_that_is_too_long_is_an_object_of_lines() -> None:
    made = hcl({"backend": {"kind": "runpod", "endpoint": "your-endpoint-id", "token_secret_arn": "arn:" + 60 * "x"}})
    assert made.splitlines()[:2] == ["backend = {", '  kind             = "runpod"']


@pytest.mark.parametrize("place", WAYS)
def test_hcl_says_what_the_settings_are(place: str) -> None:
    settings = entry(place, found(WAYS[place])).settings
    options = hcl2.SerializationOptions(explicit_blocks=False, strip_string_quotes=True)
    assert hcl2.loads(hcl(settings) + "\n", serialization_options=options) == settings


# Settings


def worker(given: dict[str, str]) -> dict[str, object]:
    settings = entry("asynchronous", found(given)).settings
    models: dict[str, dict[str, object]] = settings["models"]
    return models["mine"]


def test_a_timeout_holds_a_whole_batch_of_the_longest_runs() -> None:
    # 1 s at the longest x 1.5 x a batch of 10
    assert worker(SMALL)["timeout_seconds"] == 15
    assert worker(SMALL)["batch_size"] == 10
    # 300 s x 1.5 fit twice into 900 s
    long = worker(SMALL | {"LONGEST_S": "300"})
    assert (long["batch_size"], long["timeout_seconds"]) == (2, 900)
    longest = worker(SMALL | {"LONGEST_S": "900"})
    assert (longest["batch_size"], longest["timeout_seconds"]) == (1, 900)
    assert worker(SMALL | {"RUN_MS": "1"})["timeout_seconds"] == 10, "at least"


def test_the_limit_of_concurrency_follows_from_the_peak_and_the_wait() -> None:
    # 1/s x peak 3 x 2 s = 6 at a time; 95% within 5 s takes no more than one beside them
    assert worker(SMALL | {"RATE": "1/s", "RUN_MS": "2000"})["maximum_concurrency"] == 8
    assert worker(SMALL | {"RATE": "1/s", "RUN_MS": "2000", "LATENCY": "100"})["maximum_concurrency"] == 7
    assert worker(SMALL | {"RATE": "1"})["maximum_concurrency"] == 2
    assert worker(SMALL | {"RATE": "10000/s"})["maximum_concurrency"] == 1000


def test_large_inputs_need_disk_and_a_limit_of_uploads() -> None:
    assert "ephemeral_storage_mb" not in worker(SMALL | {"INPUT_MB": "200"})
    assert worker(SMALL | {"INPUT_MB": "2000"})["ephemeral_storage_mb"] == 4000
    assert worker(SMALL | {"INPUT_MB": "5120"})["ephemeral_storage_mb"] == 10_240
    made = entry("asynchronous", found(SMALL | {"INPUT_MB": "2000"}))
    assert made.settings["requests"] == {"max_upload_bytes": 2_000_000_000}
    assert any("uploads" in note for note in made.notes)
    assert "requests" not in entry("asynchronous", found(SMALL | {"INPUT_MB": "1000"})).settings


def test_a_pool_has_the_function_and_its_models_only_name_it() -> None:
    settings = entry("pool", found(WAYS["pool"])).settings
    assert settings["models"] == {f"mine-{number}": {"pool": entries.POOL} for number in range(3)}
    assert settings["pools"][entries.POOL]["memory_mb"] == 2048
    assert set(settings["pools"][entries.POOL]) <= set(defaults("pools"))


def test_a_synchronous_function_ends_before_the_api_does() -> None:
    plain = entry("sync", found(WAYS["sync"] | {"LONGEST_S": "28"})).settings["models"]["mine"]
    assert plain["sync"] == {"timeout_seconds": 29}
    warm = entry("sync_warm", found(WAYS["sync_warm"] | {"RATE": "2/s"})).settings["models"]["mine"]
    assert warm["sync"] == {"timeout_seconds": 10, "warmth": {"provisioned": 3}}, "2/s x peak 3 x 0.5 s"


@pytest.mark.parametrize("place", ["asynchronous", "sync", "sync_warm"])
def test_the_settings_are_those_of_models(place: str) -> None:
    (settings,) = entry(place, found(WAYS[place])).settings["models"].values()
    assert set(settings) - {"sync"} <= set(defaults("models"))


def test_a_backend_is_the_platform_that_costs_least() -> None:
    case = found(ON_GPU)
    (settings,) = entry("backend", case).settings["models"].values()
    assert settings["backend"]["kind"] == case.offers[0].kind
    assert settings["backend"]["gpu"] == case.offers[0].gpu
    assert settings["backend"]["run_seconds"] == 2
    assert [offer.dollars for offer in case.offers] == sorted(offer.dollars for offer in case.offers)
    assert {offer.kind for offer in case.offers} == set(costs.BACKENDS)
    long = found(ON_GPU | {"LONGEST_S": "2000"})
    assert "replicate" not in {offer.kind for offer in long.offers}, "it ends a run after 30 minutes"


def test_every_backend_has_an_endpoint_and_a_price() -> None:
    platforms = prices.load().gpu.platforms
    assert set(costs.BACKENDS) <= set(entries.ENDPOINTS)
    assert set(costs.BACKENDS) <= set(platforms)
    assert not any(platforms[kind].alone for kind in costs.BACKENDS)


# Costs


def test_a_synchronous_million() -> None:
    million = {"RATE": f"{1e6 / 30}", "RUN_MS": "99", "MEMORY_MB": "1024"}
    cost = of(million)
    # 1,000,000 x 0.1 s x 1 GB x 0.00001 = 1.00, + 0.2 invocations + 1.0 HTTP API + 290 bytes of logs at 0.5 a GB
    calls = 1.0 + 0.2 + 1.0 + 290e6 / 1024**3 * 0.5
    # A rate at which no start is cold
    assert cost.sync - cost.idle == pytest.approx(calls, abs=0.01)
    warm = cost.sync_warm
    # One environment: 2,592,000 GB-s x 0.000004, and running 0.000006 in place of 0.00001
    assert warm - cost.idle == pytest.approx(calls - 0.4 + 2_592_000 * 0.000004, abs=0.01)


def test_environments_are_kept_for_the_peak() -> None:
    assert of(SMALL | {"RATE": "2/s"}).warm_environments == 3
    assert of(SMALL | {"RATE": "1"}).warm_environments == 1


def test_a_worker_of_its_own_costs_its_queue_and_its_image() -> None:
    # 5 polls x 2,592,000 / 20 s at 0.4 a million; 0.35 GB at 0.1
    assert of(SMALL).own_queue == pytest.approx(648_000 * 0.4e-6 + 0.035)
    # Requests of which so many a month cost that: each is billed as make cost has it per million
    few = of(SMALL | {"RATE": f"{of(SMALL).pooled_below}"})
    requests = [line for line in few.bill if line not in ("metrics", "cold starts")]
    assert sum(few.bill[name] for name in requests) - few.idle == pytest.approx(few.own_queue, rel=0.05)


def test_many_models_share_a_pool() -> None:
    three = of(WAYS["pool"])
    assert three.stack > three.pool
    # metrics are of a worker, too
    assert three.idle == pytest.approx(of(SMALL).idle + 2 * three.own_queue)


def test_cloud_run_bills_vcpus_and_memory_while_requests_run() -> None:
    # 30 x 10,000 x 0.5 s = 150,000 s: 8 GiB need 2 vCPUs
    cost = found(SMALL | {"MEMORY_MB": "8192"}).cloud_run
    assert cost == pytest.approx(150_000 * (2 * 0.000024 + 8 * 0.0000025) + 300_000 * 0.4e-6)


def test_an_instance_has_the_models_memory_and_more() -> None:
    names = {}
    for memory in ("2048", "4096", "20000", "400000"):
        machine = found(SMALL | {"MEMORY_MB": memory}).instance
        names[memory] = machine and machine[0].name
    assert names == {"2048": "c7i.large", "4096": "m7i.large", "20000": "r7i.xlarge", "400000": "r7i.16xlarge"}
    assert found(SMALL | {"MEMORY_MB": "600000"}).instance is None


def test_a_gpu_instance_has_this_stack_in_front() -> None:
    case = found(ON_GPU)
    assert case.gpu_instance is not None
    machine, count, dollars = case.gpu_instance
    assert (machine.name, count) == ("g5.xlarge", 1)
    assert 0 < dollars - machine.per_month < case.stack


def test_the_stack_is_that_of_make_cost() -> None:
    case = of(SMALL | {"RUN_MS": "500"})
    deployment = costs.deployment_of(case.needs)
    assert deployment.models == ("mine",)
    assert deployment.polled_queues == 3
    from scripts.cost.report import Estimate

    estimate = Estimate(PRICES, deployment, Traffic(run_ms={"mine": 500}, peak=3), MEASURED)
    assert case.stack == pytest.approx(estimate.total(10_000))

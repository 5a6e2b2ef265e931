"""Objects in S3 while processes are killed at any step: exactly one request for each object and model, and one attempt.

`pytest tests/unit/test_pipeline_faults.py -s -k table` prints the table of docs/pipelines.md.
"""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from tests.unit.pipeline_harness import MODELS, RESULTS_BUCKET, Pipeline
from tests.unit.samples import WEBHOOK_URL
from tests.unit.test_payload_faults import Step, kill

INTAKE = ["create_batch", *["create_many"] * 3, *["send_many"] * 3, "apply_batch"]
"""The effects of one event: the parent, its requests' records, their messages, the confirmation."""

RESULTS = [*["head", "copy", "write"] * 3]
"""Those of the results function, of three requests."""

OBJECTS, TWICE, CRASHES = 20, 10, 20


def test_the_effects_are_these() -> None:
    pipeline = Pipeline()
    pipeline.upload()
    seen: list[str] = []
    pipeline.everywhere(seen.append)
    pipeline.take_in()
    assert seen == INTAKE
    pipeline.everywhere(lambda _: None)
    pipeline.predict()
    seen.clear()
    pipeline.place.before = seen.append
    pipeline.write_results()
    assert seen == RESULTS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(INTAKE)), ids=lambda number: f"{number}_{INTAKE[number]}")
class TestAKilledIntake:
    def test_makes_each_request_once(self, number: int, after: bool) -> None:
        pipeline = Pipeline(webhook=WEBHOOK_URL)
        event = pipeline.upload()
        pipeline.everywhere(Step(number, kill), after)
        assert pipeline.killed(pipeline.take_in)
        pipeline.predict()  # what it has sent runs meanwhile
        pipeline.events.put(event)
        pipeline.clock.advance(seconds=181)
        pipeline.work()
        assert pipeline.statuses() == dict.fromkeys(MODELS, "succeeded")
        assert [record.attempts for record in pipeline.requests()] == [1, 1, 1]
        assert [len(model.got) for model in pipeline.models.values()] == [1, 1, 1]
        assert len(pipeline.hooks.receiver.got) == 1
        assert {pipeline.document(model)["status"] for model in MODELS} == {"succeeded"}

    def test_that_the_sweeper_sees_first_makes_each_request_once(self, number: int, after: bool) -> None:
        """The event comes back so late that the sweeper has ended requests without a message."""
        pipeline = Pipeline()
        pipeline.upload()
        pipeline.everywhere(Step(number, kill), after)
        assert pipeline.killed(pipeline.take_in)
        while pipeline.queue.messages:
            pipeline.predict()
        for _ in range(3):
            pipeline.sweep()
        pipeline.work()
        assert pipeline.statuses() == dict.fromkeys(MODELS, "succeeded")
        assert [len(model.got) for model in pipeline.models.values()] == [1, 1, 1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(RESULTS)), ids=lambda number: f"{number}_{RESULTS[number]}")
def test_a_killed_results_function_writes_all(number: int, after: bool) -> None:
    pipeline = Pipeline()
    pipeline.upload()
    pipeline.take_in()
    pipeline.predict()
    setattr(pipeline.place, "after" if after else "before", Step(number, kill))
    assert pipeline.killed(pipeline.write_results)
    pipeline.place.before = pipeline.place.after = lambda _: None
    for key in pipeline.place.objects:
        if key[1].endswith(".json"):
            document = json.loads(pipeline.place.objects[key][0])
            assert all((RESULTS_BUCKET, file["key"]) in pipeline.place.objects for file in document["files"])
    pipeline.write_results()
    first = dict(pipeline.place.objects)
    pipeline._streamed = 0
    pipeline.write_results()
    assert pipeline.place.objects == first, "the same once more"
    assert len(first) == 6


def run(objects: int, twice: int, crashes: int, seed: int) -> tuple[Pipeline, Counter[str]]:
    """Objects, events of some of which come twice, while the intake is killed at random steps. Returns the counts."""
    chance = random.Random(seed)
    pipeline = Pipeline(webhook=WEBHOOK_URL)
    counted: Counter[str] = Counter()
    events = [pipeline.upload(f"in/{number}.png", f"object {number}".encode()) for number in range(objects)]
    for event in chance.sample(events, twice):
        pipeline.events.put(event)
    for _ in range(crashes * 20):
        if counted["killed"] == crashes:
            break
        step = Step(chance.randrange(len(INTAKE) * 2), kill)
        pipeline.everywhere(step, after=chance.random() < 0.5)
        most = chance.randint(1, 5)
        counted["killed"] += pipeline.killed(lambda most=most: pipeline.take_in(most))
        pipeline.predict()
        pipeline.clock.advance(seconds=chance.randint(1, 60))
    pipeline.work(rounds=200)
    counted["parents"] = len(pipeline.parents())
    counted["requests"] = len(pipeline.requests())
    counted["attempts"] = sum(record.attempts for record in pipeline.requests())
    counted["predictions"] = sum(len(model.got) for model in pipeline.models.values())
    counted["succeeded"] = sum(record.status == "succeeded" for record in pipeline.requests())
    counted["webhooks"] = len(pipeline.hooks.receiver.got)
    counted["documents"] = sum(key.endswith(".json") for _, key in pipeline.place.objects)
    counted["dead letters"] = len(pipeline.dead_letters.messages)
    return pipeline, counted


def test_the_table_of_objects_events_and_crashes() -> None:
    rows = [run(OBJECTS, TWICE, CRASHES, seed)[1] for seed in range(5)]
    names = ["killed", "parents", "requests", "attempts", "predictions", "succeeded", "webhooks", "documents"]
    print(f"\n{OBJECTS} objects x {len(MODELS)} models, {TWICE} events twice, {CRASHES} crashes\n")
    print("| seed | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for seed, counted in enumerate(rows):
        print(f"| {seed} | " + " | ".join(str(counted[name]) for name in names) + " |")
        assert counted["killed"] == CRASHES
        assert counted["parents"] == counted["webhooks"] == OBJECTS
        assert counted["dead letters"] == 0
        each = {counted[name] for name in ("requests", "attempts", "predictions", "succeeded", "documents")}
        assert each == {OBJECTS * len(MODELS)}

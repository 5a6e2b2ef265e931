"""The request's way: client, HTTP API, api function, table, queue, mapping, worker, outcome."""

from __future__ import annotations

import random
from collections.abc import Generator
from itertools import accumulate, chain, islice
from typing import Any

import simpy

from async_inference_client._pauses import FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, SPREAD
from inference.store.request_table import SHARDS
from scripts.simulate.buckets import WINDOW_SECONDS, Bucket
from scripts.simulate.functions import Account, Function
from scripts.simulate.limits import Limits
from scripts.simulate.mapping import Batch, Mapping, Request
from scripts.simulate.runs import POLL_SECONDS, SAMPLE_SECONDS, Arrivals, Faults, Run, Start
from scripts.simulate.system import System
from scripts.simulate.table import Table
from worker.verdicts import UNAVAILABLE_RETRY_SECONDS


class Simulation:
    """One deployment and the requests that come to it.

    Args:
        system: the deployment. limits: of the account.
        arrivals: of requests.
        seed: everything random follows from it.
        faults: that happen.
        start: what is there at the start.
    """

    def __init__(
        self,
        system: System,
        limits: Limits,
        arrivals: Arrivals,
        seed: int = 1,
        faults: Faults | None = None,
        start: Start | None = None,
    ) -> None:
        self._system, self._limits, self._arrivals = system, limits, arrivals
        self._faults, start = faults or Faults(), start or Start()
        self._rng = rng = random.Random(seed)
        self._factor = system.run.spread.factors(rng)
        self._model_factor = system.run.spread.of_requests(rng)
        submits = iter(arrivals.times)
        first = list(islice(submits, 1))
        began = min([arrivals.counted[0], *first])
        self._submits = chain(first, submits)
        self._env = env = simpy.Environment(initial_time=began)
        settings = system.settings
        self._account_gateway = Bucket(limits.gateway_rate, limits.gateway_burst)
        self._routes = {name: Bucket(settings.rate, settings.burst) for name in ("submit", "status")}
        self._account = Account(limits.concurrency)
        kept = {"keep_seconds": limits.keep_seconds, "new_environments": limits.new_environments, "now": began}
        self._api = Function(
            self._account,
            system.api_init_seconds + limits.placement_seconds,
            provisioned=system.api_provisioned,
            warm=start.api,
            **kept,
        )
        self._worker = Function(
            self._account,
            system.worker_init_seconds + limits.placement_seconds,
            provisioned=system.provisioned,
            warm=start.worker,
            **kept,
        )
        self._table = Table(limits, listed=system.listed, callers=arrivals.callers, used_before=start.writes)
        self._mapping = Mapping(
            env,
            system.worker,
            limits,
            most_receives=settings.max_receive_count,
            hidden_seconds=settings.visibility_seconds,
            invoke=self._invoke,
            ended=self._batch_ended,
            dead=self._dead,
            pollers=start.pollers,
            rng=rng,
        )
        self._run = Run(seconds=arrivals.counted[1] - arrivals.counted[0])
        self._open = self._open_counted = 0
        self._changed = began
        self._began = began
        self._all_sent = False
        self._done = env.event()

    @property
    def messages_left(self) -> int:
        """Messages that are in the queue, received or not."""
        return self._mapping.in_flight + len(self._mapping.waiting)

    def run(self) -> Run:
        """Let it happen, until each request has ended."""
        self._env.process(self._send())
        self._env.process(self._tick())
        self._env.run(until=self._done)
        run, mapping = self._run, self._mapping
        run.span = self._env.now - self._began
        run.fill = mapping.delivered / mapping.batches if mapping.batches else 1.0
        run.cold = self._worker.cold_starts / max(1, self._worker.invocations)
        run.api_cold = self._api.cold_starts / max(1, self._api.invocations)
        run.refused["account's concurrency"] = self._account.refused
        run.asked = self._what_was_asked()
        return run

    # From the client to the queue

    def _send(self) -> Generator[simpy.Event, Any, None]:
        env, arrivals, rng = self._env, self._arrivals, self._rng
        counted_from, counted_to = arrivals.counted
        for at in self._submits:
            if at >= counted_to and not self._open_counted:
                break
            if at > env.now:
                yield env.timeout(at - env.now)
            request = Request(
                at, counted_from <= at < counted_to, rng.randrange(len(SHARDS)), rng.randrange(arrivals.callers)
            )
            self._change(1)
            self._run.total += 1
            self._run.requests += request.counted
            self._open_counted += request.counted
            self._submit(request)
            for number in range(1, arrivals.polls + 1):
                pause = POLL_SECONDS * number * rng.uniform(1, SPREAD)
                env.timeout(pause).callbacks.append(self._ask)
        self._all_sent = True
        self._look_whether_done()

    def _submit(self, request: Request) -> None:
        now = self._env.now
        if not self._through("submit"):
            self._repeat(request)
            return
        waited = self._table.submit(now, request.shard, request.caller)
        end = self._api.start(now, self._system.submit_seconds * self._factor() + (waited or 0.0))
        if waited is None:
            self._run.refused["table"] += 1
        if end is None or waited is None:
            self._repeat(request)
        else:
            self._env.timeout(end - now, request).callbacks.append(self._accepted)

    def _ask(self, _: simpy.Event) -> None:
        if self._through("status"):
            self._api.start(self._env.now, self._system.status_seconds * self._factor())

    def _through(self, route: str) -> bool:
        """Whether API Gateway lets a call pass."""
        now = self._env.now
        if not self._routes[route].take(now):
            self._run.refused["throttling"] += 1
            return False
        if not self._account_gateway.take(now):
            self._run.refused["API Gateway's quota"] += 1
            return False
        return True

    def _repeat(self, request: Request) -> None:
        """As the Python client: after a pause that doubles, for so long."""
        request.tries += 1
        longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(request.tries - 1, 16), LONGEST_BACKOFF_SECONDS)
        pause = self._rng.uniform(longest / 2, longest)
        if self._env.now + pause - request.submitted > self._arrivals.client_seconds:
            self._end(request, "rejected")
        else:
            self._env.timeout(pause, request).callbacks.append(lambda event: self._submit(event.value))

    def _accepted(self, event: Any) -> None:
        self._mapping.offer(event.value)

    # From the queue to the outcome

    def _invoke(self, batch: Batch) -> float | None:
        now, system = self._env.now, self._system
        waited = self._table.work(now, [request.shard for request in batch.requests])
        count = len(batch.requests)
        own = sum(self._model_factor() for _ in range(count))
        seconds = system.run.fixed[count] * self._factor() + system.run.each * own + (waited or 0.0)
        timeout = system.worker.function.timeout_seconds
        lost = seconds > timeout
        if self._faults.crashes and self._rng.random() < self._faults.crashes:
            lost, seconds = True, seconds * self._rng.random()
        end = self._worker.start(now, min(seconds, timeout), lost=lost)
        if end is None:
            return None
        if waited is None:
            self._run.refused["table"] += 1
        batch.unwritten, batch.lost = waited is None, lost
        return end - now

    def _batch_ended(self, batch: Batch) -> None:
        now, settings = self._env.now, self._system.settings
        for request in batch.requests:
            if batch.lost:
                request.attempts += 1
                self._mapping.show_after(request, max(0.0, batch.received + settings.visibility_seconds - now))
            elif batch.unwritten:
                self._mapping.show_after(request, UNAVAILABLE_RETRY_SECONDS)
            else:
                self._outcome(request)

    def _outcome(self, request: Request) -> None:
        settings = self._system.settings
        given_up = request.attempts >= settings.max_attempts
        request.attempts += 1
        if given_up:
            end = "failed"
        elif self._env.now - request.submitted > settings.deadline_seconds:
            end = "expired"
        elif self._faults.errors and self._rng.random() < self._faults.errors:
            if request.attempts < settings.max_attempts:
                self._mapping.show_after(request, settings.retry.after(request.attempts))
                return
            end = "failed"
        else:
            end = "succeeded"
        self._mapping.delete()
        self._end(request, end)

    def _dead(self, request: Request) -> None:
        self._end(request, "failed")

    def _end(self, request: Request, how: str) -> None:
        self._change(-1)
        seconds = self._env.now - request.submitted
        self._run.total_seconds += seconds
        if request.counted:
            self._open_counted -= 1
            self._run.ends[how] += 1
            if how in ("succeeded", "failed"):
                self._run.latencies.append(seconds)
        self._look_whether_done()

    # What is seen

    def _change(self, by: int) -> None:
        """One more request is open, or one less."""
        now = self._env.now
        self._run.area += self._open * (now - self._changed)
        self._changed = now
        self._open += by

    def _look_whether_done(self) -> None:
        if self._all_sent and not self._open and not self._done.triggered:
            self._done.succeed()

    def _tick(self) -> Generator[simpy.Event, Any, None]:
        env, mapping, samples = self._env, self._mapping, self._run.samples
        counted_from, counted_to = self._arrivals.counted
        while True:
            yield env.timeout(SAMPLE_SECONDS)
            mapping.scale()
            if counted_from <= env.now and (env.now <= counted_to or self._open_counted):
                running = self._worker.running(env.now), self._api.running(env.now)
                samples.append((env.now, *running, mapping.pollers, len(mapping.waiting)))

    def _what_was_asked(self) -> dict[str, tuple[float, float]]:
        settings, limits, mapping = self._system.settings, self._limits, self._mapping
        asked = {
            "throttling": (max(route.busiest for route in self._routes.values()), settings.rate),
            "API Gateway's quota": (self._account_gateway.busiest, limits.gateway_rate),
            "account's concurrency": (self._busiest(1, 2), float(limits.concurrency)),
            "maximum_concurrency": (self._busiest(1), float(mapping.cap)),
            "messages in flight": (float(mapping.most_in_flight), float(limits.in_flight)),
            "table": (self._table.records.busiest, self._table.records.rate),
            "table's quota": (self._table.records.busiest, limits.most_table_writes),
            "index of open requests": (max(b.busiest for b in self._table.shards), limits.partition_writes),
        }
        if self._table.callers:
            asked["index of callers"] = (max(b.busiest for b in self._table.callers), limits.partition_writes)
        return asked

    def _busiest(self, *columns: int) -> float:
        """The highest mean of these columns of the samples over WINDOW_SECONDS."""
        length = round(WINDOW_SECONDS / SAMPLE_SECONDS)
        counts = [sum(sample[column] for column in columns) for sample in self._run.samples]
        if not counts:
            return 0.0
        length = min(length, len(counts))
        sums = [0, *accumulate(counts)]
        return max(after - before for before, after in zip(sums, sums[length:], strict=False)) / length

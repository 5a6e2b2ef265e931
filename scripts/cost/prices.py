"""The prices of prices.json, and what a month's usage costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("prices.json")

DAYS_PER_MONTH = 30
HOURS_PER_MONTH = 24 * DAYS_PER_MONTH
SECONDS_PER_MONTH = 3600 * HOURS_PER_MONTH


class Line(NamedTuple):
    """Some usage.

    Attributes:
        component: what uses it, as the bill names it.
        item: what is used, as the price file names it.
        quantity: in the item's unit, which its name says.
    """

    component: str
    item: str
    quantity: float


@dataclass(frozen=True)
class Item:
    """A price in dollars for each unit; `tiers` are (units from which on, price), rising; `free` units a month cost
    nothing under AWS's free tier that does not end."""

    price: float
    tiers: tuple[tuple[float, float], ...] = ()
    free: float = 0

    def dollars(self, quantity: float) -> float:
        """What so many units in one month cost."""
        steps = [(0.0, self.price), *self.tiers]
        ends = [start for start, _ in steps[1:]] + [float("inf")]
        return sum(
            price * max(0.0, min(quantity, end) - start) for (start, price), end in zip(steps, ends, strict=True)
        )


@dataclass(frozen=True)
class Machine:
    """An instance that is paid by the hour."""

    name: str
    vcpus: int
    memory_gb: float
    per_hour: float

    @property
    def per_month(self) -> float:
        """Dollars for a month."""
        return self.per_hour * HOURS_PER_MONTH


@dataclass(frozen=True)
class GpuMachine(Machine):
    """An instance with one GPU."""

    gpu: str = ""


@dataclass(frozen=True)
class GpuPlatform:
    """A platform that bills GPUs by the second.

    Attributes:
        source: its page of prices.
        per_second: GPU -> dollars.
        vcpu_second, gb_second: dollars beside that; 0 where they are in the GPU's price.
        start_seconds: what a start bills before the model's load begins.
        idle_seconds: for how long it is billed after the last request, by default.
        alone: it takes the requests itself, with a queue of its own: this stack is not in front.
    """

    name: str
    source: str
    per_second: Mapping[str, float]
    vcpu_second: float = 0.0
    gb_second: float = 0.0
    start_seconds: float = 0.0
    idle_seconds: float = 0.0
    alone: bool = False


@dataclass(frozen=True)
class GpuPrices:
    """What GPUs cost: by the second, by `backend` kind or platform, and by the hour. memory_gb: GPU -> its memory."""

    memory_gb: Mapping[str, float] = field(default_factory=dict)
    platforms: Mapping[str, GpuPlatform] = field(default_factory=dict)
    instances: tuple[GpuMachine, ...] = ()


@dataclass(frozen=True)
class Prices:
    """The price file."""

    region: str
    date: str
    source: str
    items: Mapping[str, Item]
    instance: Machine
    sagemaker: Machine
    unconfirmed: Mapping[str, str] = field(default_factory=dict)
    larger_instances: tuple[Machine, ...] = ()
    gpu: GpuPrices = field(default_factory=GpuPrices)

    def instance_of(self, memory_gb: float) -> Machine | None:
        """The instance that costs least of those with so much memory; None: the price file has none."""
        enough = [found for found in (self.instance, *self.larger_instances) if found.memory_gb >= memory_gb]
        return min(enough, key=lambda found: found.per_hour, default=None)

    def bill(self, lines: Iterable[Line], *, free_tier: bool = False) -> dict[str, float]:
        """Component -> dollars a month. Tiers and free units count for an item as a whole; its components share them.

        Raises:
            KeyError: an item has no price.
        """
        kept = list(lines)
        used: dict[str, float] = {}
        for line in kept:
            used[line.item] = used.get(line.item, 0.0) + line.quantity
        mean = {}
        for item, quantity in used.items():
            price = self.items[item]
            paid = max(0.0, quantity - price.free) if free_tier else quantity
            mean[item] = price.dollars(paid) / quantity if quantity else 0.0
        bill: dict[str, float] = {}
        for line in kept:
            bill[line.component] = bill.get(line.component, 0.0) + line.quantity * mean[line.item]
        return bill


def load(path: Path = FILE) -> Prices:
    """Read the price file."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    items = {
        name: Item(item["price"], tuple((start, price) for start, price in item.get("tiers", ())), item.get("free", 0))
        for name, item in raw.pop("items").items()
    }
    instance, sagemaker = Machine(**raw.pop("instance")), Machine(**raw.pop("sagemaker"))
    gpu = raw.pop("gpu")
    gpus = GpuPrices(
        gpu["memory_gb"],
        {key: GpuPlatform(**platform) for key, platform in gpu["platforms"].items()},
        tuple(GpuMachine(**machine) for machine in gpu["instances"]),
    )
    larger = tuple(Machine(**machine) for machine in raw.pop("larger_instances"))
    return Prices(items=items, instance=instance, sagemaker=sagemaker, larger_instances=larger, gpu=gpus, **raw)

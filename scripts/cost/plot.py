"""The month's bill over the traffic, as a picture; where matplotlib is not installed there is none."""

from __future__ import annotations

from pathlib import Path

from scripts.cost.report import Estimate

FROM, TO, POINTS = 2.0, 8.0, 121  # powers of ten of requests a day


def draw(estimate: Estimate, environment: str, path: Path) -> bool:
    """Draw into `path`, whose suffix says the format. False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5))
    traffic = [10 ** (FROM + (TO - FROM) * point / (POINTS - 1)) for point in range(POINTS)]
    axes.plot(traffic, [estimate.total(per_day) for per_day in traffic], label=environment, linewidth=2.5)
    cheaper = estimate.cheaper()
    sides = (("left", (8, -14)), ("right", (-8, 8)))  # of the labels: below and above the curve
    for (name, of), (side, offset) in zip(estimate.alternatives().items(), sides, strict=True):
        (line,) = axes.plot(traffic, [of(per_day) for per_day in traffic], "--", label=name)
        for found in (edge for ends in cheaper[name] for edge in ends if edge and 10**FROM <= edge <= 10**TO):
            axes.plot([found], [estimate.total(found)], "o", color=line.get_color())
            axes.annotate(
                f"{found:,.0f} a day",
                (found, estimate.total(found)),
                xytext=offset,
                textcoords="offset points",
                ha=side,
                color=line.get_color(),
            )
    idle = estimate.total(0)
    axes.axhline(idle, color="grey", linewidth=0.8, linestyle=":")
    axes.annotate(
        f"idle: ${idle:,.2f}", (10**TO, idle), xytext=(0, 4), textcoords="offset points", ha="right", color="grey"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("requests a day")
    axes.set_ylabel("dollars a month")
    count = len(estimate.deployment.models)
    models = "1 model" if count == 1 else f"{count} models"
    axes.set_title(
        f"{environment}, {models}: prices of {estimate.prices.date}, {estimate.prices.region}, without the free tier"
    )
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True

"""What an account's Lambda quotas mean for an environment: said before an apply fails, or messages are throttled."""

from scripts.deployment.environment_config import EnvironmentConfig

NEW_ACCOUNT_CONCURRENCY = 100
"""A new account may have 10 concurrent executions; the usual quota is 1,000."""

NEW_ACCOUNT_MEMORY_MB = 3008
"""A new account may reject more for a function. No API says whether it does."""

UNRESERVED = 10
"""At least so many stay for functions without reserved concurrency: Lambda rejects what leaves fewer (usually 100)."""

_RAISE = (
    "request more with `aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384"
    " --desired-value 1000`"
)


def problems(config: EnvironmentConfig, concurrency: int) -> list[str]:
    """What Lambda will reject, with remedies.

    Args:
        concurrency: the account's concurrent executions.
    """
    kept = {
        name: max(worker.reserved_concurrency, worker.provisioned_concurrency) for name, worker in config.limits.items()
    }
    names = ", ".join(f"{name} ({number})" for name, number in sorted(kept.items()) if number)
    if not names or sum(kept.values()) <= concurrency - UNRESERVED:
        return []
    return [
        f"reserved and provisioned concurrency of {names} need more than this account's {concurrency} executions, of "
        f"which at least {UNRESERVED} stay unreserved: set them lower, or {_RAISE}"
    ]


def warnings(config: EnvironmentConfig, concurrency: int) -> list[str]:
    """What may fail, or makes requests fail under load."""
    found = []
    allowed = sum(worker.maximum_concurrency for worker in config.limits.values())
    if allowed >= concurrency:
        found.append(
            f"this account runs {concurrency} functions at a time, and the workers' maximum_concurrency adds up to"
            f" {allowed}: keep the sum below it, with some left for the API, since throttled messages count as"
            f" received; or {_RAISE}"
        )
    large = sorted(name for name, worker in config.limits.items() if worker.memory_mb > NEW_ACCOUNT_MEMORY_MB)
    if large and concurrency < NEW_ACCOUNT_CONCURRENCY:
        sizes = ", ".join(f"{name} ({config.limits[name].memory_mb:,} MB)" for name in large)
        found.append(
            f"a new account may reject functions of more than {NEW_ACCOUNT_MEMORY_MB:,} MB, as {sizes}: the apply"
            " would fail with `MemorySize value failed to satisfy constraint`. Set memory_mb lower, or ask AWS Support"
        )
    return found

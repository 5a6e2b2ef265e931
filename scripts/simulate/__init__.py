"""How long requests take and what saturates first at so much traffic, by a discrete-event simulation of the deployment.

    limits.py       what AWS limits, and how fast it scales
    system.py       the deployment, as far as it decides how long a request takes: from its plan
    run_time.py     how long a worker takes for a batch
    arrivals.py     when requests come: steadily, through a day, in a burst
    buckets.py      rates: token buckets that also say how much was asked of them
    functions.py    execution environments, cold starts, and the account's concurrency
    table.py        DynamoDB's limits: of the table, of a partition, of the index's shards
    mapping.py      the event source mapping: how it scales, collects batches and invokes
    runs.py         what goes into a simulation, and what comes out
    simulation.py   the request's way through all of them
    windows.py      which part of a day is simulated, and how the parts make a day
    use.py          how full each resource is, and what to change
    fitting.py      the settings and quotas that some traffic needs
    best.py         the `models` entry that costs least of those that meet a target
    report.py       the tables
    plots.py        the pictures

Command line: python -m scripts.simulate. What is assumed, and what is left out: docs/scale.md.
"""

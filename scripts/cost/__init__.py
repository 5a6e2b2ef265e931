"""What a deployment costs a month, before it is deployed: from its plan, the traffic, and one dated file of prices.

    prices.py        prices.json, with tiers and AWS's free tier
    requests.py      what a million requests use, item by item; the bench has its bill from here too
    measured.json    how long functions take and what they log, from a run of the bench
    deployment.py    what a plan deploys, as far as it costs something
    demand.py        what each worker has to do, at so many requests a day
    idle.py          what is used while nobody calls
    usage.py         what all of it uses in a month
    dispatch.py      what a dispatcher uses for a request at a GPU provider
    synchronous.py   what calls of a synchronous function use
    capacity.py      Little's law: concurrency, and `maximum_concurrency` for a wait
    alternatives.py  an instance that is always on, and a SageMaker asynchronous endpoint
    gpu.py           GPUs that are billed by the second, behind this stack, and one that is always on

Command line: python -m scripts.cost. What is assumed, and what is left out: docs/cost.md.
"""

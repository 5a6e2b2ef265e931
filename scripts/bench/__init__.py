"""`make bench`: what the worker and the api function cost and how soon they start, beside what one would use instead.

    python -m scripts.bench [--quick] [--only worker,cold,encoder,api,sync,e2e,cost]

    worker   CPU and rate of the real worker handler at batch 1, 10, 25; the reference worker, Celery, Mosec beside it
    cold     process start to first result, and memory, under the real Lambda runtime client
    encoder  CPU, start, memory and agreement of a sentence encoder, beside the reference, other servers and a bare loop
    api      CPU, start and memory of the api function, against the reference handler
    sync     the synchronous function, against the reference document's own app: start, and CPU of a call
    e2e      latency and throughput through the emulator, next to the emulator's own floor
    cost     dollars per million requests at those durations; without a fresh run it reads the last results

Results go to build/bench/: results.json, report.txt (the tables, as in the terminal) and one PNG per part. How each
number is made and what it does not say: docs/benchmarks.md. The files:

    plan, stats          how long to measure; median and quartiles
    processes            processes on a core of their own: CPU, memory, a line of JSON in and out
    contestants          who can be measured with requests
    functions            a handler under the real runtime client
    packages             the contestants' packages, made by scripts.packaging.package and unpacked as Lambda would
    traffic              texts and the events that carry them
    fake_aws          DynamoDB and SQS in memory: answers at once, counts the calls
    runtime_api          Lambda's Runtime API, for the real runtime client
    driver               feeds a handler inside its own process
    reference_*          the reference document's worker, handler and app, made to run
    celery_*             what a user would pick instead: a task queue
    http_servers         and servers with batching, whose apps are *_app; peer_model is the model in them
    encoder/             a model folder, which is measured only; encoder_* exports it and makes its packages
    sections, floor      what a worker spends its CPU for; what its model takes alone
    agreement            how near two encoders' vectors are
    *_bench              one part each
    cost                 what the bill needs beside scripts/cost: sizes of records, the price of a start
    show, report, plots  the targets, the tables, the pictures
"""

"""The queue-driven worker: takes batches of requests, runs one model, writes the outcomes."""

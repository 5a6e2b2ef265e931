"""What is sent: texts, and the events that carry them.

Every text is new, so that a cache of texts does not help. The demo model's are made up: words have the frequencies of a
language (Zipf's law over 20,000 words), so that a cache of common words helps as much as in reality. The encoder's are
passages of Python's own manual, so that what its tokenizer and its neighbours see is English.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import pydoc_data.topics
import random
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

VOCABULARY = 20_000
SHORTEST, LONGEST = 4, 30  # words; 17 on average, as in a tweet
PASSAGE_WORDS, PASSAGE_SPREAD, LONGEST_PASSAGE = 20, 0.65, 150  # median; of the logarithm; at most
DEADLINE_MS = 86_400_000
MODEL = "sentiment"

_SYLLABLES = [c + v for c in "bcdfghjklmnprstvwz" for v in ("a", "e", "i", "o", "u", "an", "er", "in", "or")]


@lru_cache
def _language() -> tuple[list[str], list[float]]:
    dice = random.Random(43)
    words = ["".join(dice.choices(_SYLLABLES, k=dice.choice((1, 2, 2, 3, 3, 4)))) for _ in range(VOCABULARY)]
    return words, list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))


def texts(count: int, seed: int) -> list[str]:
    """`count` texts, the same for the same seed."""
    words, weights = _language()
    dice = random.Random(seed)
    total = weights[-1]

    def word() -> str:
        return words[bisect.bisect(weights, dice.random() * total, hi=VOCABULARY - 1)]

    return [" ".join(word() for _ in range(dice.randint(SHORTEST, LONGEST))) for _ in range(count)]


@lru_cache
def _manual() -> list[str]:
    """The words of Python's manual in their order, about 60,000."""
    return [word for topic in sorted(pydoc_data.topics.topics) for word in _words_of(topic)]


def _words_of(topic: str) -> list[str]:
    return re.findall(r"[A-Za-z]+", pydoc_data.topics.topics[topic])


def passages(count: int, seed: int) -> list[str]:
    """`count` different passages of English, the same for the same seed.

    Their lengths are log-normal: 20 words in the median, 47 in the 90th percentile, at most 150.
    """
    words, dice = _manual(), random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        length = min(max(round(dice.lognormvariate(math.log(PASSAGE_WORDS), PASSAGE_SPREAD)), 1), LONGEST_PASSAGE)
        start = dice.randrange(len(words) - length)
        found[" ".join(words[start : start + length])] = None
    return list(found)


@dataclass(frozen=True)
class Subject:
    """What a model is measured with.

    Attributes:
        model: its name, and that of its folder.
        texts: `count` texts for a seed.
        options: what an input has beside its text.
    """

    model: str
    texts: Callable[[int, int], list[str]]
    options: Mapping[str, Any]

    def item(self, text: str) -> dict[str, Any]:
        """The input, complete as the worker hands it to the model."""
        return {"text": text, **self.options}


SENTIMENT = Subject(MODEL, texts, {"threshold": 0.5})
ENCODER = Subject("encoder", passages, {})
SUBJECTS = {subject.model: subject for subject in (SENTIMENT, ENCODER)}


def sqs_event(bodies: Sequence[str]) -> dict[str, Any]:
    """One event of the event source mapping."""
    return {"Records": [_record(body) for body in bodies]}


def _record(body: str) -> dict[str, Any]:
    message_id = str(uuid.uuid4())
    return {
        "messageId": message_id,
        "receiptHandle": f"AQEB{message_id}",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1800000000012",
            "SenderId": "AROAEXAMPLE:bench-api",
            "ApproximateFirstReceiveTimestamp": "1800000000031",
        },
        "messageAttributes": {},
        "md5OfBody": "0" * 32,
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:bench-{MODEL}",
        "awsRegion": "us-east-1",
    }


def message_body(text: str, model: str = MODEL) -> str:
    """A message of this project (see `inference.requests.Message`)."""
    now = time.time_ns() // 1_000_000
    message = {
        "request_id": str(uuid.uuid4()),
        "model": model,
        "input": {"text": text},
        "submitted_at": now,
        "expires_at": now + DEADLINE_MS,
        "attempt_limit": 5,
    }
    return json.dumps(message, separators=(",", ":"))


def reference_body(text: str) -> str:
    """A message of the reference document's enqueue handler."""
    return json.dumps({"request_id": str(uuid.uuid4()), "payload": {"text": text}})


def submit_event(text: str) -> dict[str, Any]:
    """POST /predict as HTTP API hands it over (payload format 2.0)."""
    return _http_event("POST", "/predict", "POST /predict", body=json.dumps({"text": text}))


def status_event(request_id: str) -> dict[str, Any]:
    """GET /status/{request_id}."""
    event = _http_event("GET", f"/status/{request_id}", "GET /status/{request_id}")
    return event | {"pathParameters": {"request_id": request_id}}


def upload_event(content_type: str, size: int) -> dict[str, Any]:
    """POST /uploads, for a file of so many bytes."""
    body = json.dumps({"content_type": content_type, "bytes": size})
    return _http_event("POST", "/uploads", "POST /uploads", body=body)


def batch_event(items: Any) -> dict[str, Any]:
    """POST /batch; `items`: a list of inputs, or a reference to an upload."""
    return _http_event("POST", "/batch", "POST /batch", body=json.dumps({"items": items}))


def page_event(batch_id: str, query: str = "") -> dict[str, Any]:
    """GET /batches/{batch_id}, with a query such as `cursor=100&limit=100`."""
    event = _http_event("GET", f"/batches/{batch_id}", "GET /batches/{batch_id}")
    parameters = dict(pair.split("=") for pair in query.split("&")) if query else {}
    return event | {
        "pathParameters": {"batch_id": batch_id},
        "rawQueryString": query,
        "queryStringParameters": parameters,
    }


def _http_event(method: str, path: str, route: str, body: str | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-type": "application/json",
            "host": "bench0000.execute-api.us-east-1.amazonaws.com",
            "user-agent": "bench",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "bench0000",
            "domainName": "bench0000.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "bench",
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": route,
            "stage": "$default",
            "time": "24/Nov/2026:04:18:00 +0000",
            "timeEpoch": 1795493880000,
        },
        "isBase64Encoded": False,
    }
    return event if body is None else event | {"body": body}

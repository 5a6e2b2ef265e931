"""Send a text (or any input) to a model and print its result.

    python scripts/predict.py "I love this airline"
    cat texts.txt | python scripts/predict.py -
    python scripts/predict.py --resume 0123abcd

The request's id is printed at once on stderr: whatever happens to this command, --resume gets the result. One input
prints its result as JSON; `-` prints one JSON line per line of input, in their order, each with request_id, status,
result and error.
"""

import argparse
import json
import os
import re
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts.client import Client, NotFound, Sign, TimedOut
from scripts.console import Failure, note, run

OK, FAILED, USAGE, NOT_FOUND, TIMEOUT = 0, 1, 2, 3, 4
CONCURRENCY = 16

_EXIT_CODES = """\
exit codes:
  0  succeeded
  1  the request failed, was cancelled or expired
  2  usage, refused input, or the API is not reachable
  3  there is no such request
  4  not done in time (--timeout); it goes on: --resume
With -, the highest code of all lines."""


def main() -> int:
    """Command line of this module."""
    args = _parser().parse_args()
    client = _client(args)
    if args.resume:
        return _finish(_wait(client, args.resume, args.timeout))
    if args.text == "-":
        inputs = [{"text": line.rstrip("\r\n")} for line in sys.stdin if line.strip()]
        return _many(client, inputs, args.model, args.timeout)
    request_id = client.submit(_input(args), args.model)
    note(f"request {request_id}")
    return _finish(_wait(client, request_id, args.timeout))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predict",
        description=__doc__,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("text", nargs="?", help='sent as {"text": TEXT}; - reads one text per line from stdin')
    what.add_argument("--input", metavar="JSON", help="the whole input, for models that take something else")
    what.add_argument("--resume", metavar="ID", help="wait for a request that was sent before")
    parser.add_argument("--model", help="name of the model (default: the deployment's default model)")
    parser.add_argument("--url", default=os.environ.get("PREDICT_URL"), help="base URL (default: PREDICT_URL)")
    parser.add_argument("--env", default="local", help="without a URL: the deployed environment (default: local)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait (default: 120)")
    parser.add_argument("--sign", action="store_true", help="sign with AWS credentials, for an AWS_IAM authorizer")
    return parser


def _client(args: argparse.Namespace) -> Client:
    url = args.url
    if not url:
        from scripts.endpoint import base_url  # needs the repository's Terraform state; a URL needs nothing

        try:
            url = base_url(args.env)
        except Failure as failure:
            raise Failure(f"{failure} (or give --url)", USAGE) from failure
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise Failure(f"{url} is no http(s) URL: give --url https://...", USAGE)
    on_aws = (urllib.parse.urlsplit(url).hostname or "").endswith(".amazonaws.com")
    return Client(url, signer(url, required=args.sign) if args.sign or on_aws else None)


def signer(url: str, *, required: bool) -> Sign | None:
    """Signature version 4 with the caller's own AWS credentials; None when there are none and none are required."""
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import get_session
    except ImportError as error:
        if required:
            raise Failure("--sign needs botocore: run it with .venv/bin/python", USAGE) from error
        return None
    session = get_session()
    credentials = session.get_credentials()
    if credentials is None:
        if required:
            raise Failure("--sign found no AWS credentials: set AWS_PROFILE, or log in", USAGE)
        return None
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.", urllib.parse.urlsplit(url).hostname or "")
    region = named[1] if named else session.get_config_variable("region") or "us-east-1"

    def sign(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        request = AWSRequest(method, url, dict(headers), body)
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
        return dict(request.headers.items())

    return sign


def _input(args: argparse.Namespace) -> Any:
    if args.input is None:
        return {"text": args.text}
    try:
        return json.loads(args.input)
    except ValueError as error:
        raise Failure(f"--input is not JSON: {error}", USAGE) from error


def _wait(client: Client, request_id: str, seconds: float) -> Mapping[str, Any]:
    seen = {"status": "pending"}
    try:
        with _spinner(seen):
            return client.wait(request_id, seconds, lambda answer: seen.update(status=answer["status"]))
    except KeyboardInterrupt:
        note(f"it goes on: --resume {request_id}")
        raise


def _finish(answer: Mapping[str, Any]) -> int:
    if answer["status"] == "succeeded":
        print(json.dumps(answer["result"], ensure_ascii=False))
        return OK
    error = answer.get("error") or {}
    reason = f": {error.get('code')}: {error.get('message')}" if error else ""
    note(f"error: request {answer['request_id']} {answer['status']}{reason}")
    return FAILED


def _many(client: Client, inputs: Sequence[Any], model: str | None, seconds: float) -> int:
    """Send all inputs at once and print a line for each as soon as those before it are done."""

    def one(payload: Any) -> tuple[int, dict[str, Any]]:
        request_id = None
        try:
            request_id = client.submit(payload, model)
            note(f"request {request_id}")
            answer = client.wait(request_id, seconds)
        except Failure as failure:
            state = {NotFound: "unknown", TimedOut: "open"}.get(type(failure), "refused")
            error = {"message": str(failure)}
            return failure.code, {"request_id": request_id, "status": state, "result": None, "error": error}
        code = OK if answer["status"] == "succeeded" else FAILED
        return code, {key: answer.get(key) for key in ("request_id", "status", "result", "error")}

    worst = OK
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for code, line in pool.map(one, inputs):
            print(json.dumps(line, ensure_ascii=False), flush=True)
            worst = max(worst, code)
    return worst


@contextmanager
def _spinner(seen: Mapping[str, str]) -> Iterator[None]:
    """Show that something is going on, and for how long, on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    done = Event()
    started = time.monotonic()

    def turn() -> None:
        step = 0
        while not done.wait(0.1):
            step += 1
            mark = "|/-\\"[step % 4]
            sys.stderr.write(f"\r{mark} {seen['status']} {time.monotonic() - started:.1f} s ")
            sys.stderr.flush()
        sys.stderr.write("\r\033[K")

    thread = Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    run(main)

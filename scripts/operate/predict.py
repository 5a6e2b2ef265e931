"""Send a text (or any input) to a model and print its result.

    python scripts/operate/predict.py "I love this airline"
    python scripts/operate/predict.py --input @measurements.json --model mine
    cat texts.txt | python scripts/operate/predict.py -
    python scripts/operate/predict.py --file image=cat.png --model captions --save results
    python scripts/operate/predict.py --inputs measurements.jsonl --model mine
    python scripts/operate/predict.py --inputs pictures.jsonl --file image --model captions
    python scripts/operate/predict.py --resume 0123abcd

The request's id is printed at once on stderr: if this command is interrupted, --resume gets the result. One input
prints its result as JSON; many print one JSON line each, in their order, with index (from 0), request_id, status,
result and error. All are sent before the results are waited for, and their ids are in a journal, whose name is printed
first: after Ctrl-C, a crash or a timeout, --resume JOURNAL sends the inputs that were not sent and prints all results.

A file of an input is uploaded, and stands in the input by its reference. With --inputs each line has a path there, such
as {"image": "cat.png"}. Files of a result are written with --save.
"""

import argparse
import asyncio
import json
import os
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from async_inference_client import AsyncClient, Request
from async_inference_client.auth import region_in
from async_inference_client.errors import InferenceError
from scripts.console import CommandError, argument_text, as_json, note, run
from scripts.operate.connection import FAILED, KEY, TOKEN, USAGE, credential, explain, signer
from scripts.operate.predict_files import check_paths, parse, parse_place, save, with_uploads
from scripts.operate.predict_journal import Journal
from scripts.operate.predict_many import run_all

OK = 0

WAIT_SECONDS = 2
"""For so long the API may wait with an answer: the result comes at once, and what a terminal shows is not older."""

_MORE = f"""\
An API key in {KEY} is sent, for an API_KEY authorizer; a bearer token in {TOKEN}, for a JWT authorizer.

exit codes:
  0  succeeded
  1  the request failed, was cancelled or expired
  2  usage, rejected input, or the API is not reachable
  3  there is no such request
  4  not done in time (--timeout); it continues: use --resume
With many inputs, the highest code of all lines."""


def main() -> int:
    """Command line of this module."""
    args = _arguments()
    open_client = _opener(args)
    if args.resume and Path(args.resume).is_file():
        return asyncio.run(_many(open_client, args, None))
    if args.resume or (args.text != "-" and not args.inputs):
        value = None if args.resume else _input(args)
        return asyncio.run(_one(open_client, args, value))
    inputs = list(_inputs(args))
    if not inputs:
        note("no input, nothing to do")
        return OK
    return asyncio.run(_many(open_client, args, inputs))


async def _one(open_client: Callable[..., AsyncClient], args: argparse.Namespace, value: Any) -> int:
    async with open_client(wait_seconds=WAIT_SECONDS) as client:
        try:
            if args.file:
                value = await with_uploads(client, value, args.file)
            request_id = args.resume or await _submit(client, value, args.model)
            return await _finish(client, await _wait(client, request_id, args.timeout), args.save)
        except InferenceError as error:
            raise explain(error) from error


async def _many(open_client: Callable[..., AsyncClient], args: argparse.Namespace, inputs: list[Any] | None) -> int:
    async with open_client(wait_seconds=0) as client:  # waiting calls would take the concurrency that the workers need
        if inputs is None:
            journal = Journal.read(Path(args.resume), client.base_url)
        else:
            journal = Journal.begin(inputs, args.model, client.base_url, places=args.places)
            inputs.clear()  # accepted inputs are kept in the file only
        return await run_all(client, journal, args.timeout, args.save)


async def _submit(client: AsyncClient, value: Any, model: str | None) -> str:
    request_id = (await client.submit(value, model=model)).request_id
    note(f"request {request_id}")
    return request_id


def _arguments() -> argparse.Namespace:
    parser = _parser()
    args = parser.parse_args()
    many = args.text == "-" or args.inputs or args.resume
    if args.file and many and not args.inputs:
        parser.error("--file is for one input, or for --inputs")
    if not (args.file or many or args.text is not None or args.input is not None):
        parser.error("one of TEXT, --input, --inputs, --file and --resume is needed")
    args.places = [parse_place(argument) for argument in args.file] if args.inputs else []
    args.file = [] if args.inputs else [parse(argument) for argument in args.file]
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predict",
        description=__doc__,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("text", nargs="?", help='sent as {"text": TEXT}; - reads one text per line from stdin')
    what.add_argument("--input", metavar="JSON", help="the whole input, for models that take something else; or @FILE")
    what.add_argument("--inputs", metavar="FILE", help="JSON lines, one whole input each; - reads stdin")
    what.add_argument("--resume", metavar="ID", help="wait for a request that was sent before, or finish a journal")
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PLACE=PATH",
        help="upload a file that stands at this place of the input, such as image=cat.png, document.image=cat.png or"
        " pages[]=page-1.png; with --inputs PLACE alone, where each line has the path of a file; can be repeated",
    )
    parser.add_argument("--save", metavar="FOLDER", type=Path, help="write the files of results to this folder")
    parser.add_argument("--model", help="name of the model (default: the deployment's default model)")
    parser.add_argument("--url", default=os.environ.get("PREDICT_URL"), help="base URL (default: PREDICT_URL)")
    parser.add_argument("--env", default="local", help="without a URL: the deployed environment (default: local)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        help="seconds to wait (default: 120); with many inputs, since the last one that was done",
    )
    parser.add_argument("--region", help="region to sign for, where the host names none (default: the deployment's)")
    parser.add_argument("--sign", action="store_true", help="sign with AWS credentials, for an AWS_IAM authorizer")
    return parser


def _opener(args: argparse.Namespace) -> Callable[..., AsyncClient]:
    """Makes the client, in the event loop that uses it."""
    url, region, on_aws = args.url, args.region, False
    if not url:
        from scripts.deployment import aws_session, terraform
        from scripts.operate import endpoint  # they need Terraform's state; a URL does not

        try:
            url = endpoint.base_url(args.env)
            on_aws = args.env != terraform.LOCAL
            if on_aws and not region:  # a custom domain does not contain it
                region = aws_session.region_of(terraform.outputs(args.env))
        except CommandError as failure:
            raise CommandError(f"{failure} (or give --url)", USAGE) from failure
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise CommandError(f"{url} is not an http(s) URL: give --url https://...", USAGE)
    signs = args.sign or on_aws or region_in(url)
    auth = None if args.sign else credential()
    if auth is None and signs:
        auth = signer(required=args.sign, region=region)
    return partial(AsyncClient, url, auth=auth)


def _input(args: argparse.Namespace) -> Any:
    if args.input is None and args.text is None:
        return {}
    if args.input is None:
        return {"text": argument_text(args.text)}
    text = Path(args.input[1:]).read_text(encoding="utf-8") if args.input.startswith("@") else argument_text(args.input)
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"--input is not JSON: {error}", USAGE) from error


def _inputs(args: argparse.Namespace) -> Iterator[Any]:
    text = sys.stdin.read() if args.inputs in (None, "-") else Path(args.inputs).read_text(encoding="utf-8")
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() also splits at U+2028 and others inside a text
        if not line.strip():
            continue
        if args.inputs is None:
            yield {"text": line.rstrip("\r")}
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise CommandError(
                f"line {number} of {args.inputs} is not JSON, so nothing was sent: {error}", USAGE
            ) from error
        check_paths(value, args.places, f"line {number} of {args.inputs}")
        yield value


async def _wait(client: AsyncClient, request_id: str, seconds: float) -> Request:
    try:
        if not sys.stderr.isatty():
            return await client.wait(request_id, timeout=seconds)
        return await _wait_on_terminal(client, request_id, seconds)
    except asyncio.CancelledError:
        note(f"the request continues; get its result with --resume {request_id}")
        raise


async def _wait_on_terminal(client: AsyncClient, request_id: str, seconds: float) -> Request:
    """Wait, and show the status and how long it takes so far."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("pending")
        return await client.wait(
            request_id, timeout=seconds, on_status=lambda request: shown.update(task, description=request.status)
        )


async def _finish(client: AsyncClient, request: Request, folder: Path | None) -> int:
    if request.status == "succeeded":
        print(as_json(await client.result(request)))
        if folder:
            for path in await save(client, request, folder):
                note(f"saved {path}")
        elif request.files and not request.whole_result:
            note(
                f"the result has {len(request.files)} files; to save them: --resume {request.request_id} --save FOLDER"
            )
        return OK
    reason = f": {request.error.code}: {request.error.message}" if request.error else ""
    note(f"error: request {request.request_id} {request.status}{reason}")
    return FAILED


if __name__ == "__main__":
    run(main)

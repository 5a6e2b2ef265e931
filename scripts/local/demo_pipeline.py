"""Show an event-driven pipeline working: pictures that are put into a bucket become thumbnails and labels.

    python -m scripts.local.demo_pipeline

The environment local is applied with two models and a trigger more. They are said in an override file, which is there
for the time of the apply only: the environment's own file stays as it is, and the next `make up` takes them away again.
"""

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from async_inference_client import Client, Request
from async_inference_client.errors import UnknownRequest
from scripts.console import BUILD, CommandError, note, run
from scripts.deployment import aws_session, terraform
from scripts.deployment.apply import apply
from scripts.local.demo import PLAIN_WIDTH
from scripts.local.pipeline_pictures import PICTURES
from scripts.operate.endpoint import base_url

OUT = BUILD / "demo-pipeline"
OVERRIDE = "pipeline_override.tf.json"
TRIGGER = "pictures"
TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.5

SETTINGS: Mapping[str, Any] = {
    "models": {
        "sentiment": {"timeout_seconds": 15, "maximum_concurrency": 2},
        "thumbnail": {"timeout_seconds": 15, "maximum_concurrency": 2},
        "shapes": {"timeout_seconds": 15, "maximum_concurrency": 2},
    },
    "triggers": {
        TRIGGER: {
            "prefix": "in/",
            "suffix": ".png",
            "models": ["thumbnail", "shapes"],
            "input": {"thumbnail": {"size": 160}},
            "results": {"prefix": "out/"},
        }
    },
}


@contextmanager
def overridden(folder: Path) -> Iterator[None]:
    """The environment with these settings, within the block."""
    path = folder / OVERRIDE
    path.write_text(json.dumps({"module": {"stack": SETTINGS}}, indent=2) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def found_within(what: str, look: Callable[[], Any]) -> Any:
    """What `look` returns, once it returns something.

    Raises:
        CommandError: it did not within the time.
    """
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(POLL_SECONDS)
    raise CommandError(f"{what} did not come within {TIMEOUT_SECONDS:.0f} s: `make logs` shows why")


class Bucket:
    """The bucket of the trigger, as its user sees it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def put(self, key: str, content: bytes) -> None:
        """Write a picture."""
        self._client.put_object(Bucket=self.name, Key=key, Body=content, ContentType="image/png")

    def read(self, key: str) -> bytes | None:
        """The content of an object; None: there is none."""
        listed = self._client.list_objects_v2(Bucket=self.name, Prefix=key).get("Contents", ())
        if not any(found["Key"] == key for found in listed):
            return None
        content: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def document(self, key: str) -> Any:
        """The JSON of an object; None: there is none."""
        content = self.read(key)
        return None if content is None else json.loads(content)


def results_of(bucket: Bucket, key: str, out: Path) -> dict[str, Any]:
    """What the results place has of a picture, by model; files are saved in a folder."""
    found: dict[str, Any] = {}
    for model in SETTINGS["triggers"][TRIGGER]["models"]:
        name = f"out/{key}/{model}.json"
        found[model] = found_within(f"s3://{bucket.name}/{name}", partial(bucket.document, name))
        for file in found[model]["files"]:
            content = bucket.read(file["key"])
            if content is None:
                raise CommandError(f"s3://{bucket.name}/{file['key']} is not there, although {name} names it")
            path = out / Path(file["key"]).parent.name / Path(file["key"]).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            found[model]["saved"] = path
    return found


def contact_sheet(thumbnails: list[Path], path: Path) -> None:
    """All thumbnails beside each other, as one picture."""
    pictures = [Image.open(io.BytesIO(thumbnail.read_bytes())) for thumbnail in thumbnails]
    sheet = Image.new("RGB", (sum(picture.width + 8 for picture in pictures) + 8, 136), "white")
    left = 8
    for picture in pictures:
        sheet.paste(picture, (left, 8))
        left += picture.width + 8
    sheet.save(path)


def render(rows: Mapping[str, tuple[Request, dict[str, Any]]]) -> Table:
    """A row for each picture: what its parent's status says."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("picture", "parent", "status", "thumbnail", "shape"):
        table.add_column(name, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for key, (parent, _) in rows.items():
        small, shape = parent.models["thumbnail"].result, parent.models["shapes"].result
        ended, began = parent.finished_at, parent.submitted_at
        table.add_row(
            key,
            parent.request_id,
            parent.status,
            f"{small['width']} x {small['height']}" if small else "",
            f"{shape['label']} ({shape['confidence']:.0%})" if shape else "",
            f"{(ended - began).total_seconds():.2f} s" if ended and began else "",
        )
    return table


def main() -> int:
    """Command line of this module."""
    with overridden(terraform.ENVIRONMENTS / terraform.LOCAL):
        if code := apply(terraform.LOCAL):
            return code
    outputs = terraform.outputs(terraform.LOCAL)
    bucket = Bucket(aws_session.client(terraform.LOCAL, "s3", outputs), outputs["triggers"][TRIGGER]["bucket"])
    client = Client(base_url(terraform.LOCAL))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    console.print(f"\n{len(PICTURES)} pictures to s3://{bucket.name}/in/\n", highlight=False)
    for name, draw in PICTURES.items():
        bucket.put(f"in/{name}", draw())
    rows: dict[str, tuple[Request, dict[str, Any]]] = {}
    for name in PICTURES:
        key = f"in/{name}"
        results = results_of(bucket, key, OUT)
        parent_id = results["shapes"]["parent_id"]
        try:
            parent = client.wait(parent_id, timeout=TIMEOUT_SECONDS)
        except UnknownRequest as error:
            raise CommandError(f"GET /status/{parent_id} does not know the parent of {key}") from error
        rows[key] = (parent, results)
        (OUT / f"{name}.json").write_text(json.dumps(parent.document, indent=2) + "\n", encoding="utf-8")
    console.print(render(rows))
    contact_sheet([results["thumbnail"]["saved"] for _, results in rows.values()], OUT / "thumbnails.png")
    parent, results = next(iter(rows.values()))
    url = base_url(terraform.LOCAL)
    note("")
    console.print(f"Parent       curl {url}/status/{parent.request_id}", highlight=False)
    console.print(f"Page         {url}/docs", highlight=False)
    console.print(f"In S3        s3://{bucket.name}/{results['thumbnail']['files'][0]['key']}", highlight=False)
    console.print(f"Saved        {OUT}: thumbnails.png has all of them", highlight=False)
    console.print("Stop it      make down", highlight=False)
    failed = [key for key, (parent, _) in rows.items() if parent.status != "succeeded"]
    if failed:
        raise CommandError(f"{len(failed)} of {len(rows)} pictures did not succeed: {', '.join(failed)}")
    return 0


if __name__ == "__main__":
    run(main)

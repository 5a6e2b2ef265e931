"""A browser, and the packaged api function behind an HTTP server on this machine, with three models: the demo's,
one whose schema has something of everything, and one that takes files. The payload bucket is a server of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from inference.aws import clients
from inference.catalog import packaged_validator
from scripts.deployment.environment_config import MODELS
from scripts.packaging.package import build
from scripts.stack_defaults import DEPLOYED
from tests.browser.models.media.model import described
from tests.browser.s3 import LinkedBucket, S3Server, serving_s3
from tests.integration.conftest import module_patch, on_moto, pytest_runtest_setup  # noqa: F401
from tests.integration.http_server import HttpServer, serving
from tests.integration.system import System, sentiment_of
from tests.unit.fakes import ReadyModel

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
OWN_MODELS = Path(__file__).parent / "models"
WITHIN_SECONDS = 30
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for a screenshot of each test's end, for those who want to look at them."""


class Models(ReadyModel):
    """The models without files in one: each input has its output."""

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        return [sentiment_of(value) if "text" in value else {"received": value} for value in inputs]


class Media(ReadyModel):
    """The model `media`, with what its manifest says."""

    input_files: ClassVar[dict[str, str]] = json.loads((OWN_MODELS / "media/manifest.json").read_text("utf-8"))[
        "input_files"
    ]  # type: ignore[misc]

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        return [{place: described(each) for place, each in value.items()} for value in inputs]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, from this machine."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium: install one ({', '.join(NAMES)}), or set CHROMIUM to its path")
    expect.set_options(timeout=WITHIN_SECONDS * 1000)
    with sync_playwright() as playwright:
        # As root, in a container, Chromium's own sandbox can't be set up. It opens pages of this machine only.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def package(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """lambda.zip with the models, unpacked; its generated validators can be imported."""
    folder = tmp_path_factory.mktemp("package")
    zips = build(folder / "zips", [MODELS, OWN_MODELS], ["sentiment", "order", "media"])
    with zipfile.ZipFile(zips.lambda_zip) as archive:
        archive.extractall(folder / "lambda")
    packaged_validator.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "validators"]:
        del sys.modules[name]  # another package's, which has other models
    sys.path.insert(0, str(folder / "lambda"))
    yield folder / "lambda"
    sys.path.remove(str(folder / "lambda"))
    packaged_validator.cache_clear()


@pytest.fixture(scope="module")
def s3(on_moto: None) -> Iterator[S3Server]:  # noqa: F811
    with serving_s3(clients.client("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def system(s3: S3Server, package: Path, module_patch: pytest.MonkeyPatch) -> System:  # noqa: F811
    module_patch.setattr(clients, "bucket", lambda *_: LinkedBucket(s3))
    models = {"sentiment": "sentiment", "order": "order", "media": "media"}
    return System(package, module_patch, statements=1, models=models)


@pytest.fixture
def served(system: System, s3: S3Server, request: pytest.FixtureRequest) -> Iterator[tuple[HttpServer, str]]:
    """A server and its base URL. The fixture's parameter is the type of the authorizer."""
    system.clear()
    system.model = Models()
    system.predictors["media"] = Media()
    system.deploy(DEPLOYED | {"authorizer": getattr(request, "param", "NONE")})
    with serving(system) as found:
        system.api.service._pause = lambda seconds: pause(found[0], system, seconds)
        s3.reset(origin=found[1])
        yield found


def pause(api: HttpServer, system: System, seconds: float) -> None:
    """While a call waits for its request, a worker takes it, if one works."""
    if not api.work:
        time.sleep(seconds)
        return
    for model in system.models:
        system.run_worker(model)


both = pytest.mark.parametrize("page", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)
"""For a test on a desktop and a phone; the others are on a phone."""


@pytest.fixture
def complaints() -> list[str]:
    """Of the browser. A test that provokes one takes it out."""
    return []


@pytest.fixture
def page(
    browser: Browser,
    served: tuple[HttpServer, str],
    s3: S3Server,
    complaints: list[str],
    request: pytest.FixtureRequest,
) -> Iterator[Page]:
    """The page in a browser, open. Whatever the browser complains about fails the test, but for answers with an error
    status; so does a page that is wider than its window, or that calls a server that is neither the API nor the bucket.
    """
    theme = request.node.get_closest_marker("dark")
    context = browser.new_context(viewport=getattr(request, "param", PHONE), color_scheme="dark" if theme else "light")
    page = context.new_page()
    page.set_default_timeout(WITHIN_SECONDS * 1000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if _is_serious(message) else None)
    page.on(
        "request",
        lambda call: (
            None if call.url.startswith((served[1], s3.url, "data:", "blob:")) else complaints.append(call.url)
        ),
    )
    page.goto(f"{served[1]}/docs")
    yield page
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{request.node.name}.png", full_page=True)
    overflow = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    context.close()
    assert not complaints
    assert overflow <= 0


def _is_serious(message: Any) -> bool:
    return message.type in ("error", "warning") and "Failed to load resource" not in message.text

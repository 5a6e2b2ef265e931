"""What is packaged for an environment: the models that it names, within Lambda's limits, and only if they can start."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.packaging import libraries, model_import, package
from scripts.packaging.package import build_for_environment, check_size
from tests.unit.model_folders import SENTIMENT, plain_manifest, weights_model
from tests.unit.wheels import wheel
from worker.model.loaded import add_libraries


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "FOLDER", tmp_path / "libraries")
    monkeypatch.setattr(model_import, "_DONE", tmp_path / "imported")


def plain(folder: Path, code: str = "", requirements: str = "") -> Path:
    """A right model folder of a plain Python model; `code` comes first in its model.py."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(plain_manifest() | {"name": folder.name}))
    (folder / "model.py").write_text(
        f"{code}\nfrom worker.model import Model as Base\n\n\nclass Mine(Base):\n    pass\n"
    )
    if requirements:
        (folder / "requirements.txt").write_text(requirements)
    return folder


def config(*models: ConfiguredModel) -> EnvironmentConfig:
    return EnvironmentConfig("x86_64", {model.name: model for model in models})


def packaged(out: Path, *models: ConfiguredModel, environment: str = "local") -> package.Packages:
    return build_for_environment(out / "out", environment, config(*models))


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_a_half_finished_folder_that_no_environment_names_blocks_nothing(tmp_path: Path) -> None:
    folder = plain(tmp_path / "mine")
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "manifest.json").write_text("{}")
    packages = packaged(tmp_path, ConfiguredModel("mine", folder))
    assert list(packages.workers) == ["mine"]
    assert "validators/mine.py" in names(packages.lambda_zip)


@pytest.mark.parametrize("source", ["sentiment", "plain"])
def test_an_artifact_in_s3_does_not_ship_unless_another_model_of_the_folder_needs_it(
    tmp_path: Path, source: str
) -> None:
    folder = SENTIMENT if source == "sentiment" else weights_model(tmp_path / "plain")
    artifact = f"worker/models/{source}/{'sentiment.onnx' if source == 'sentiment' else 'weights.txt'}"
    remote = ConfiguredModel(source, folder, artifact="s3://bucket/key")
    assert artifact not in names(packaged(tmp_path, remote).workers[source])
    both = packaged(tmp_path, remote, ConfiguredModel("again", folder))
    assert artifact in names(both.workers[source])


def test_a_synchronous_function_has_its_app_in_the_zip_and_no_other_worker_does(tmp_path: Path) -> None:
    app = {"worker/sync/handler.py", "sync_openapi.json", "openapi.json"}
    folder = plain(tmp_path / "mine")
    zips = packaged(tmp_path, ConfiguredModel("mine", folder, sync=True)).workers
    assert app <= names(zips["mine"])
    zips = packaged(
        tmp_path,
        ConfiguredModel("mine", folder),
        ConfiguredModel("one", plain(tmp_path / "one"), pool="small", sync=True),
        ConfiguredModel("two", plain(tmp_path / "two"), pool="small", sync=True),
    ).workers
    assert app <= names(zips["pool-small"])
    assert not app & names(zips["mine"])


def test_an_artifact_in_s3_that_the_manifest_does_not_name_is_rejected(tmp_path: Path) -> None:
    remote = ConfiguredModel("mine", plain(tmp_path / "mine"), artifact="s3://bucket/key")
    with pytest.raises(
        CommandError, match=r"artifact = s3://bucket/key for mine, but \S+/mine/manifest\.json has no artifact: add it"
    ):
        packaged(tmp_path, remote)


def test_a_plain_models_artifact_that_was_altered_is_not_packaged(tmp_path: Path) -> None:
    folder = weights_model(tmp_path / "plain")
    (folder / "weights.txt").write_bytes(b"3 2 1")
    with pytest.raises(CommandError, match=r"artifacts\.python\.sha256 is \w+, but weights\.txt has "):
        packaged(tmp_path, ConfiguredModel("plain", folder))


def test_what_runs_from_an_image_or_a_package_of_its_own_has_no_zip_and_is_known_to_the_api(tmp_path: Path) -> None:
    own = ConfiguredModel("own", plain(tmp_path / "own"), own_package=True)
    built = ConfiguredModel("built", plain(tmp_path / "built"), image=True)
    packages = packaged(tmp_path, own, built, environment="dev")
    assert not packages.workers
    assert {"validators/own.py", "validators/built.py"} <= names(packages.lambda_zip)


def test_two_folders_of_one_name_are_rejected(tmp_path: Path) -> None:
    folders = [plain(tmp_path / parent / "mine") for parent in ("one", "two")]
    with pytest.raises(CommandError, match="have the same name: rename one of them"):
        packaged(tmp_path, ConfiguredModel("first", folders[0]), ConfiguredModel("second", folders[1]))


@pytest.mark.parametrize(("megabytes", "told"), [(51, "more than 50 MB:"), (251, "package of more than 250 MB")])
def test_a_zip_that_lambda_would_reject_is_rejected_with_the_remedy(megabytes: int, told: str) -> None:
    with pytest.raises(CommandError, match=told) as failure:
        check_size("mine", {"weights": bytes(megabytes * 2**20)}, "prod")
    assert "make deploy" in str(failure.value)
    assert 'artifact = "s3://bucket/key"' in str(failure.value)


def test_for_the_emulator_a_large_zip_is_only_told(capsys: pytest.CaptureFixture[str]) -> None:
    check_size("mine", {"weights": bytes(51 * 2**20)}, "local")
    assert "The emulator takes it. On AWS deploy it as an image" in capsys.readouterr().err
    check_size("mine", {"weights": bytes(50 * 2**20)}, "prod")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import os\nimport nonesuch",
            r"model\.py, line 2: ModuleNotFoundError: .*add it to \S+mine/requirements\.txt",
        ),
        ("1 / 0", r"model\.py, line 1: ZeroDivisionError: division by zero"),
        ("import sys\n\nsys.exit('no GPU')", r"model\.py, line 3: SystemExit: no GPU"),
        ("import os\nos._exit(3)", r"model\.py: the import ended the process with exit code 3"),
        ("from .words import nonesuch", r"model\.py, line 1: ImportError: cannot import name 'nonesuch'"),
        ("from worker.model import Model as B\nclass Other(B): ...\n", "must define one subclass"),
        ("def f(:", r"model\.py, line 1: SyntaxError: invalid syntax"),
    ],
)
def test_a_broken_import_is_one_line_with_its_place(tmp_path: Path, code: str, told: str) -> None:
    folder = plain(tmp_path / "mine", code)
    (folder / "words.py").write_text("")
    with pytest.raises(CommandError, match=told) as failure:
        packaged(tmp_path, ConfiguredModel("mine", folder))
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "out").exists()


def test_what_was_imported_once_is_imported_again_only_when_it_changes(tmp_path: Path) -> None:
    folder = plain(tmp_path / "mine", f"from pathlib import Path\nPath('{tmp_path}/count').open('a').write('x')")
    for _ in range(2):
        packaged(tmp_path, ConfiguredModel("mine", folder))
    assert (tmp_path / "count").read_text() == "x"
    with (folder / "model.py").open("a") as file:
        file.write("# changed\n")
    packaged(tmp_path, ConfiguredModel("mine", folder))
    assert (tmp_path / "count").read_text() == "xx"


def test_two_models_may_pin_one_library_differently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "wheels", "pinnedthing", version)
    models = []
    for name, version in (("one", "1.0"), ("two", "2.0")):
        needs = f"--no-index\n--find-links {tmp_path / 'wheels'}\npinnedthing=={version}\nnumpy\n"
        code = f"import pinnedthing\nassert pinnedthing.VERSION == '{version}'"
        models.append(ConfiguredModel(name, plain(tmp_path / name, code, needs)))
    packages = packaged(tmp_path, *models)
    for model, version in zip(models, ("1.0", "2.0"), strict=True):
        with zipfile.ZipFile(packages.workers[model.name]) as archive:
            archive.extractall(tmp_path / "task" / model.name)
        folder = tmp_path / "task" / model.name / "worker" / "models" / model.name
        monkeypatch.setattr("sys.path", [])
        add_libraries(folder)
        (first,) = sys.path
        assert (Path(first) / f"pinnedthing-{version}.dist-info").is_dir()
        assert not (Path(first) / "numpy").exists()  # .venv has it
        assert not (folder / "requirements.txt").exists()


def test_for_aws_a_model_is_imported_with_its_libraries_and_its_zip_names_no_folder_of_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", "pinnedthing", "1.0")
    needs = f"--no-index\n--find-links {tmp_path / 'wheels'}\npinnedthing==1.0\n"
    model = ConfiguredModel("mine", plain(tmp_path / "mine", "import pinnedthing", needs))
    packages = packaged(tmp_path, model, environment="dev")
    assert "worker/models/mine/libraries.txt" not in names(packages.workers["mine"])
    assert "the zip of mine has no libraries" in capsys.readouterr().err


# Pools


def test_a_pools_zip_has_the_folders_of_all_its_models(tmp_path: Path) -> None:
    first, second = plain(tmp_path / "first"), plain(tmp_path / "second")
    members = [
        ConfiguredModel(name, folder, pool="small") for name, folder in (("a", first), ("b", second), ("c", first))
    ]
    packages = packaged(tmp_path, *members, ConfiguredModel("second", second))
    assert sorted(packages.workers) == ["pool-small", "second"]
    assert packages.workers["pool-small"].name == "pool-small.zip"
    inside = names(packages.workers["pool-small"])
    assert {"worker/models/first/model.py", "worker/models/second/model.py", "validators/first.py"} <= inside
    assert "worker/models/first/model.py" not in names(packages.workers["second"])


def test_the_models_of_a_pool_share_one_set_of_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "wheels"
    index.mkdir()
    for name in ("pooled_one", "pooled_two"):
        wheel(index, name, "1.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    first = plain(tmp_path / "first", "import pooled_one", "pooled_one==1.0")
    second = plain(tmp_path / "second", "import pooled_two", "pooled_two==1.0")
    packages = packaged(tmp_path, *(ConfiguredModel(f.name, f, pool="small") for f in (first, second)))
    with zipfile.ZipFile(packages.workers["pool-small"]) as archive:
        named = {archive.read(f"worker/models/{name}/libraries.txt") for name in ("first", "second")}
    (folder,) = named
    assert {path.name for path in Path(folder.decode().strip()).glob("*.py")} == {"pooled_one.py", "pooled_two.py"}


def test_libraries_that_can_not_be_shared_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "wheels"
    index.mkdir()
    for version in ("1.0", "2.0"):
        wheel(index, "contested", version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    first = plain(tmp_path / "first", "", "contested==1.0")
    second = plain(tmp_path / "second", "", "contested==2.0")
    with pytest.raises(
        CommandError, match=r"first/requirements\.txt and .*second/requirements\.txt.*into another pool"
    ):
        packaged(tmp_path, *(ConfiguredModel(f.name, f, pool="small") for f in (first, second)))


def test_a_pool_that_runs_from_an_image_or_a_package_of_its_own_has_no_zip(tmp_path: Path) -> None:
    folder = plain(tmp_path / "mine")
    for member in (
        ConfiguredModel("mine", folder, pool="small", image=True),
        ConfiguredModel("mine", folder, pool="small", own_package=True),
    ):
        assert packaged(tmp_path, member).workers == {}


def test_models_at_gpu_providers_share_the_dispatchers_zip_and_bring_their_manifests_alone(tmp_path: Path) -> None:
    folder = weights_model(tmp_path / "weights")
    (folder / "model.py").write_text("import a_library_that_only_the_provider_has\n")
    other = plain(tmp_path / "other")
    packages = packaged(
        tmp_path,
        ConfiguredModel("far", folder, own_package=True, backend=True),
        ConfiguredModel("near", other),
    )
    assert set(packages.workers) == {"dispatcher.zip", "other"}
    path = packages.workers["dispatcher.zip"]
    assert path.name == "dispatcher.zip"
    found = names(path)
    assert {name for name in found if name.startswith("worker/models/")} == {"worker/models/weights/manifest.json"}
    sources = {name for name in found if name.endswith(".py")}
    assert {"worker/dispatch_handler.py", "worker/callbacks_handler.py", "worker/backends/runpod.py"} <= sources
    assert {name for name in sources if "validators" in name} >= {"validators/weights.py"}
    assert "worker/handler.py" not in sources
    assert not any("dispatch" in name or "backends" in name for name in names(packages.workers["other"]))

"""The zips: what is in them, that they are reproducible, and what a wrong model folder gets told."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.console import CommandError
from scripts.packaging.package import Packages, build, main

SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 10},
        "threshold": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
    },
}


def write(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def model_folder(folder: Path, **changes: Any) -> Path:
    """A model folder with an artifact; `changes` overwrite keys of its manifest (None removes one)."""
    artifact = b"weights"
    manifest = {
        "name": folder.name,
        "version": "1.0.0",
        "description": "A model for tests.",
        "runtime": "torchscript",
        "artifacts": {
            "torchscript": {"file": "m.pt", "sha256": hashlib.sha256(artifact).hexdigest(), "bytes": len(artifact)},
            "onnx": {"file": "m.onnx", "sha256": hashlib.sha256(b"other").hexdigest(), "bytes": 5},
        },
        "batch_size": 10,
        "batch_window_seconds": 0,
        "memory_mb": 1024,
        "timeout_seconds": 30,
        "input_schema": SCHEMA,
        "output_schema": {"type": "object"},
        **changes,
    }
    write(folder / "manifest.json", json.dumps({k: v for k, v in manifest.items() if v is not None}))
    write(folder / "model.py", "# the model\n")
    write(folder / "MODEL_CARD.md", "# card\n")
    write(folder / "export.py", "# how to export it\n")
    (folder / "m.pt").write_bytes(artifact)
    (folder / "m.onnx").write_bytes(b"other")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository."""
    root = tmp_path / "repository"
    for name in ("lambda/api.py", "lambda/inference/__init__.py", "lambda/inference/requests.py"):
        write(root / name, f"# {name}\n")
    for name in ("worker/__init__.py", "worker/handler.py", "worker/model/runtimes/torchscript.py"):
        write(root / name, f"# {name}\n")
    for name in (
        "backends/http.py",
        "dispatch/runs.py",
        "dispatch_handler.py",
        "providers/cog_predictor.py",
    ):  # of GPU providers: not in a worker's zip
        write(root / "worker" / name)
    write(root / "worker" / "Dockerfile")
    write(root / "worker" / "__pycache__" / "handler.cpython-311.pyc")
    write(root / "worker" / "tests" / "test_handler.py")
    model_folder(root / "worker" / "models" / "sentiment")
    return root


def make(root: Path, out: Path, *more: Path, sources: list[str] | None = None) -> Packages:
    return build(out, [root / "worker" / "models", *more], sources, root=root)


def names(path: Path, bytecode: bool = False) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [name for name in archive.namelist() if name.endswith(".pyc") == bytecode]


def test_lambda_zip_has_the_functions_the_catalog_and_the_validators(root: Path, tmp_path: Path) -> None:
    packages = make(root, tmp_path / "out")
    assert names(packages.lambda_zip) == [
        "api.py",
        "inference/__init__.py",
        "inference/requests.py",
        "manifests/sentiment.json",
        "validators/__init__.py",
        "validators/_errors.py",
        "validators/sentiment.py",
    ]
    with zipfile.ZipFile(packages.lambda_zip) as archive:
        manifest = json.loads(archive.read("manifests/sentiment.json"))
    assert (manifest["version"], manifest["input_schema"]) == ("1.0.0", SCHEMA)


def test_worker_zip_has_its_own_model_and_chosen_artifact_only_and_no_tests_caches_or_docs(
    root: Path, tmp_path: Path
) -> None:
    model_folder(root / "worker" / "models" / "other")
    packages = make(root, tmp_path / "out")
    assert names(packages.workers["sentiment"]) == [
        "inference/__init__.py",
        "inference/requests.py",
        "validators/__init__.py",
        "validators/_errors.py",
        "validators/sentiment.py",
        "worker/__init__.py",
        "worker/handler.py",
        "worker/model/runtimes/torchscript.py",
        "worker/models/sentiment/m.pt",
        "worker/models/sentiment/manifest.json",
        "worker/models/sentiment/model.py",
    ]


@pytest.mark.parametrize(("runtime", "shipped"), [("torchscript", set()), ("python", {"old.pth", "last.ckpt"})])
def test_what_training_leaves_does_not_ship(root: Path, tmp_path: Path, runtime: str, shipped: set[str]) -> None:
    python = {"artifacts": None} if runtime == "python" else {}
    folder = model_folder(root / "worker" / "models" / "sentiment", runtime=runtime, **python)
    for name in ("old.pth", "last.ckpt", "look.ipynb", "training/run.py", "data/texts.csv", ".env"):
        write(folder / name)
    write(folder / "vocabulary.txt")
    ours = {n for n in names(make(root, tmp_path / "out").workers["sentiment"]) if n.startswith("worker/models/")}
    known = {"m.pt", "m.onnx", "manifest.json", "model.py"}
    assert {Path(name).name for name in ours} - known == {"vocabulary.txt", *shipped}


def test_a_large_file_that_is_not_the_artifact_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "worker" / "models" / "sentiment" / "corpus.bin").write_bytes(bytes(11 * 2**20))
    make(root, tmp_path / "out")
    assert "corpus.bin is packaged with the worker, 11.00 MB" in capsys.readouterr().err


def test_the_command_shows_what_each_zip_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["package", "--out", str(tmp_path)])
    assert main() == 0
    assert "0.50 MB  worker/models/sentiment/sentiment.onnx\n" in capsys.readouterr().out


def test_each_source_has_its_bytecode_beside_it(root: Path, tmp_path: Path) -> None:
    tag = sys.implementation.cache_tag
    for path in make(root, tmp_path / "out"):
        sources = [Path(name) for name in names(path) if name.endswith(".py")]
        assert sorted(str(s.parent / "__pycache__" / f"{s.stem}.{tag}.pyc") for s in sources) == names(path, True)


def test_without_a_python_that_fits_there_are_sources_only(root: Path, tmp_path: Path) -> None:
    with_it = make(root, tmp_path / "with")
    without = build(tmp_path / "without", [root / "worker" / "models"], root=root, python=None)
    for path, other in zip(without, with_it, strict=True):
        assert names(path, True) == []
        assert names(path) == names(other)


def test_bytecode_is_trusted_and_tracebacks_show_the_real_path(root: Path, tmp_path: Path) -> None:
    write(root / "lambda" / "api.py", "def fail():\n    raise RuntimeError\n")
    with zipfile.ZipFile(make(root, tmp_path / "out").lambda_zip) as archive:
        archive.extractall(tmp_path / "task")
    source = tmp_path / "task" / "api.py"
    source.write_text(source.read_text().replace("RuntimeError", "KeyError"))  # would be seen if it were compiled again
    code = "import sys; sys.path.insert(0, sys.argv[1]); import api; api.fail()"
    command = [sys.executable, "-I", "-B", "-c", code, str(source.parent)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "RuntimeError" in shown
    assert f'File "{source}", line 2, in fail' in shown


def test_a_source_that_does_not_compile_is_named(root: Path, tmp_path: Path) -> None:
    write(root / "lambda" / "api.py", "def fail(:\n")
    with pytest.raises(CommandError, match=r"api\.py, line 1: invalid syntax"):
        make(root, tmp_path / "out")


def test_same_sources_give_the_same_bytes_wherever_and_whenever(root: Path, tmp_path: Path) -> None:
    first = make(root, tmp_path / "first")
    for path in root.rglob("*.py"):
        os.utime(path, (2_000_000_000, 2_000_000_000))
        path.chmod(0o600)
    second = make(root, tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_only_what_changed_is_written_again(root: Path, tmp_path: Path) -> None:
    first = make(root, tmp_path / "out")
    assert first.changed == set(first)
    assert make(root, tmp_path / "out").changed == frozenset()
    write(root / "worker" / "handler.py", "# changed\n")
    assert make(root, tmp_path / "out").changed == {first.workers["sentiment"]}
    write(root / "worker" / "models" / "sentiment" / "MODEL_CARD.md", "reworded\n")
    assert make(root, tmp_path / "out").changed == frozenset()


def test_another_model_leaves_the_first_ones_worker_as_it_is(root: Path, tmp_path: Path) -> None:
    first = make(root, tmp_path / "out")
    model_folder(tmp_path / "more" / "word-count")
    second = make(root, tmp_path / "out", tmp_path / "more")
    assert sorted(second.workers) == ["sentiment", "word-count"]
    assert first.workers["sentiment"] not in second.changed
    assert "validators/word_count.py" in names(second.lambda_zip)
    assert "worker/models/word-count/model.py" in names(second.workers["word-count"])


def test_sources_choose_and_an_unknown_one_is_named(root: Path, tmp_path: Path) -> None:
    model_folder(root / "worker" / "models" / "other")
    assert list(make(root, tmp_path / "out", sources=["other"]).workers) == ["other"]
    with pytest.raises(CommandError, match="no model folder nonesuch"):
        make(root, tmp_path / "out", sources=["nonesuch"])


def test_two_folders_of_one_name_are_rejected(root: Path, tmp_path: Path) -> None:
    model_folder(tmp_path / "more" / "sentiment")
    with pytest.raises(CommandError, match="have the same name"):
        make(root, tmp_path / "out", tmp_path / "more")


def test_a_folder_without_its_class_is_rejected(root: Path, tmp_path: Path) -> None:
    (root / "worker" / "models" / "sentiment" / "model.py").unlink()
    with pytest.raises(CommandError, match=r"sentiment/model\.py is missing"):
        make(root, tmp_path / "out")


def test_a_manifest_of_another_name_than_its_folder_is_rejected(root: Path, tmp_path: Path) -> None:
    model_folder(root / "worker" / "models" / "mine", name="sentiment")
    with pytest.raises(CommandError, match=r"mine/manifest\.json: name is sentiment, but the folder's is mine"):
        make(root, tmp_path / "out")


def test_an_artifact_that_is_not_in_the_folder_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "worker" / "models" / "sentiment" / "m.pt").unlink()
    make(root, tmp_path / "out")
    assert "m.pt is missing and not in the worker's package" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"version": None}, "version"),
        ({"batch_size": 0}, "batch_size"),
        ({"artifacts": {"torchscript": {"file": "m.pt", "sha256": "0" * 64, "bytes": 7}}}, "torchscript.sha256"),
        ({"artifacts": {"torchscript": {"file": "m.pt", "sha256": "0" * 64, "bytes": 8}}}, "torchscript.bytes"),
        ({"input_schema": {"type": "object", "required": 1}}, "input_schema"),
    ],
)
def test_a_wrong_manifest_is_named_with_its_key(
    root: Path, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    folder = model_folder(root / "worker" / "models" / "sentiment", **changes)
    with pytest.raises(CommandError) as failure:
        make(root, tmp_path / "out")
    assert str(failure.value).startswith(str(folder / "manifest.json"))
    assert named in str(failure.value)


CHECK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from validators import sentiment
found = []
for value in json.loads(sys.argv[2]):
    try:
        found.append(sentiment.validate(value))
    except sentiment.Violation as violation:
        found.append([violation.message, violation.path])
print(json.dumps(found))
"""


def validated(package: Path, *values: Any) -> list[Any]:
    """What the packaged validator says, in an interpreter that has no installed package at all."""
    command = [sys.executable, "-I", "-S", "-c", CHECK, str(package), json.dumps(values)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(shown.stdout)
    return found


def test_the_packaged_validator_needs_the_standard_library_only(root: Path, tmp_path: Path) -> None:
    good, empty, extra, not_object = validated(
        make(root, tmp_path / "out").lambda_zip, {"text": "x"}, {"text": ""}, {"text": "x", "y" * 900: 1}, [1]
    )
    assert good == {"text": "x", "threshold": 0.5}
    assert empty == ["data.text must be longer than or equal to 1 characters", ["data", "text"]]
    assert extra[0].startswith('data must not have property "yyy')
    assert len(extra[0]) < 600
    assert not_object == ["data must be object", ["data"]]


def test_the_output_schema_is_checked_too(root: Path, tmp_path: Path) -> None:
    model_folder(
        root / "worker" / "models" / "sentiment", output_schema={"type": "object", "properties": {"a": {"type": "x"}}}
    )
    with pytest.raises(CommandError, match=r"sentiment/manifest\.json: output_schema: /properties/a/type: "):
        make(root, tmp_path / "out")

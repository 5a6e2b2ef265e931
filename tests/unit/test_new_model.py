"""`make new-model` and `make try`: a folder that works at once, and what its author sees before it is deployed."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.console import ROOT, CommandError
from scripts.model_tools.model_process import model_folder, train
from scripts.model_tools.new_model import KINDS, write
from scripts.packaging.package import build
from tests.unit.model_folders import weights_model
from worker.model.loaded import model_class
from worker.model.manifest import Manifest


def command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as make starts it."""
    env = os.environ | {"PYTHONWARNINGS": "error"}
    line = [sys.executable, "-m", f"scripts.model_tools.{module}", *arguments]
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def new(folder: Path, code: str = "", **changes: object) -> Path:
    """A new plain model whose predict is `code`."""
    write(folder, KINDS["python"])
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    if code:
        model = folder / "model.py"
        kept = model.read_text().rpartition("        return ")[0]
        model.write_text(kept + "".join(f"        {line}\n" for line in code.splitlines()))
    return folder


def test_a_new_model_is_tried_tested_and_packaged_at_once(tmp_path: Path) -> None:
    made = command("new_model", "my-model", "--models-dir", str(tmp_path))
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "my-model"
    assert f'my-model = {{ models_dir = "{tmp_path}" }}' in made.stdout
    tried = command("try_model", str(folder), "--input", f"@{folder}/tests/input.json")
    assert json.loads(tried.stdout) == {"score": pytest.approx(2.55)}
    assert tried.returncode == 0
    tested = command("model_process", "test", str(folder))
    assert tested.returncode == 0, tested.stdout
    assert list(build(tmp_path / "out", [tmp_path]).workers) == ["my-model"]
    assert model_class(folder).__name__ == "MyModel"


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_every_kind_are_whole(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "a-name-of-31-letters-and-hyphens"[:31]
    write(folder, KINDS[kind])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if "$" in path.read_text() or path.suffix == ".template"]
    for path in files:
        if path.suffix == ".py":
            ast.parse(path.read_text())
    check = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    linted = subprocess.run(check, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
    assert json.loads((folder / "manifest.json").read_text())["name"] == folder.name


@pytest.mark.parametrize("name", ["Mine", "a" * 32, "my_model", "x-dlq", "1st"])
def test_a_name_that_cannot_be_deployed_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="is not a valid model name: use 1 to 31 lower-case"):
        write(tmp_path / name, KINDS["python"])


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="exists: choose another NAME"):
        write(new(tmp_path / "mine"), KINDS["python"])


@pytest.mark.parametrize(
    ("code", "code_told", "told"),
    [
        ("return [{'score': float('nan')} for _ in inputs]", "invalid_output", "NaN|Out of range"),
        ("return [b'x' for _ in inputs]", "invalid_output", "bytes"),
        ("raise KeyError('weights')", "model_error", r"model\.py, line \d+: KeyError: 'weights'"),
    ],
)
def test_what_a_request_would_end_with_is_shown(tmp_path: Path, code: str, code_told: str, told: str) -> None:
    folder = new(tmp_path / "mine", code)
    tried = command("try_model", str(folder), "--input", '{"features": [1, 2, 3, 4]}')
    assert tried.returncode == 1
    error = json.loads(tried.stdout)["error"]
    assert error["code"] == code_told
    assert re.search(told, tried.stderr + error["message"])
    assert "peak memory of this process" in tried.stderr


def test_a_try_hands_over_files_and_says_what_was_made(tmp_path: Path) -> None:
    file = {"type": "string", "contentEncoding": "base64"}
    folder = new(
        tmp_path / "mine",
        "return [{'size': item['image'].stat().st_size, 'twice': item['image'].read_bytes() * 2} for item in inputs]",
        input_schema={"type": "object", "properties": {"image": file}, "required": ["image"]},
        output_schema={"type": "object"},
        input_files={"image": "path"},
        output_files={"twice": "image/png"},
    )
    tried = command("try_model", str(folder), "--input", '{"image": "aGk="}')
    assert json.loads(tried.stdout) == {"size": 2, "twice": {"$ref": "#/files/0"}}
    assert "files[0]: 4 bytes of image/png, SHA-256 " in tried.stderr
    assert "422" in command("try_model", str(folder), "--input", '{"image": "?"}').stderr


def test_a_try_hands_over_the_artifact_and_says_where_it_is_missing(tmp_path: Path) -> None:
    folder = weights_model(tmp_path / "mine")
    assert command("try_model", str(folder), "--input", '{"text": "x"}').stdout == '{"words": 3}\n'
    (folder / "weights.txt").unlink()
    tried = command("try_model", str(folder), "--input", '{"text": "x"}')
    assert tried.returncode == 1
    assert f"error: {folder}: artifact {folder}/weights.txt: no such file; put it there" in tried.stderr


def test_a_try_prints_the_progress_of_its_first_pass(tmp_path: Path) -> None:
    folder = new(tmp_path / "mine", "self.progress(0.4, 'page 4'); return [{'score': 1} for _ in inputs]")
    tried = command("try_model", str(folder), "--input", '{"features": [1, 2, 3, 4]}')
    assert (tried.returncode, tried.stdout) == (0, '{"score": 1}\n')
    assert tried.stderr.count("progress: 40% page 4\n") == 1


def test_training_declares_the_artifact_that_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = new(tmp_path / "mine")
    (folder / "training").mkdir()
    script = folder / "training" / "train.py"
    script.write_text("from pathlib import Path\nPath(__file__).parents[1].joinpath('w.bin').write_bytes(b'one')\n")
    before = (folder / "manifest.json").read_text()
    assert train(folder) == 0
    assert (folder / "manifest.json").read_text() == before, "a model without an artifact stays so"
    with pytest.raises(CommandError, match=r"training ended, but \S+other\.bin, the artifact for python, is missing"):
        train(folder, "other.bin")
    assert train(folder, "w.bin") == 0
    script.write_text(script.read_text().replace("one", "three"))
    assert train(folder) == 0
    artifact = Manifest.read(folder / "manifest.json").artifact
    assert artifact is not None
    assert (artifact.file, artifact.bytes, artifact.sha256) == ("w.bin", 5, hashlib.sha256(b"three").hexdigest())
    script.write_text("raise SystemExit(3)\n")
    assert train(folder) == 3


def test_several_lines_of_a_file_are_one_batch(tmp_path: Path) -> None:
    folder = new(tmp_path / "mine", "return [{'batch': len(inputs)} for _ in inputs]")
    (tmp_path / "lines").write_text('{"features": [1, 2, 3, 4]}\n\n{"features": [4, 3, 2, 1]}\n')
    tried = command("try_model", str(folder), "--input", f"@{tmp_path}/lines")
    assert tried.stdout == '{"batch": 2}\n{"batch": 2}\n'
    assert "first batch of 2" in tried.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "error: no input: give INPUT="),
        (("--input", "{"), "error: the input is not JSON: .* the model requires features"),
        (("--input", '{"features": [1]}'), "error: the API answers 422: data.features must contain at least 4"),
        (("--input", "@nonesuch.json"), "error: nonesuch.json: No such file"),
    ],
)
def test_a_wrong_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    tried = command("try_model", str(new(tmp_path / "mine")), *arguments)
    assert tried.returncode != 0
    assert re.match(told, tried.stderr), tried.stderr
    assert tried.stderr.count("\n") == 1


def test_a_model_that_does_not_load_is_one_line_with_its_place(tmp_path: Path) -> None:
    folder = new(tmp_path / "mine")
    (folder / "model.py").write_text("import nonesuch\n")
    tried = command("try_model", str(folder), "--input", '{"features": [1, 2, 3, 4]}')
    assert tried.returncode == 1
    assert f"error: {folder}/model.py, line 1: ModuleNotFoundError: No module named 'nonesuch'" in tried.stderr
    assert tried.stderr.count("\n") == 1


def test_a_model_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(
        CommandError, match=r"no model folder nonesuch: MODEL is one of sentiment.*`make new-model NAME=none"
    ):
        model_folder("nonesuch")

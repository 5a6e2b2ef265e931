"""Pictures are opened with limits, and the two models of the pipeline say what they should of them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.deployment.environment_config import MODELS
from scripts.local.pipeline_pictures import PICTURES
from worker.model import InputError, load
from worker.model.loaded import LoadedModel
from worker.model.pictures import on_white, open_picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


class TestOpening:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
    def test_a_picture_of_each_format(self, kind: str) -> None:
        assert open_picture(encoded(Image.new("RGB", (20, 10), "red"), kind)).size == (20, 10)

    def test_a_path_and_a_stream(self, tmp_path: Path) -> None:
        content = encoded(Image.new("RGB", (20, 10)))
        (tmp_path / "1").write_bytes(content)
        assert open_picture(tmp_path / "1").size == open_picture(io.BytesIO(content)).size == (20, 10)

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", "no picture of a known format"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture of a known format"),
            (encoded(Image.effect_noise((200, 200), 50))[:600], "damaged"),
            (bomb(8_000, 8_000), "8000 x 8000 pixels"),
            (bomb(60_000, 60_000), "exceeds limit"),
            (bomb(5, 5), "damaged"),
        ],
        ids=["empty", "postscript", "cut off", "large", "bomb", "no pixels"],
    )
    def test_what_can_not_be_read_is_the_clients_error(self, content: bytes, text: str) -> None:
        with pytest.raises(InputError, match=text):
            open_picture(content)

    def test_it_is_turned_as_its_camera_says(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        assert open_picture(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)).size == (10, 20)

    def test_what_is_transparent_becomes_white(self) -> None:
        assert on_white(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
        assert on_white(Image.new("L", (1, 1), 7)).mode == "RGB"


@pytest.fixture(scope="module", params=["thumbnail", "shapes"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return load(MODELS / request.param, threads=1)


@pytest.fixture(scope="module")
def thumbnail() -> LoadedModel:
    return load(MODELS / "thumbnail", threads=1)


@pytest.fixture(scope="module")
def shapes() -> LoadedModel:
    return load(MODELS / "shapes", threads=1)


def test_one_bad_picture_of_a_batch_is_rejected_alone(model: LoadedModel) -> None:
    good = {"image": encoded(Image.new("RGB", (40, 30), "blue")), "size": 32}
    outputs = model.predict([good, {**good, "image": b"x"}, good])
    assert [isinstance(output, InputError) for output in outputs] == [False, True, False]
    assert outputs[0] == outputs[2]
    only_bad = model.predict([{**good, "image": b"x"}])
    assert isinstance(only_bad[0], InputError)


class TestThumbnail:
    @pytest.mark.parametrize(("size", "expected"), [(64, (64, 32)), (1024, (400, 200))])
    def test_it_is_no_larger_than_asked_and_keeps_its_shape(
        self, thumbnail: LoadedModel, size: int, expected: tuple[int, int]
    ) -> None:
        (output,) = thumbnail.predict([{"image": encoded(Image.new("RGB", (400, 200), "green")), "size": size}])
        assert isinstance(output, dict)
        picture = Image.open(io.BytesIO(output["thumbnail"]))
        assert (picture.format, picture.size) == ("JPEG", expected)
        assert (output["width"], output["height"]) == expected
        red, green, blue = picture.getpixel((5, 5))
        assert green > red + 50
        assert green > blue + 50


class TestShapes:
    def test_the_pictures_of_the_demo(self, shapes: LoadedModel) -> None:
        """Drawn by another program than those that it was trained with."""
        outputs = shapes.predict([{"image": draw()} for draw in PICTURES.values()])
        pairs = zip(PICTURES, outputs, strict=True)
        said = {name: output["label"] for name, output in pairs if isinstance(output, dict)}
        assert said == {name: name.partition("-")[2].removesuffix(".png") for name in PICTURES}

    def test_its_scores_are_probabilities(self, shapes: LoadedModel) -> None:
        (output,) = shapes.predict([{"image": encoded(Image.new("RGB", (9, 200), "white"))}])
        assert isinstance(output, dict)
        assert abs(sum(output["scores"].values()) - 1) < 0.01
        assert output["confidence"] == max(output["scores"].values())

    def test_the_card_tells_the_accuracy_of_this_artifact(self) -> None:
        folder = MODELS / "shapes"
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
        (artifact,) = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["artifacts"].values()
        assert artifact["sha256"] in card
        assert artifact["bytes"] == (folder / artifact["file"]).stat().st_size < 500_000

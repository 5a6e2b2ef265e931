"""The pictures that `make demo-pipeline` uploads, drawn here: two circles, a cross, a square, a star and a triangle."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 640, 480

Point = tuple[float, float]


def _around(radii: Sequence[float], turn: float) -> list[Point]:
    """The corners of a figure around the middle of the picture, at these distances, in equal angles."""
    step = 2 * math.pi / len(radii)
    return [
        (WIDTH / 2 + radius * math.sin(turn + step * index), HEIGHT / 2 - radius * math.cos(turn + step * index))
        for index, radius in enumerate(radii)
    ]


def _picture(paper: str, ink: str, figure: Callable[[ImageDraw.ImageDraw, str], None]) -> bytes:
    """A figure on coloured paper, as PNG."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), paper)
    figure(ImageDraw.Draw(picture), ink)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _circle(pen: ImageDraw.ImageDraw, ink: str, radius: float = 150) -> None:
    x, y = WIDTH / 2, HEIGHT / 2
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _ring(pen: ImageDraw.ImageDraw, ink: str) -> None:
    pen.ellipse((180, 100, 460, 380), outline=ink, width=34)


def _cross(pen: ImageDraw.ImageDraw, ink: str) -> None:
    pen.rectangle((280, 90, 360, 390), fill=ink)
    pen.rectangle((170, 200, 470, 280), fill=ink)


def _figure(radii: Sequence[float], turn: float, pen: ImageDraw.ImageDraw, ink: str) -> None:
    pen.polygon(_around(radii, turn), fill=ink)


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "sun-circle.png": partial(_picture, "#7db7e8", "#f5c542", _circle),
    "ring-circle.png": partial(_picture, "#fdfaf3", "#3b2f63", _ring),
    "flag-cross.png": partial(_picture, "#d52b1e", "#ffffff", _cross),
    "window-square.png": partial(_picture, "#e8e2d4", "#2a6f77", partial(_figure, [190] * 4, math.pi / 4)),
    "night-star.png": partial(_picture, "#12183a", "#f2e9a0", partial(_figure, [190, 76] * 5, 0.0)),
    "sign-triangle.png": partial(_picture, "#f4f4f4", "#c9302c", partial(_figure, [180] * 3, 0.0)),
}
"""File name -> draws it. After the hyphen is what it shows."""

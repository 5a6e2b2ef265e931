"""Pictures for models that take them as files: opened with limits, since a picture of a few kilobytes may unpack to
gigabytes. Needs Pillow, in the model's requirements.txt."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING

from worker.model.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000
"""As large as cameras make them; unpacked it takes 150 MB, with transparency 200 MB."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Those that are read as they are; others of Pillow's run programs, or read other files."""


def open_picture(file: bytes | Path | IO[bytes], wanted: int | None = None, most: int = MAX_PIXELS) -> Image.Image:
    """A picture, unpacked, and turned as its camera says; of several in a file the first one.

    Args:
        wanted: pixels of the longer side that are enough: a JPEG is then unpacked at an eighth of its size or more.
        most: pixels that it may have; the file's head is read before anything is unpacked.

    Raises:
        InputError: it is no picture of a known format, is damaged, or has too many pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)
        width, height = picture.size
        if width * height > most:
            raise InputError(f"the picture has {width} x {height} pixels; at most {most:,} are read")
        if wanted is not None:
            picture.draft(None, (wanted, wanted))
        picture.load()
        return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError as error:
        raise InputError(f"the file is no picture of a known format ({', '.join(FORMATS)})") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"the picture is damaged: {error}") from error


def on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent becomes white."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    white.alpha_composite(layer)
    return white.convert("RGB")

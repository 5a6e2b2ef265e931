"""A picture's thumbnail, as a JPEG file."""

import io
from typing import Any

from worker.model import InputError, Model
from worker.model.pictures import on_white, open_picture


class Thumbnail(Model):
    """Inputs are `{"image": file, "size": int}`, outputs `{"width", "height", "thumbnail": file}`."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any] | InputError]:
        """One picture after the other: only one is unpacked at a time."""
        return [self._one(item) for item in inputs]

    def _one(self, item: dict[str, Any]) -> dict[str, Any] | InputError:
        try:
            picture = open_picture(item["image"], wanted=item["size"])
        except InputError as error:
            return error
        picture.thumbnail((item["size"], item["size"]))
        content = io.BytesIO()
        on_white(picture).save(content, "JPEG", quality=85, optimize=True)
        return {"width": picture.width, "height": picture.height, "thumbnail": content.getvalue()}

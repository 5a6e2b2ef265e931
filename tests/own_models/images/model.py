"""An image in S3 is light or dark. The image is too large for a request: its key is the input (docs/models.md)."""

import io
import os

import boto3
import numpy as np
from botocore.exceptions import ClientError
from PIL import Image, UnidentifiedImageError

from worker.model import InputError, Model


class Images(Model):
    def __init__(self, runtime, manifest):
        super().__init__(runtime, manifest)
        self.s3 = boto3.client("s3")

    def predict(self, inputs):
        return [self.one(item["key"]) for item in inputs]

    def one(self, key):
        try:
            content = self.s3.get_object(Bucket=os.environ["IMAGES_BUCKET"], Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "AccessDenied"):
                return InputError(f"there is no object {key} that may be read")
            raise
        try:
            image = Image.open(io.BytesIO(content)).convert("L")
        except UnidentifiedImageError:
            return InputError(f"{key} is no image")
        mean = np.asarray(image).mean()
        return {"label": "light" if mean > 127 else "dark", "mean": mean, "bytes": len(content)}

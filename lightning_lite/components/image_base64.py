"""Pictures as text: files in Base64. Loaded only by works that serve pictures, because it needs Pillow."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, UnidentifiedImageError


def decode_image(text: Any) -> Image.Image:
    """Return the picture in a text.

    Args:
        text: A file of any format that Pillow reads, in Base64, with or without the `=` at its end.

    Raises:
        ValueError: It is not a text, not in Base64, or not a picture.
    """
    if not isinstance(text, str):
        raise ValueError(f"a picture must be a text in Base64, found {type(text).__name__}")
    try:
        data = base64.b64decode(f"{text.rstrip('=')}===", validate=False)
    except ValueError as error:
        raise ValueError(f"a picture must be a text in Base64: {error}") from error
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"the text has no picture that can be read: {error}") from error
    return picture


def encode_image(picture: Any) -> str:
    """Return a picture as a PNG in Base64.

    Args:
        picture: An object of Pillow, an array of NumPy, or a tensor, whose first axis may have the length 1.
    """
    if not isinstance(picture, Image.Image):
        pixels = picture.numpy() if hasattr(picture, "numpy") else picture
        picture = Image.fromarray(pixels[0] if pixels.ndim > 2 and pixels.shape[0] == 1 else pixels)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


class ImageText:
    """Both functions as the class that apps import from `lightning.app.components.serve.types`.

    Example:
        >>> picture = Image.new("RGB", (2, 3))
        >>> ImageText.deserialize(ImageText.serialize(picture)).size
        (2, 3)
    """

    @staticmethod
    def deserialize(data: Any) -> Image.Image:
        """Return the picture in a text, as `decode_image`.

        Args:
            data: A file of any format that Pillow reads, in Base64.

        Raises:
            ValueError: It is not a text, not in Base64, or not a picture.
        """
        return decode_image(data)

    @staticmethod
    def serialize(tensor: Any) -> str:
        """Return a picture as a PNG in Base64, as `encode_image`.

        Args:
            tensor: An object of Pillow, an array or a tensor.
        """
        return encode_image(tensor)

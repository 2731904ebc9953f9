"""The types of requests and answers that a `PythonServer` can be given: pydantic models with sample data."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from lightning_lite.errors import ComponentValueError
from lightning_lite.extras import check_installed

check_installed("PythonServer", "lightning", "pydantic")

from pydantic import BaseModel, PydanticUserError, TypeAdapter  # noqa: E402 - the error above names the extra

#: Width and height in pixels of the sample image.
_SIZE = 32


class DefaultInput(BaseModel):
    """The default type of requests."""

    payload: str


class DefaultOutput(BaseModel):
    """The default type of answers."""

    prediction: str


class Image(BaseModel):
    """An image, as a file of any format in Base64.

    Example:
        >>> Image.get_sample_data()["image"][:11]  # a PNG
        'iVBORw0KGgo'
    """

    image: str | None = None

    @staticmethod
    def get_sample_data() -> dict[str, str]:
        """Return a small image as the body of a request."""
        return {"image": base64.b64encode(_sample_png()).decode()}

    @staticmethod
    def request_code_sample(url: str) -> str:
        """Return a program that sends an image.

        Args:
            url: Address of the server with the path.
        """
        return (
            "import base64\n"
            "from pathlib import Path\n"
            "import httpx\n"
            "\n"
            'image = base64.b64encode(Path("image.png").read_bytes()).decode()\n'
            f'response = httpx.post({url!r}, json={{"image": image}})\n'
        )

    @staticmethod
    def response_code_sample() -> str:
        """Return the end of a program, which stores the image of the answer."""
        return 'Path("response.png").write_bytes(base64.b64decode(response.json()["image"]))\n'


class Category(BaseModel):
    """The number of a category."""

    category: int | None = None

    @staticmethod
    def get_sample_data() -> dict[str, int]:
        """Return the number of a category as a body."""
        return {"category": 463}

    @staticmethod
    def response_code_sample() -> str:
        """Return the end of a program, which prints the category of the answer."""
        return 'print("The category is", response.json()["category"])\n'


class Text(BaseModel):
    """A text."""

    text: str | None = None

    @staticmethod
    def get_sample_data() -> dict[str, str]:
        """Return a text as the body of a request."""
        return {"text": "A boat on a lake in the morning"}

    @staticmethod
    def request_code_sample(url: str) -> str:
        """Return a program that sends a text.

        Args:
            url: Address of the server with the path.
        """
        return f"import httpx\n\nresponse = httpx.post({url!r}, json={Text.get_sample_data()!r})\n"


class Number(BaseModel):
    """A predicted whole number."""

    prediction: int | None = None

    @staticmethod
    def get_sample_data() -> dict[str, int]:
        """Return a number as a body."""
        return {"prediction": 463}


def code_sample(input_type: Any, output_type: Any, url: str) -> str | None:
    """Return a program that sends a request, or `None` if the types have no sample.

    Args:
        input_type: The type of requests.
        output_type: The type of answers.
        url: Address of the server with the path.

    Example:
        >>> print(code_sample(Text, Category, "http://127.0.0.1:8000/predict").splitlines()[-1])
        print("The category is", response.json()["category"])
        >>> code_sample(Text, Number, "http://127.0.0.1:8000/predict") is None
        True
    """
    begin = getattr(input_type, "request_code_sample", None)
    end = getattr(output_type, "response_code_sample", None)
    return None if begin is None or end is None else f"{begin(url)}\n{end()}"


def checked_type(argument: str, found: Any) -> Any:
    """Return a type that requests or answers can have.

    Args:
        argument: Name of the argument, for the error.
        found: Its value.

    Raises:
        ComponentValueError: pydantic knows no such type.
    """
    try:
        TypeAdapter(found)
    except (PydanticUserError, TypeError) as error:
        raise ComponentValueError(
            f"{argument}={found!r}: it must be a type, for example a model of pydantic: {error}",
            argument=argument,
            found=found,
        ) from None
    return found


def check_model(argument: str, found: Any) -> None:
    """Refuse a value that is not a model of pydantic.

    Args:
        argument: Name of the argument, for the error.
        found: Its value.

    Raises:
        TypeError: It is something else than a class that derives from `BaseModel`.
    """
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise TypeError(f"{argument} must be a pydantic BaseModel class, found {found!r}")


def _sample_png() -> bytes:
    """Return an image with a gradient of grey levels."""
    step = 256 // _SIZE
    # Each row begins with the number of its filter.
    rows = b"".join(bytes([0, *((x + y) * step // 2 for x in range(_SIZE))]) for y in range(_SIZE))
    header = struct.pack(">IIBBBBB", _SIZE, _SIZE, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )

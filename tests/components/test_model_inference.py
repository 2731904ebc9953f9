"""`ModelInferenceAPI`: any JSON, texts in the address, and pictures."""

from __future__ import annotations

import base64
import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lightning_lite import LightningApp
from lightning_lite.components import Image as SampleImage
from lightning_lite.components.image_base64 import ImageText
from lightning_lite.components.server_port import bind
from lightning_lite.errors import ComponentError
from lightning_lite.sockets import bracketed

from tests.components.inference_works import Mirror, Scale
from tests.components.serving import Serving, post, serving, working_in

pytestmark = pytest.mark.dependencies


def has_ipv6():
    with contextlib.suppress(OSError), bind("::1", 0):
        return True
    return False


@pytest.fixture(scope="module")
def scale(tmp_path_factory):
    """The address of a server that the tests of requests share, of IPv6 if the machine has that."""
    host = "::1" if has_ipv6() else "127.0.0.5"
    with working_in(tmp_path_factory.mktemp("scale")), serving(Scale(port=None, host=host)) as work:
        assert work.url == f"http://{bracketed(host)}:{work.port}"
        yield f"{work.url}/predict"


def test_a_request_is_the_json_of_the_body_or_a_text_in_the_address(scale):
    header = {"Content-Type": "application/json"}

    assert post(scale, json=7).json() == [21]
    assert post(scale, params={"data": "7"}).json() == [21]
    wrong = post(scale, json="seven")
    assert (wrong.status_code, "seven" in wrong.text) == (422, True)
    for content in (b"", b"{", b"\xff\xff"):
        refused = post(scale, content=content, headers=header)
        assert (refused.status_code, "must be JSON" in refused.text) == (422, True)


def test_a_body_that_is_not_declared_as_json_is_refused(scale):
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"):
        assert post(scale, content=b"7", headers={"Content-Type": kind}).json() == [21], kind
    for kind in ("text/plain", "application/x-www-form-urlencoded", "text/json", "json", ""):
        headers = {"Content-Type": kind} if kind else {}
        refused = post(scale, content=b"7", headers=headers)
        assert (refused.status_code, refused.json()["detail"]) == (
            415,
            "the body must be JSON, with the header Content-Type: application/json",
        ), kind


def test_a_page_of_another_site_gets_no_prediction(scale):
    text = {"data": "7"}
    ours = f"http://{scale.split('/')[2]}"

    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[evil"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ours},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert post(scale, params=text, headers=headers).status_code == 403, headers
        assert post(scale, json=7, headers=headers).status_code == 403, headers
    for headers in (
        {"Origin": ours},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://in-front.example"},
        {"Host": "LocalHost:1"},
        {"Host": "127.0.0.1"},
    ):
        assert post(scale, params=text, headers=headers).json() == [21], headers
    for name in ("evil.example", "evil.example:80", "", "[::2]:80"):
        assert post(scale, params=text, headers={"Host": name}).status_code == 400, name


def test_pictures_travel_as_files_in_base64():
    with serving(Mirror("image", "image", port=None)) as work:
        url = f"{work.url}/predict"
        text = SampleImage.get_sample_data()["image"]

        answer = post(url, json=text).json()
        again = post(url, params={"data": text}).json()
        refused = [post(url, json=wrong) for wrong in ("nothing", "", text[:80], 7, [None])]

    assert answer == again
    assert [each.status_code for each in refused] == [422] * 5
    before, after = (np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in (text, answer))
    assert (before[::-1] == after).all()


def test_a_default_port_that_is_in_use_is_replaced_by_the_next_free_one_and_said_once(capfd):
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a program of this machine may use it already
            stack.enter_context(bind("127.0.0.1", 7777))
        with serving(Scale()) as work:
            assert 7777 < work.port <= 7797
            assert post(f"{work.url}/predict", json=2).json() is not None

    assert "".join(capfd.readouterr()).count("port 7777 is in use") == 1


@pytest.mark.parametrize("argument", ["input", "output"])
def test_an_unknown_kind_is_refused(argument):
    with pytest.raises(ComponentError, match=rf"^Scale\({argument}='sound'\): only 'image' is supported"):
        Scale(**{argument: "sound"})


def test_a_model_that_can_not_be_built_fails_the_call():
    class Broken(Scale):
        def build_model(self):
            raise ValueError("no weights")

    # Not in the background: that writes a line, into the log of the app of `scale`, too.
    with pytest.raises(ValueError, match="no weights"):
        LightningApp(Serving(Broken(port=None))).run(ui=False)


@pytest.mark.parametrize(
    ("code", "package"),
    [
        ("from lightning_lite.components import PythonServer", "pydantic"),
        ("from lightning_lite.components import Image", "pydantic"),
        (
            "from lightning_lite.components import PythonServer as P\n"
            "class S(P):\n    def predict(self, request): pass\nS()",
            "fastapi",
        ),
        (
            "from lightning_lite.components import ModelInferenceAPI as M\n"
            "class S(M):\n    def build_model(self): pass\n    def predict(self, data): pass\nS()",
            "uvicorn",
        ),
        ("from lightning_lite.components import Database as D\nD([])", "sqlmodel"),
        ("from lightning_lite.components import DatabaseClient", "httpx"),
        ("from lightning_lite.components import AutoScaler", "pydantic"),
        ("from lightning_lite.components import LoadBalancer as L\nL(dict, dict, 'predict')", "httpx"),
        ("from lightning_lite.components import ColdStartProxy as C\nC('http://127.0.0.1:1')", "fastapi"),
        (
            "from lightning_lite.components import ServeGradio as G\n"
            "class P(G):\n    inputs = outputs = 'text'\n"
            "    def build_model(self): pass\n    def predict(self, x): pass\nP()",
            "gradio",
        ),
    ],
)
def test_a_missing_package_is_an_error_that_names_the_extra(code, package):
    hidden = (
        "import importlib.util as u\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, path=None: None if name == {package!r} else find(name, path)\n"
    )
    done = subprocess.run([sys.executable, "-c", hidden + code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ")
    extra = "gradio" if package == "gradio" else "lightning"
    assert last.endswith(
        f" needs {package}, which is not installed: pip install 'lightning-lite-apps[{extra}]'"
    )


def test_a_picture_is_a_text_and_back():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(1, 2, 3, 3)

    picture = ImageText.deserialize(ImageText.serialize(pixels).rstrip("="))

    assert (picture.size, np.array_equal(np.asarray(picture), pixels[0])) == ((3, 2), True)
    with pytest.raises(ValueError, match="no picture that can be read"):
        ImageText.deserialize("bm8gcGljdHVyZQ")

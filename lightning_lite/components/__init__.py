"""Ready-made works and flows, loaded on first use, so that one needs no packages of the others.

from lightning_lite.components import TracerPythonScript
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.components.auto_scaler import AutoScaler
    from lightning_lite.components.code_archive import Code
    from lightning_lite.components.cold_start_proxy import ColdStartProxy
    from lightning_lite.components.database import Database
    from lightning_lite.components.database_client import DatabaseClient
    from lightning_lite.components.gradio_server import ServeGradio
    from lightning_lite.components.lightning_nodes import FabricMultiNode, LightningTrainerMultiNode
    from lightning_lite.components.load_balancer import LoadBalancer
    from lightning_lite.components.model_inference import ModelInferenceAPI
    from lightning_lite.components.multi_node import MultiNode
    from lightning_lite.components.popen_script import PopenPythonScript
    from lightning_lite.components.python_server import PythonServer
    from lightning_lite.components.sample_types import Category, Image, Number, Text
    from lightning_lite.components.streamlit_server import ServeStreamlit
    from lightning_lite.components.torch_nodes import PyTorchSpawnMultiNode
    from lightning_lite.components.tracer import Tracer
    from lightning_lite.components.tracer_script import TracerPythonScript
    from lightning_lite.components.trainer_script import LightningTrainerScript, PyTorchLightningScriptRunner

__all__ = [
    "AutoScaler",
    "Category",
    "Code",
    "ColdStartProxy",
    "Database",
    "DatabaseClient",
    "FabricMultiNode",
    "Image",
    "LightningTrainerMultiNode",
    "LightningTrainerScript",
    "LoadBalancer",
    "ModelInferenceAPI",
    "MultiNode",
    "Number",
    "PopenPythonScript",
    "PyTorchLightningScriptRunner",
    "PyTorchSpawnMultiNode",
    "PythonServer",
    "ServeGradio",
    "ServeStreamlit",
    "Text",
    "Tracer",
    "TracerPythonScript",
]

_DEFINED_IN = {
    "AutoScaler": "lightning_lite.components.auto_scaler",
    "Category": "lightning_lite.components.sample_types",
    "Code": "lightning_lite.components.code_archive",
    "ColdStartProxy": "lightning_lite.components.cold_start_proxy",
    "Database": "lightning_lite.components.database",
    "DatabaseClient": "lightning_lite.components.database_client",
    "FabricMultiNode": "lightning_lite.components.lightning_nodes",
    "Image": "lightning_lite.components.sample_types",
    "LightningTrainerMultiNode": "lightning_lite.components.lightning_nodes",
    "LightningTrainerScript": "lightning_lite.components.trainer_script",
    "LoadBalancer": "lightning_lite.components.load_balancer",
    "ModelInferenceAPI": "lightning_lite.components.model_inference",
    "MultiNode": "lightning_lite.components.multi_node",
    "Number": "lightning_lite.components.sample_types",
    "PopenPythonScript": "lightning_lite.components.popen_script",
    "PyTorchLightningScriptRunner": "lightning_lite.components.trainer_script",
    "PyTorchSpawnMultiNode": "lightning_lite.components.torch_nodes",
    "PythonServer": "lightning_lite.components.python_server",
    "ServeGradio": "lightning_lite.components.gradio_server",
    "ServeStreamlit": "lightning_lite.components.streamlit_server",
    "Text": "lightning_lite.components.sample_types",
    "Tracer": "lightning_lite.components.tracer",
    "TracerPythonScript": "lightning_lite.components.tracer_script",
}


def _load(name: str) -> Any:
    module = _DEFINED_IN.get(name)
    if module is None:
        raise AttributeError(f"module 'lightning_lite.components' has no attribute {name!r}")
    return getattr(late_import(module), name)


if not TYPE_CHECKING:  # a type checker that sees it accepts each misspelled name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted([*globals(), *_DEFINED_IN])

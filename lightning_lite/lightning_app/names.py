"""The table of the names of Lightning App: for each of its modules, where this package has each name.

A module of Lightning App is written without `lightning.app`; "" is that module itself. A place without a
colon is a module that has the name, too; after a colon is the name there.
"""

from __future__ import annotations

_APP = {"LightningApp": "lightning_lite.app.app"}
_FLOW = {"LightningFlow": "lightning_lite.tree.flow"}
_WORK = {"LightningWork": "lightning_lite.tree.work"}
_BUILD_CONFIG = {"BuildConfig": "lightning_lite.tree.cloud"}
_CLOUD_COMPUTE = {"CloudCompute": "lightning_lite.tree.cloud"}

_FRONTEND = {"Frontend": "lightning_lite.frontends.base"}
_STATIC = {"StaticWebFrontend": "lightning_lite.frontends.static_frontend"}
_STREAMLIT = {"StreamlitFrontend": "lightning_lite.frontends.streamlit_frontend"}
_PANEL = {"PanelFrontend": "lightning_lite.frontends.panel_frontend"}
_STATE_WATCHER = {"AppStateWatcher": "lightning_lite.frontends.app_state_watcher"}
_API = {
    "Delete": "lightning_lite.api",
    "Get": "lightning_lite.api",
    "Post": "lightning_lite.api",
    "Put": "lightning_lite.api",
}

_RUNTIME = "lightning_lite.lightning_app.runtime"
_HELPERS = "lightning_lite.lightning_app.helpers"
_STUBS = "lightning_lite.lightning_app.stubs"
_STATE_STORE = "lightning_lite.lightning_app.state_store"
_PDB = {"MPPdb": "pdb:Pdb", "set_trace": "builtins:breakpoint"}
_COMMENT_COMMANDS = "lightning_lite.lightning_app.comment_commands"
_CODE = {"Code": "lightning_lite.components.code_archive"}
_MULTI_NODE = {"MultiNode": "lightning_lite.components.multi_node"}
_SPAWN_NODES = {"PyTorchSpawnMultiNode": "lightning_lite.components.torch_nodes"}
_FABRIC_NODES = {"FabricMultiNode": "lightning_lite.components.lightning_nodes"}
_TRAINER_NODES = {"LightningTrainerMultiNode": "lightning_lite.components.lightning_nodes"}
_ALL_NODES = {**_MULTI_NODE, **_SPAWN_NODES, **_FABRIC_NODES, **_TRAINER_NODES}
_TRAINING = {
    "LightningTrainerScript": "lightning_lite.components.trainer_script",
    "PyTorchLightningScriptRunner": "lightning_lite.components.trainer_script",
}
_POPEN_SCRIPT = {"PopenPythonScript": "lightning_lite.components.popen_script"}
_TRACER = {"Tracer": "lightning_lite.components.tracer"}
_TRACER_SCRIPT = {"TracerPythonScript": "lightning_lite.components.tracer_script"}
_SCRIPTS = {**_CODE, **_POPEN_SCRIPT, **_TRACER_SCRIPT}
_SAMPLE_TYPES = dict.fromkeys(
    ("Category", "Image", "Number", "Text"), "lightning_lite.components.sample_types"
)
_PYTHON_SERVER = {**_SAMPLE_TYPES, "PythonServer": "lightning_lite.components.python_server"}
_IMAGE_TEXT = {"Image": "lightning_lite.components.image_base64:ImageText"}
_MODEL_INFERENCE = {"ModelInferenceAPI": "lightning_lite.components.model_inference"}
_GRADIO = {"ServeGradio": "lightning_lite.components.gradio_server"}
_AUTO_SCALER = {"AutoScaler": "lightning_lite.components.auto_scaler"}
_COLD_START_PROXY = {"ColdStartProxy": "lightning_lite.components.cold_start_proxy"}
_STREAMLIT_WORK = {"ServeStreamlit": "lightning_lite.components.streamlit_server"}
_DATABASE = {"Database": "lightning_lite.components.database"}
_DATABASE_CLIENT = {"DatabaseClient": "lightning_lite.components.database_client"}
_TESTING = {
    "LightningTestApp": "lightning_lite.testing.apps",
    "application_testing": "lightning_lite.testing.command_line",
    "run_work_isolated": "lightning_lite.testing.isolated_work",
    "delete_cloud_lightning_apps": "lightning_lite.lightning_app.cloud_tests",
    "run_app_in_cloud": "lightning_lite.lightning_app.cloud_tests",
    "wait_for": "lightning_lite.lightning_app.cloud_tests",
}
_EMPTY = dict.fromkeys(("EmptyFlow", "EmptyWork"), "lightning_lite.testing.empty_components")

#: The names that `lightning` itself has, besides its modules.
TOP_NAMES = {**_APP, **_FLOW, **_WORK, **_BUILD_CONFIG, **_CLOUD_COMPUTE}

#: The modules that are attributes of `lightning`: `L.app`, `L.storage.Drive`, `L.pdb.set_trace()`.
TOP_MODULES = {"app": "", "storage": "storage", "pdb": "pdb"}

NAMES: dict[str, dict[str, str]] = {
    "": TOP_NAMES,
    "api": _API,
    "api.http_methods": _API,
    "components": {
        **_SCRIPTS,
        **_ALL_NODES,
        **_TRAINING,
        **_PYTHON_SERVER,
        **_MODEL_INFERENCE,
        **_GRADIO,
        **_AUTO_SCALER,
        **_COLD_START_PROXY,
        **_STREAMLIT_WORK,
        **_DATABASE,
        **_DATABASE_CLIENT,
    },
    "components.database": {**_DATABASE, **_DATABASE_CLIENT},
    "components.database.client": _DATABASE_CLIENT,
    "components.database.server": _DATABASE,
    "components.database.utilities": {
        "_pydantic_column_type": "lightning_lite.components.database_tables:pydantic_column_type",
        "pydantic_column_type": "lightning_lite.components.database_tables",
    },
    "components.multi_node": _ALL_NODES,
    "components.multi_node.base": {**_MULTI_NODE, "is_running_in_cloud": _HELPERS},
    "components.multi_node.fabric": {
        **_FABRIC_NODES,
        "_FabricRunExecutor": "lightning_lite.components.lightning_nodes:FabricLauncher",
    },
    "components.multi_node.pytorch_spawn": {
        **_SPAWN_NODES,
        "_PyTorchSpawnRunExecutor": "lightning_lite.components.torch_nodes:TorchLauncher",
    },
    "components.multi_node.trainer": {
        **_TRAINER_NODES,
        "_LightningTrainerRunExecutor": "lightning_lite.components.lightning_nodes:TrainerLauncher",
    },
    "components.python": {**_POPEN_SCRIPT, **_TRACER_SCRIPT},
    "components.python.popen": {**_POPEN_SCRIPT, **_TRACER},
    "components.python.tracer": {**_CODE, **_TRACER, **_TRACER_SCRIPT},
    "components.serve": {
        **_PYTHON_SERVER,
        **_MODEL_INFERENCE,
        **_GRADIO,
        **_STREAMLIT_WORK,
        **_AUTO_SCALER,
        **_COLD_START_PROXY,
    },
    "components.serve.auto_scaler": {
        **_AUTO_SCALER,
        **_COLD_START_PROXY,
        "_LoadBalancer": "lightning_lite.components.load_balancer:LoadBalancer",
    },
    "components.serve.cold_start_proxy": _COLD_START_PROXY,
    "components.serve.gradio_server": _GRADIO,
    "components.serve.python_server": _PYTHON_SERVER,
    "components.serve.serve": _MODEL_INFERENCE,
    "components.serve.streamlit": _STREAMLIT_WORK,
    "components.serve.types": _IMAGE_TEXT,
    "components.serve.types.image": _IMAGE_TEXT,
    "components.training": _TRAINING,
    "core": {**_APP, **_FLOW, **_WORK},
    "core.app": _APP,
    "core.flow": _FLOW,
    "core.work": _WORK,
    "frontend": {**_FRONTEND, **_STATIC, **_STREAMLIT, **_PANEL},
    "frontend.frontend": _FRONTEND,
    "frontend.panel": {**_PANEL, **_STATE_WATCHER},
    "frontend.panel.app_state_watcher": _STATE_WATCHER,
    "frontend.panel.panel_frontend": _PANEL,
    "frontend.stream_lit": _STREAMLIT,
    "frontend.web": _STATIC,
    "pdb": _PDB,
    "pdb.pdb": _PDB,
    "runners": {
        "MultiProcessRuntime": _RUNTIME,
        "RuntimeType": _RUNTIME,
        "dispatch": _RUNTIME,
        "load_app_from_file": _RUNTIME,
        "run_app_commands": _COMMENT_COMMANDS,
    },
    "runners.multiprocess": {"MultiProcessRuntime": _RUNTIME},
    "runners.runtime": {"dispatch": _RUNTIME, "load_app_from_file": _RUNTIME},
    "runners.runtime_type": {"RuntimeType": _RUNTIME},
    "storage": {
        "Drive": "lightning_lite.storage.drive",
        "FileSystem": "lightning_lite.storage.file_system",
        "Mount": "lightning_lite.storage.mount",
        "Path": "lightning_lite.storage.path",
        "Payload": "lightning_lite.storage.payload",
    },
    "storage.drive": {"Drive": "lightning_lite.storage.drive"},
    "storage.filesystem": {"FileSystem": "lightning_lite.storage.file_system"},
    "storage.mount": {"Mount": "lightning_lite.storage.mount"},
    "storage.path": {"Path": "lightning_lite.storage.path"},
    "storage.payload": {"Payload": "lightning_lite.storage.payload"},
    "structures": {"Dict": "lightning_lite.tree.structures", "List": "lightning_lite.tree.structures"},
    "structures.dict": {"Dict": "lightning_lite.tree.structures"},
    "structures.list": {"List": "lightning_lite.tree.structures"},
    "testing": {**_TESTING, **_EMPTY},
    "testing.helpers": _EMPTY,
    "testing.testing": _TESTING,
    "utilities": {},
    "utilities.app_commands": {
        "CommandLines": _COMMENT_COMMANDS,
        "run_app_commands": _COMMENT_COMMANDS,
        "_execute_app_commands": f"{_COMMENT_COMMANDS}:execute_commands",
        "_extract_commands_from_file": f"{_COMMENT_COMMANDS}:extract_commands",
    },
    "utilities.app_helpers": {
        "InMemoryStateStore": _STATE_STORE,
        "LightningJSONEncoder": _HELPERS,
        "Logger": "logging:getLogger",
        "StateEntry": _STATE_STORE,
        "StateStore": _STATE_STORE,
        "_is_headless": f"{_HELPERS}:is_headless",
        "affiliation": _HELPERS,
        "is_overridden": _HELPERS,
        "is_static_method": _HELPERS,
        "pretty_state": _HELPERS,
    },
    "utilities.app_status": {"AppStatus": "lightning_lite.status", "WorkStatus": "lightning_lite.status"},
    "utilities.cloud": {"is_running_in_cloud": _HELPERS},
    "utilities.commands": {"ClientCommand": "lightning_lite.client_command"},
    "utilities.commands.base": {"ClientCommand": "lightning_lite.client_command"},
    "utilities.data_structures": {"AttributeDict": _HELPERS},
    "utilities.enum": {
        "AppStage": _STUBS,
        "CacheCallsKeys": _STUBS,
        "ComponentContext": _STUBS,
        "OpenAPITags": _STUBS,
        "WorkFailureReasons": _STUBS,
        "WorkPendingReason": _STUBS,
        "WorkStageStatus": "lightning_lite.status",
        "WorkStopReasons": _STUBS,
        "make_status": _STUBS,
    },
    "utilities.exceptions": {
        "CacheMissException": "lightning_lite.errors:Pause",
        "ExitAppException": "lightning_lite.errors:StopApp",
        "InvalidPathException": _STUBS,
        "LightningAppStateException": _STUBS,
        "LightningComponentException": "lightning_lite.errors:ComponentError",
        "LightningFlowException": "lightning_lite.errors:FailApp",
        "LightningPlatformException": _STUBS,
        "LightningSigtermStateException": "lightning_lite.errors:StopRun",
        "LightningWorkException": "lightning_lite.errors:ComponentError",
        "LogLinesLimitExceeded": _STUBS,
        "MisconfigurationException": _STUBS,
    },
    "utilities.frontend": {"AppInfo": _STUBS},
    "utilities.imports": {"requires": _HELPERS},
    "utilities.layout": {"_collect_layout": f"{_HELPERS}:collect_layout"},
    "utilities.load_app": {"extract_metadata_from_app": _RUNTIME, "load_app_from_file": _RUNTIME},
    "utilities.network": {"find_free_network_port": _HELPERS},
    "utilities.packaging": {},
    "utilities.packaging.build_config": {**_BUILD_CONFIG, "load_requirements": "lightning_lite.tree.cloud"},
    "utilities.packaging.cloud_compute": _CLOUD_COMPUTE,
    "utilities.safe_pickle": {
        "dump": "lightning_lite.lightning_app.safe_pickle",
        "get_picklable_work": "lightning_lite.lightning_app.safe_pickle",
        "load": "lightning_lite.lightning_app.safe_pickle",
    },
    "utilities.state": {"AppState": "lightning_lite.app_state", "headers_for": _HELPERS},
    "utilities.tracer": _TRACER,
    "utilities.tree": {
        "breadth_first": "lightning_lite.lightning_app.walks",
        "depth_first": "lightning_lite.lightning_app.walks",
    },
    "utilities.types": {"Component": _HELPERS, "ComponentTuple": _HELPERS},
    "utilities.warnings": {"LightningFlowWarning": "lightning_lite.errors"},
}


def place_of(name: str) -> tuple[str, str]:
    """Return the full name of the module, and the name in it, for an entry of the table.

    Args:
        name: A module of Lightning App, a colon, and a name in it.

    Example:
        >>> place_of("storage.path:Path"), place_of("pdb:set_trace")
        (('lightning_lite.storage.path', 'Path'), ('builtins', 'breakpoint'))
    """
    module, _, attribute = name.partition(":")
    home, _, other = NAMES[module][attribute].partition(":")
    return home, other or attribute

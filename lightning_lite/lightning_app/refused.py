"""Why modules and names of Lightning App are missing here; keys are dotted names without `lightning.app`.

A module stands for all that is in it. `names` has the names that exist.
"""

from __future__ import annotations

_CLOUD = "there is no cloud here"
_INTERNAL = "it is a part of Lightning App that apps do not need"
_JUSTPY = "justpy works with no current release of its own dependencies, use StreamlitFrontend"
_MESSAGES = "works and flows exchange messages in another way"
_STORAGE = "works find files in the root by themselves, so no thread copies them"
_PLUGINS = "AppState finds the app by itself, without a plugin"
_RUNTIME = "use MultiProcessRuntime, the only one"
_FRONTENDS = "the programs of frontends are different ones, which StreamlitFrontend and PanelFrontend start"
_PACKAGE = "it describes the package lightning-app, see lightning_lite.__version__"
_NETWORK = "it talks to the cloud, and there is no cloud here"
_LOGS = "the logs of a run are in its folder, and `lightning-lite logs` shows them"
_UPLOAD = "it prepares an app for the cloud, and there is no cloud here"

REFUSED = {
    "LightningPlugin": _CLOUD,
    "__about__": _PACKAGE,
    "__main__": "the program is `python -m lightning_lite`",
    "__setup__": _PACKAGE,
    "__version__": _PACKAGE,
    "api.request_types": _MESSAGES,
    "cli": "the command line is `lightning-lite`, and application_testing calls it in tests",
    "components.database.utilities.engine": _INTERNAL,
    "components.serve.serve.fastapi_service": _INTERNAL,
    "components.serve.serve.instance": _INTERNAL,
    "components.serve.types.type": _INTERNAL,
    "core.api": "the server of the page has its routes, and AppState reads and changes the state",
    "core.constants": "`lightning-lite config` shows the settings, which other variables set",
    "core.queues": _MESSAGES,
    "frontend.JustPyFrontend": _JUSTPY,
    "frontend.just_py": _JUSTPY,
    "frontend.panel.app_state_comm": _FRONTENDS,
    "frontend.panel.panel_serve_render_fn": _FRONTENDS,
    "frontend.streamlit_base": _FRONTENDS,
    "frontend.utils": _FRONTENDS,
    "frontend.web.args": _INTERNAL,
    "frontend.web.parser": _INTERNAL,
    "launcher": _CLOUD,
    "plugin": _CLOUD,
    "runners.CloudRuntime": f"{_CLOUD}, use MultiProcessRuntime",
    "runners.Runtime": _RUNTIME,
    "runners.backends": "each work has a process of its own, which no backend has to start",
    "runners.cloud": f"{_CLOUD}, use MultiProcessRuntime",
    "runners.runtime.Runtime": _RUNTIME,
    "source_code": _UPLOAD,
    "storage.StorageOrchestrator": _STORAGE,
    "storage.copier": _STORAGE,
    "storage.orchestrator": _STORAGE,
    "storage.requests": _STORAGE,
    "testing.config": _CLOUD,
    "utilities.app_commands.APP_COMMAND_LINES_TO_IGNORE": _INTERNAL,
    "utilities.app_helpers.AppStatePlugin": _PLUGINS,
    "utilities.app_helpers.AppStateType": _PLUGINS,
    "utilities.app_helpers.BaseStatePlugin": _PLUGINS,
    "utilities.app_helpers.StreamLitStatePlugin": _PLUGINS,
    "utilities.app_helpers.convert_print_to_logger_info": "the output of works is in their logs without it",
    "utilities.app_helpers.target_fn": _INTERNAL,
    "utilities.app_logs": _LOGS,
    "utilities.auth": _NETWORK,
    "utilities.cli_helpers": "the command line is `lightning-lite`, and connect lists the commands of an app",
    "utilities.clusters": _CLOUD,
    "utilities.component": "lightning_lite.context says who runs the code",
    "utilities.dependency_caching": _UPLOAD,
    "utilities.frontend.update_index_file": "the page of a run is another one",
    "utilities.git": _UPLOAD,
    "utilities.introspection": "it reads scripts for `lightning init pl-app`, use the module ast",
    "utilities.load_app.component_to_metadata": _INTERNAL,
    "utilities.load_app.open_python_file": _INTERNAL,
    "utilities.log": _LOGS,
    "utilities.log_helpers": _LOGS,
    "utilities.login": _NETWORK,
    "utilities.logs_socket_api": _LOGS,
    "utilities.name_generator": "a run has the name that app.run(name=...) gives it",
    "utilities.network.CustomRetryAdapter": _NETWORK,
    "utilities.network.HTTPClient": _NETWORK,
    "utilities.network.create_retry_strategy": _NETWORK,
    "utilities.openapi": "/openapi.json of a running app describes its API",
    "utilities.packaging.app_config": _UPLOAD,
    "utilities.packaging.docker": _UPLOAD,
    "utilities.packaging.lightning_utils": _UPLOAD,
    "utilities.packaging.tarfile": "use tarfile, or Drive.put of a folder",
    "utilities.port": "the cloud opens ports; a work has `port`, which is free on this machine",
    "utilities.proxies": _MESSAGES,
    "utilities.redis": _MESSAGES,
    "utilities.safe_pickle.NON_PICKLABLE_WORK_ATTRIBUTES": _INTERNAL,
    "utilities.scheduler": "schedules need no thread here, use the method schedule of a flow",
    "utilities.secrets": f"{_CLOUD}, use lightning_lite.Secret",
    "utilities.state.AppStateType": _PLUGINS,
    "utilities.tracer.get_default_args": _INTERNAL,
    "utilities.tracer.wrap_fn": _INTERNAL,
    "utilities.types.Hashable": "objects with a method to_dict are arguments of calls as they are",
}

"""The scripts are run by tests, and are no tests themselves."""

collect_ignore = [
    "frontends_script.py",
    "gradio_app.py",
    "lightning_script.py",
    "ml_script.py",
    "redrawn_app.py",
    "spawn_script.py",
    "streamlit_app.py",
    "torch_script.py",
]
